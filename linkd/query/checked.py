"""Statements that were checked a moment ago: a client prepares what it runs then, and a dashboard asks the same all day.

What is kept depends on the text, and on the columns of the links that it reads, and on nothing else.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import duckdb
import pyarrow as pa

from linkd.limits import CHECKED_STATEMENTS_MAX, CHECKED_STATEMENTS_MAX_CHARS
from linkd.model.frozen import frozen
from linkd.query.answers import StatementKind
from linkd.query.explanation import explained_in
from linkd.query.insertion import InsertInto, insertion_in
from linkd.query.pruning import Pruning, prunings
from linkd.query.rewriting import parameters_in, text_to_run
from linkd.query.statement import Statement, check_select


@frozen()
class Plan:
    """What becomes of a statement over tables with these columns: `hidden` system columns beside them, the text that DuckDB runs, which values
    may be passed over, and the parameters that are left in the text."""

    schemas: Mapping[str, pa.Schema]
    hidden: Mapping[str, Sequence[str]]
    text: str
    prunings: Mapping[str, Pruning]
    parameters: frozenset[str]


@dataclass(slots=True)
class Checked:
    """A statement that may run."""

    statement: Statement
    insertion: InsertInto | None
    is_explained: bool = False
    """Whether it is not to run, but to tell how it would."""
    _plan: Plan | None = None
    _prepared: tuple[Plan, bytes, Any] | None = None

    @property
    def kind(self) -> StatementKind:
        return StatementKind.SELECT if self.insertion is None else StatementKind.INSERT

    @property
    def target(self) -> str:
        return self.insertion.target if self.insertion is not None else ""

    def plan(self, schemas: Mapping[str, pa.Schema], hidden: Mapping[str, Sequence[str]], parser: duckdb.DuckDBPyConnection) -> Plan:
        """Over tables with these columns. Raises QueryInvalid."""
        if self._plan is None or self._plan.schemas != schemas:
            columns = {name: [*schema.names, *hidden[name]] for name, schema in schemas.items()}
            text = text_to_run(self.statement, hidden, parser)
            # The arguments of `link(...)` are no part of the text any more.
            left = parameters_in(self.statement.tree) if self.statement.histories else self.statement.parameters
            self._plan = Plan(schemas, hidden, text, prunings(self.statement, columns, parser), left)
        return self._plan

    def prepared(self, plan: Plan, target_schema: bytes) -> Any | None:
        """What `keep_prepared` was given for the same."""
        found = self._prepared
        return found[2] if found is not None and found[0] is plan and found[1] == target_schema else None

    def keep_prepared(self, plan: Plan, target_schema: bytes, answer: Any) -> None:
        """What a client was told of the statement, over these columns and for a target of this schema."""
        self._prepared = plan, target_schema, answer


def checked(sql: str, parser: duckdb.DuckDBPyConnection, catalog: str = "") -> Checked:
    """Raises QueryInvalid for what may not run. `catalog` is the pipeline's name, which may stand before those of links."""
    explained = explained_in(sql)
    insertion = insertion_in(sql, catalog) if not explained else None
    text = insertion.select if insertion is not None else explained or sql
    return Checked(check_select(text, None, parser=parser, catalog=catalog), insertion, bool(explained))


@dataclass(slots=True)
class CheckedStatements:
    """Those of one process, by their text; the least recently used one goes first."""

    _kept: OrderedDict[str, Checked] = field(default_factory=OrderedDict)
    _chars: int = 0

    def get(self, sql: str) -> Checked | None:
        found = self._kept.get(sql)
        if found is not None:
            self._kept.move_to_end(sql)
        return found

    def keep(self, sql: str, statement: Checked) -> None:
        self._kept[sql] = statement
        self._chars += len(sql)
        while self._kept and (len(self._kept) > CHECKED_STATEMENTS_MAX or self._chars > CHECKED_STATEMENTS_MAX_CHARS):
            self._chars -= len(self._kept.popitem(last=False)[0])
