"""The tables of a statement: links, as they are when it starts, from what the shelf holds and what the home still has to give.

What no row of which can be wanted is not read (`pruning`), as far as it can be told: by the sequence before a value is asked for, by the bounds of
other columns once it is here.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import duckdb
import pyarrow as pa

from linkd.client.calls import Connection
from linkd.core import arrow_compute as pc
from linkd.core.evolution import united
from linkd.core.names import COMMITS_LINK
from linkd.core.schema import in_schema
from linkd.errors import QueryInvalid
from linkd.limits import BLOCKS_PRUNED_MIN, SEQUENCE_CELLS
from linkd.model.frozen import frozen
from linkd.query.checked import Checked, Plan
from linkd.query.pruning import Pruning, bounds_table, decided, expression_text, used_in
from linkd.query.rewriting import parameters_in
from linkd.query.sequence_ranges import narrowed
from linkd.query.shelf import Block, Chosen, Shelf, Wanted, committed
from linkd.query.statement import Statement
from linkd.query.walk import LINKS_TABLE, History, Node

Ask = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]
"""Asks the home (see `pipe`)."""
Connect = Callable[[], Awaitable[Connection]]
_MOMENT = ("TIMESTAMPTZ", "epoch_ns({})", "a moment, as in '2026-11-22T10:00' or now() - INTERVAL 1 HOUR")
_ARGUMENTS = {"generation": ("UBIGINT", "{}", "the number of one, from 1 on"), "since": _MOMENT, "until": _MOMENT}
"""Of `link(...)`: as what DuckDB reads each, what of it is wanted, and what it has to be."""
_SYSTEM_TYPES = {"_seq": pa.int64(), "_time": pa.timestamp("us", "UTC"), "_task": pa.string(), "_value": pa.string()}


_LINKS_SCHEMA = pa.schema({"name": pa.string()})
_NO_LINKS = frozenset({COMMITS_LINK, LINKS_TABLE})
"""Tables that have no values."""


@frozen()
class Part:
    """What a table has of one generation: its values from `first` to `last`, and of these those made in [since_ns, until_ns)."""

    wanted: Wanted
    first: int
    last: int
    since_ns: int | None = None
    until_ns: int | None = None


@frozen()
class Asked:
    """What the home answered: the parts of each table, oldest first, the links there are if the statement asks for them, and the schema message of
    the link that rows go to, which may be declared."""

    parts: Mapping[str, Sequence[Part]]
    links: Sequence[str] | None = None
    target_schema: bytes = b""
    target_declared: bool = False


@frozen()
class Ready:
    """What DuckDB is given: a text, and rows for each table in it."""

    text: str
    tables: Mapping[str, pa.Table]
    parameters: Collection[str]

    def given(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Those of the values that the text has parameters for: the arguments of `link(...)` are no part of it any more."""
        return {name: value for name, value in values.items() if name in self.parameters}


@dataclass(slots=True)
class Tables:
    """Makes the tables of statements. Belongs to one event loop."""

    shelf: Shelf
    connect: Connect
    connection: duckdb.DuckDBPyConnection
    parser: duckdb.DuckDBPyConnection
    _committed: pa.Table | None = field(default=None)

    async def asked(self, statement: Statement, target: str, values: Mapping[str, Any], ask: Ask) -> Asked:
        """Which values the statement reads: from now on they stay. Raises QueryInvalid, NotAllowed, LinkNotFound."""
        names = sorted(statement.tables)
        if not (names or statement.histories or statement.lists_links or target):
            return Asked({})
        asked = [{"link": name, "generation": 0, "history": False} for name in names]
        ranges = [self._range(history, values) for history in statement.histories]
        asked += [
            {"link": history.link, "generation": generation, "history": True}
            for history, (generation, _, _) in zip(statement.histories, ranges, strict=True)
        ]
        answer = await ask({"tables": asked, "target": target, "links": statement.lists_links})
        if "permitted" in answer:
            statement.check_reads(answer["permitted"])
        parts = {name: [_part(one) for one in of_table] for name, of_table in zip(names, answer["tables"], strict=False)}
        for history, (_, since_ns, until_ns), of_table in zip(statement.histories, ranges, answer["tables"][len(names) :], strict=True):
            parts[history.table] = [_part(one, since_ns, until_ns) for one in of_table]
        return Asked(parts, answer.get("links"), base64.b64decode(answer.get("target_schema", "")), answer.get("target_declared", False))

    async def plan(self, statement: Checked, asked: Asked) -> Plan:
        """What becomes of the statement over the columns that its tables have now. Raises SchemaMismatch, QueryInvalid."""
        schemas = await self._schemas(asked)
        return statement.plan(schemas, hidden_columns(statement.statement, schemas), self.parser)

    def use(self, asked: Asked) -> None:
        """What is asked for is read again, in tables that were made before."""
        for parts in asked.parts.values():
            for part in parts:
                self.shelf.use(part.wanted)

    def empty(self, plan: Plan) -> Ready:
        """The tables without their rows."""
        tables = {
            name: pa.schema([*schema, *(pa.field(column, _SYSTEM_TYPES[column]) for column in plan.hidden[name])]).empty_table()
            for name, schema in plan.schemas.items()
        }
        return Ready(plan.text, tables, plan.parameters)

    async def read(self, plan: Plan, asked: Asked, values: Mapping[str, Any]) -> Ready:
        """The tables with the rows that the statement can want. Raises SchemaMismatch, StateDamaged, ConnectionFailed, StorageFailed."""
        tables: dict[str, pa.Table] = {}
        for name, parts in asked.parts.items():
            if name == COMMITS_LINK:
                assert self._committed is not None
                tables[name] = self._committed
                continue
            blocks: list[tuple[pa.RecordBatch, Block]] = []
            for part in parts:
                blocks += [
                    (_in_schema(block.batch(), plan.schemas[name], part), block)
                    for block in await self._blocks(part, plan.prunings.get(name), values)
                ]
            tables[name] = table_of(plan.schemas[name], blocks, plan.hidden[name])
        self._committed = None
        if asked.links is not None:
            tables[LINKS_TABLE] = pa.table({"name": asked.links}, _LINKS_SCHEMA)
        return Ready(plan.text, tables, plan.parameters)

    async def _schemas(self, asked: Asked) -> dict[str, pa.Schema]:
        """The columns of each table: those of its newest generation, then what only older ones have."""
        schemas = {
            name: united(self.shelf.schema(part.wanted) for part in reversed(parts))
            for name, parts in asked.parts.items()
            if name != COMMITS_LINK
        }
        if COMMITS_LINK in asked.parts:
            self._committed = await committed(await self.connect())
            schemas[COMMITS_LINK] = self._committed.schema
        if asked.links is not None:
            schemas[LINKS_TABLE] = _LINKS_SCHEMA
        return schemas

    async def _blocks(self, part: Part, pruning: Pruning | None, values: Mapping[str, Any]) -> list[Block]:
        """What is to be scanned of one generation."""
        if part.first > part.last:
            return []
        stand = self.shelf.stand(part.wanted)
        ranges = self._cells(part, pruning, values)
        blocks: list[Block] = []
        for first, last in ranges:
            if next(stand.missing(first, last), None) is not None:
                await self.shelf.read(await self.connect(), stand, part.wanted, first, last)
            blocks += stand.within(first, last)
        if part.since_ns is not None or part.until_ns is not None:
            blocks = [made for block in blocks for made in block.made_within(part.since_ns, part.until_ns)]
        if pruning is None or len(blocks) < BLOCKS_PRUNED_MIN:
            await _look_at(blocks)
            return blocks
        known = stand.chosen
        if known is not None and known.by is pruning and known.blocks == blocks:
            return known.left
        left = await self._wanted(blocks, pruning, values)
        stand.chosen = Chosen(pruning, blocks, left) if not pruning.is_timed and not used_in(pruning.condition, values) else None
        return left

    async def _wanted(self, blocks: list[Block], pruning: Pruning, values: Mapping[str, Any]) -> list[Block]:
        """Those of the blocks that the condition allows; their rows were looked at."""
        own = blocks[0].schema.names
        if any(name not in own for name in pruning.columns):
            blocks = self._chosen(blocks, pruning, [name for name in pruning.columns if name in own], values)
        await _look_at(blocks)
        return self._chosen(blocks, pruning, (), values)

    def _chosen(self, blocks: list[Block], pruning: Pruning, unknown: Collection[str], values: Mapping[str, Any]) -> list[Block]:
        """Those that the condition allows, if nothing is known of the columns in `unknown`."""
        if not blocks:
            return blocks
        chosen = decided(pruning.condition, _bounds(blocks, pruning.columns, unknown), values, self.connection)
        return blocks if chosen is None else [blocks[index] for index in chosen]

    def _cells(self, part: Part, pruning: Pruning | None, values: Mapping[str, Any]) -> list[tuple[int, int]]:
        """The ranges of sequences that may be wanted: those that the condition allows if nothing but the sequence is known."""
        whole = [(part.first, part.last)]
        if pruning is None or "_seq" not in pruning.columns or part.last - part.first < BLOCKS_PRUNED_MIN:
            return whole

        def chosen(cells: Sequence[tuple[int, int]]) -> list[int] | None:
            unknown: list[None] = [None] * len(cells)
            columns = [
                ("_seq", pa.int64(), [first for first, _ in cells], [last for _, last in cells])
                if name == "_seq"
                else (name, pa.null(), unknown, unknown)
                for name in pruning.columns
            ]
            return decided(pruning.condition, bounds_table(columns), values, self.connection)

        return narrowed(part.first, part.last, SEQUENCE_CELLS, chosen)

    def _range(self, history: History, values: Mapping[str, Any]) -> tuple[int, int | None, int | None]:
        """The generation (0: all of them) and the times of `link(...)`; of one whose value is not known yet, as if it was not given."""
        generation = self._value(history, "generation", history.generation, values)
        since_ns, until_ns = (
            self._value(history, name, each, values) for name, each in (("since", history.since), ("until", history.until))
        )
        return generation or 0, since_ns, until_ns

    def _value(self, history: History, name: str, expression: Node | None, values: Mapping[str, Any]) -> int | None:
        if expression is None or not parameters_in(expression) <= values.keys():
            return None
        kind, form, remedy = _ARGUMENTS[name]
        text = f"SELECT {form.format(f'CAST({expression_text(expression, self.parser)} AS {kind})')}"
        try:
            row = self.parser.execute(text, used_in(text, values) or None).fetchone()
        except duckdb.Error:
            raise QueryInvalid(f"link('{history.link}'): {name} is {remedy}") from None
        if row is None or row[0] is None:
            raise QueryInvalid(f"link('{history.link}'): {name} is NULL: leave it away, or give it a value")
        if name == "generation" and not row[0]:
            raise QueryInvalid(f"link('{history.link}'): {name} is {remedy}")
        return int(row[0])


async def _look_at(blocks: Sequence[Block]) -> None:
    """Looks at the rows of those that nobody looked at yet; in between the loop hears whether anybody still wants them."""
    for block in blocks:
        if not block.is_read:
            block.batch()
            await asyncio.sleep(0)


def hidden_columns(statement: Statement, schemas: Mapping[str, pa.Schema]) -> dict[str, list[str]]:
    """The system columns that each table of `schemas` is given: those that the statement names somewhere, unless the link has one so called."""
    named = statement.system_columns
    own = {name: {column.lower() for column in schema.names} for name, schema in schemas.items()}
    return {name: [column for column in _SYSTEM_TYPES if column in named - own[name] and name not in _NO_LINKS] for name in schemas}


def _part(told: Mapping[str, Any], since_ns: int | None = None, until_ns: int | None = None) -> Part:
    wanted = Wanted(told["link"], told["incarnation"], told["generation"], base64.b64decode(told["schema"]))
    return Part(wanted, told["first_sequence"], told["last_sequence"], since_ns, until_ns)


def table_of(schema: pa.Schema, blocks: Sequence[tuple[pa.RecordBatch, Block]], system: Sequence[str]) -> pa.Table:
    """The rows of the blocks, with these system columns behind their own; each comes with its batch in this schema."""
    if not system:
        return pa.Table.from_batches([batch for batch, _ in blocks], schema)
    wide = pa.schema([*schema, *(pa.field(column, _SYSTEM_TYPES[column]) for column in system)])
    batches = [
        pa.RecordBatch.from_arrays([*batch.columns, *(_system_column(column, block) for column in system)], schema=wide)
        for batch, block in blocks
    ]
    return pa.Table.from_batches(batches, wide)


def _system_column(name: str, block: Block) -> pa.Array:
    """One value for each row."""
    ends = [*(origin.first_row for origin in block.origins[1:]), block.batch().num_rows]
    runs = [(end, origin) for end, origin in zip(ends, block.origins, strict=True) if end > origin.first_row]
    kind = _SYSTEM_TYPES[name]
    match name:
        case "_seq":
            values = pa.array([origin.sequence for _, origin in runs], kind)
        case "_time":
            values = pa.array([origin.created_at_ns // 1000 for _, origin in runs], pa.int64()).cast(kind)
        case "_task":
            values = pa.array([origin.task for _, origin in runs], kind)
        case _:
            values = pa.array([origin.identity.hex() for _, origin in runs], kind)
    if len(runs) == 1:
        return pa.repeat(values[0], block.batch().num_rows)
    return pc.run_end_decode(pa.RunEndEncodedArray.from_arrays(pa.array([end for end, _ in runs], pa.int32()), values))


def _bounds(blocks: Sequence[Block], columns: Iterable[str], unknown: Collection[str]) -> pa.Table:
    """The least and the greatest of each column in each block; null where they are not known."""
    found: list[tuple[str, pa.DataType, list[Any], list[Any]]] = []
    schema = blocks[0].schema
    for name in columns:
        index = schema.get_field_index(name)
        if index < 0 and name in _SYSTEM_TYPES:
            of_blocks = [[_origin_value(name, origin) for origin in block.origins] for block in blocks]
            found.append((name, _SYSTEM_TYPES[name], [min(each) for each in of_blocks], [max(each) for each in of_blocks]))
            continue
        bounds = [block.bounds_of(name) if name not in unknown else None for block in blocks]
        least = [one.least.as_py() if one is not None else None for one in bounds]
        greatest = [one.greatest.as_py() if one is not None else None for one in bounds]
        found.append((name, schema.types[index] if index >= 0 else pa.null(), least, greatest))
    return bounds_table(found)


def _origin_value(name: str, origin: Any) -> Any:
    return {"_seq": origin.sequence, "_time": origin.created_at_ns // 1000, "_task": origin.task, "_value": origin.identity.hex()}[name]


def _in_schema(batch: pa.RecordBatch, schema: pa.Schema, part: Part) -> pa.RecordBatch:
    """Rows of one generation in the columns of all: those that it lacks are null."""
    if batch.schema.equals(schema):
        return batch
    return in_schema(batch, schema, link=f"{part.wanted.link} (generation {part.wanted.generation})")
