"""Statements that stand bound to the tables they read last: a dashboard asks the same all day, mostly of links that are what they were.

What they read stays mapped, so they go when anything of the shelf does.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from linkd.core.names import COMMITS_LINK
from linkd.limits import BOUND_STATEMENTS_MAX
from linkd.model.frozen import frozen
from linkd.query.checked import Checked, Plan
from linkd.query.engine import BoundStatement
from linkd.query.tables import Asked


@frozen()
class _Kept:
    statement: Checked
    asked: Asked
    bound: BoundStatement


@dataclass(slots=True)
class BoundStatements:
    """Those of one process; the least recently used one goes first."""

    _kept: OrderedDict[int, _Kept] = field(default_factory=OrderedDict)

    def take(self, statement: Checked, asked: Asked) -> BoundStatement | None:
        """The statement bound to the tables that are asked for: `keep` it again, or close it."""
        kept = self._kept.pop(id(statement), None)
        if kept is None:
            return None
        if kept.asked == asked:
            return kept.bound
        kept.bound.close()
        return None

    def keep(self, statement: Checked, asked: Asked, bound: BoundStatement) -> None:
        self._kept[id(statement)] = _Kept(statement, asked, bound)
        if len(self._kept) > BOUND_STATEMENTS_MAX:
            self._kept.popitem(last=False)[1].bound.close()

    def clear(self) -> None:
        while self._kept:
            self._kept.popitem()[1].bound.close()


def lasts(statement: Checked, plan: Plan) -> bool:
    """Whether nothing but the values that there are decides which rows the statement reads, and these need no memory beside their mappings."""
    return not (
        statement.insertion is not None
        or statement.statement.parameters
        or statement.statement.histories
        or COMMITS_LINK in plan.schemas
        or any(plan.hidden.values())
        or any(pruning.is_timed for pruning in plan.prunings.values())
    )
