"""DuckDB, closed on all sides, run once: a checked SELECT over given tables, its rows as Arrow batches.

Every run has a database of its own in memory: no files, no extensions, no settings that a query could change, and no tables but the links
it may read. Rows come as plain Arrow types: HUGEINT (the sum of a BIGINT column) as int64, ENUM, UUID and JSON as string, times in UTC.

For the result of a task (`deterministic`) equal inputs give equal bytes: a result without a top-level ORDER BY is ordered by all its
columns, nulls last; a statement whose result depends on the order in which rows are met runs on one thread; values are cut at
`ROWS_PER_VALUE` rows; and every column must have a name that a person gave.
"""

from __future__ import annotations

import os
import re
import threading
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Self

import duckdb
import pyarrow as pa
from duckdb.value.constant import DoubleValue, LongValue

from linkd import limits
from linkd.core import arrow_compute as pc
from linkd.core.arrow_types import plain_type
from linkd.core.casts import CastLoses, as_array, plain_array
from linkd.core.pipeline import ParamValue
from linkd.errors import Error, QueryInvalid, SchemaMismatch
from linkd.model.frozen import frozen
from linkd.query.diagnosis import run_error, streamed_error
from linkd.query.durations import check_durations
from linkd.query.explanation import EXPLAINED, told
from linkd.query.rewriting import text_to_run
from linkd.query.statement import Statement

_WIDE_INTEGERS = frozenset({"hugeint", "uhugeint"})
_NO_LINK_TYPE = re.compile(r"\b(HUGEINT|UHUGEINT|BIT|UNION|VARIANT|GEOMETRY|TIME WITH TIME ZONE)\b")
_WORD = re.compile(r"[^\W\d]\w*")
_CALL = re.compile(r"([a-z]\w*)\(")
NO_PARAMETERS: Mapping[str, ParamValue] = MappingProxyType({})
NO_VALUES: Mapping[str, Any] = MappingProxyType({})
NOTHING_HIDDEN: Mapping[str, Collection[str]] = MappingProxyType({})


@frozen()
class Result:
    """The rows of a running query: `batches` may be taken once, inside the `with` that gave this.

    `interrupt` may be called from any thread; the next batch then raises `QueryInvalid`.
    """

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]
    _watch: Watch

    def interrupt(self) -> None:
        self._watch.stop("the query was interrupted")


@dataclass(slots=True)
class Database:
    """A database in memory, closed on all sides; its statements see the tables they are given and nothing of each other. `close` it."""

    connection: duckdb.DuckDBPyConnection

    @staticmethod
    def open(spill_dir: Path, *, memory_limit_bytes: int, threads: int, spill_bytes: int | None = None) -> Database:
        """`spill_dir` is private to it and need not exist; it takes at most `spill_bytes` there."""
        config: dict[str, str | bool | int | float | list[str]] = {
            "enable_external_access": False,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "allow_community_extensions": False,
            "python_enable_replacements": False,
            "memory_limit": f"{memory_limit_bytes}B",
            "temp_directory": str(spill_dir),
            "threads": threads,
        }
        connection = duckdb.connect(":memory:", config=config)
        if spill_bytes is not None:  # among the settings above DuckDB says that it has taken it, and does not hold it
            connection.execute(f"SET GLOBAL max_temp_directory_size = '{spill_bytes}B'")
        connection.execute("SET GLOBAL TimeZone = 'UTC'")
        connection.execute("SET lock_configuration = true")
        return Database(connection)

    @staticmethod
    def of_process(directory: Path, spill_bytes: int) -> Database:
        """The one of a process that runs statements, which is to have as much of the machine as a query may; spills below `directory`."""
        threads = min(limits.QUERY_THREADS_MAX, os.cpu_count() or 1)
        return Database.open(
            directory / "duckdb", memory_limit_bytes=limits.QUERY_MEMORY_MAX_BYTES, threads=threads, spill_bytes=spill_bytes
        )

    def close(self) -> None:
        self.connection.close()

    @contextmanager
    def select(
        self,
        statement: Statement,
        tables: Mapping[str, pa.Table],
        *,
        text: str = "",
        watch: Watch,
        deterministic: bool = False,
        values: Mapping[str, Any] = NO_VALUES,
    ) -> Iterator[Result]:
        """As `run_select`, with `text` in place of its own; `values` are as DuckDB takes them. Not for several statements at once."""
        bound = self.bind(statement, tables, text=text, watch=watch, deterministic=deterministic, values=values)
        with closing(bound), bound.run(watch) as result:
            yield result

    def bind(
        self,
        statement: Statement,
        tables: Mapping[str, pa.Table],
        *,
        text: str = "",
        watch: Watch,
        deterministic: bool = False,
        explained: bool = False,
        values: Mapping[str, Any] = NO_VALUES,
    ) -> BoundStatement:
        """What `select` runs, or how it would if it is `explained`, as often as the tables stay what they are. `close` it."""
        connection = self.connection.cursor()
        try:
            with watch.over(connection, statement.text), watch.errors():
                check_durations(statement, tables)
                for name, table in tables.items():
                    connection.register(name, table)
                # The line end closes a comment, which would otherwise hide what DuckDB writes behind the text.
                relation = _relation(connection, f"{text or statement.text}\n", values)
                if deterministic:
                    _check_names(relation.columns, statement)
                    if not statement.ordered:
                        relation = _ordered(connection, relation, text or statement.text, values)
                return BoundStatement(statement.text, connection, relation, deterministic, explained)
        except BaseException:
            connection.close()
            raise

    def schema_of(self, text: str, tables: Mapping[str, pa.Table], values: Mapping[str, Any], watch: Watch) -> pa.Schema:
        """The schema of what a statement gives, found over `tables`, which hold no rows."""
        with closing(self.connection.cursor()) as connection, watch.over(connection, text), watch.errors():
            for name, table in tables.items():
                connection.register(name, table)
            relation = _relation(connection, f"{text}\n", values)
            names = relation.columns  # those of a part of it are no others, but no two of them are the same
            # What has parameters is a result, of which no part can be asked for.
            part = _relation(connection, f"SELECT * FROM ({text}\n) LIMIT 0", values) if values else relation.limit(0)
            schema = _result_schema(part, part.to_arrow_reader(1).schema)
            return pa.schema([field.with_name(name) for field, name in zip(schema, names, strict=True)])


@dataclass(slots=True)
class BoundStatement:
    """A statement over its tables, on a connection of its own: no other statement sees these. Runs do not overlap."""

    sql: str
    connection: duckdb.DuckDBPyConnection
    relation: duckdb.DuckDBPyRelation
    deterministic: bool
    explained: bool
    _schema: pa.Schema | None = None

    @contextmanager
    def run(self, watch: Watch) -> Iterator[Result]:
        """What it gives now. One that has failed, or whose rows were not all taken, is not run again."""
        with watch.over(self.connection, self.sql):
            with watch.errors():
                if self.explained:
                    schema, batches = EXPLAINED, iter([told(self.relation.explain())])
                else:
                    reader = self.relation.to_arrow_reader(limits.ROWS_PER_VALUE)
                    schema = self._schema = self._schema or _result_schema(self.relation, reader.schema)
                    batches = _link_batches(reader, schema, watch)
            yield Result(schema, _cut(batches, schema) if self.deterministic else batches, watch)

    def close(self) -> None:
        self.connection.close()


@contextmanager
def run_select(
    statement: Statement,
    tables: Mapping[str, pa.Table],
    *,
    spill_dir: Path,
    memory_limit_bytes: int = limits.QUERY_MEMORY_MAX_BYTES,
    threads: int = 1,
    timeout_s: float = limits.QUERY_TIMEOUT_S,
    deterministic: bool = False,
    parameters: Mapping[str, ParamValue] = NO_PARAMETERS,
    hidden: Mapping[str, Collection[str]] = NOTHING_HIDDEN,
) -> Iterator[Result]:
    """Run a checked statement over `tables` (link -> rows), which are all it may read; `spill_dir` is private to it and need not exist.

    `hidden` names the system columns that tables have, which `SELECT *` does not show. `parameters` has a value for each that the statement names;
    whole numbers are BIGINT, others DOUBLE.

    Raises, here or while batches are taken: `QueryInvalid` for what cannot be bound or run, or takes longer than `timeout_s`;
    `SchemaMismatch` for a result that a link cannot hold; `StorageFailed` where temporary files cannot be written.
    """
    statement.check_reads(tables)
    read = {name: tables[name] for name in statement.tables}
    values = {name: bound(parameters[name]) for name in statement.parameters}
    one_thread = deterministic and statement.order_sensitive
    database = Database.open(spill_dir, memory_limit_bytes=memory_limit_bytes, threads=1 if one_thread else threads)
    with closing(database), Watch(timeout_s) as watch:
        text = text_to_run(statement, hidden, database.connection)
        with database.select(statement, read, text=text, watch=watch, deterministic=deterministic, values=values) as result:
            yield result


def bound(value: Any) -> Any:
    """The value of a parameter in a type that does not depend on how large it is."""
    match value:
        case bool():
            return value
        case int() if -(2**63) <= value < 2**63:
            return LongValue(value)
        case float():
            return DoubleValue(value)
        case _:
            return value


def _relation(connection: duckdb.DuckDBPyConnection, text: str, values: Mapping[str, Any]) -> duckdb.DuckDBPyRelation:
    """What a text gives. Of one that cannot be bound DuckDB says the place to `execute` alone, which comes no further than this."""
    try:
        return connection.sql(text, params=dict(values) or None)
    except duckdb.BinderException:
        connection.execute(text, dict(values) or None)
        raise


def _ordered(
    connection: duckdb.DuckDBPyConnection, relation: duckdb.DuckDBPyRelation, text: str, values: Mapping[str, Any]
) -> duckdb.DuckDBPyRelation:
    """The rows in the order of all their columns."""
    order = ", ".join(f"{_quoted(name)} ASC NULLS LAST" for name in relation.columns)
    if not values:
        return relation.order(order)
    relation.close()  # what has parameters is a result, on which nothing can be built; it was not run yet
    return connection.sql(f"SELECT * FROM ({text}\n) ORDER BY {order}", params=dict(values) or None)


class Watch:
    """Ends a query that takes too long or is no longer wanted, and says which of the two it was. Its time is that of its `with`; without
    `timeout_s` somebody else looks at the clock.

    `stop` may be called from any thread.
    """

    def __init__(self, timeout_s: float | None = None) -> None:
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._sql = ""
        self._reason = ""
        self._timer: threading.Timer | None = None
        if timeout_s is not None:
            self._timer = threading.Timer(timeout_s, self.stop, [f"the query was stopped: it took longer than {timeout_s:g} s"])
            self._timer.daemon = True

    def __enter__(self) -> Self:
        if self._timer is not None:
            self._timer.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer.join()

    @contextmanager
    def over(self, connection: duckdb.DuckDBPyConnection, sql: str) -> Iterator[None]:
        """What is stopped is what runs on this connection, for the length of the block."""
        self._connection, self._sql = connection, sql
        try:
            yield
        finally:
            self._connection = None

    def stop(self, reason: str) -> None:
        self._reason = self._reason or reason
        connection = self._connection
        if connection is not None:
            connection.interrupt()

    @contextmanager
    def errors(self) -> Iterator[None]:
        """What DuckDB raises inside, as errors of linkd."""
        try:
            if self._reason:
                raise QueryInvalid(self._reason)
            yield
        except duckdb.Error as error:
            raise self._error(error) from None
        except OSError as error:
            streamed = streamed_error(error)
            if streamed is None:
                raise
            raise self._error(streamed) from None

    def _error(self, error: duckdb.Error) -> Error:
        if isinstance(error, duckdb.InterruptException):
            return QueryInvalid(self._reason or "the query was interrupted")
        return run_error(error, self._sql)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _check_names(columns: list[str], statement: Statement) -> None:
    """The columns of a task's result become those of a link: each needs one name, and one that a later DuckDB would give it too."""
    if "" in columns:
        raise QueryInvalid(f"column {columns.index('') + 1} of the result has no name: give it one with AS")
    for name, count in Counter(column.lower() for column in columns).items():
        if count > 1:
            raise QueryInvalid(f"the result has {count} columns named `{name}`: give each a name of its own with AS")
    if statement.unnamed:
        for name in columns:
            if name not in statement.named and not _WORD.fullmatch(name):
                raise QueryInvalid(f"the result has a column without a name, `{name}`: give it one, e.g. ... AS {_short(name)}")


def _short(name: str) -> str:
    """A name to suggest: `count_star()` is best called `count`."""
    call = _CALL.match(name)
    return call[1].removesuffix("_star") if call else "value"


def _result_schema(relation: duckdb.DuckDBPyRelation, given: pa.Schema) -> pa.Schema:
    fields = []
    for name, duck_type, arrow_type in zip(relation.columns, relation.types, given.types, strict=True):
        if duck_type.id in _WIDE_INTEGERS:
            fields.append(pa.field(name, pa.int64()))
            continue
        if unfit := _NO_LINK_TYPE.search(str(duck_type)):
            raise SchemaMismatch(f"column `{name}` of the result is {duck_type}, and {unfit[1]} has no place in a link: CAST it")
        fields.append(pa.field(name, plain_type(arrow_type)))
    return pa.schema(fields)


def _link_batches(reader: pa.RecordBatchReader, schema: pa.Schema, watch: Watch) -> Iterator[pa.RecordBatch]:
    while True:
        with watch.errors():
            try:
                batch = reader.read_next_batch()
            except StopIteration:
                return
        arrays = [_link_array(array, field) for array, field in zip(batch.columns, schema, strict=True)]
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def _link_array(array: Any, field: pa.Field) -> pa.Array:
    if pa.types.is_int64(field.type) and pa.types.is_decimal(array.type):
        try:
            return pc.cast(array, pa.int64(), safe=True)
        except pa.ArrowInvalid:
            raise SchemaMismatch(
                f"column `{field.name}` of the result does not fit int64 (at most {2**63 - 1:,}): CAST it AS DECIMAL(38, 0) or DOUBLE"
            ) from None
    try:
        return plain_array(array)
    except CastLoses as error:
        raise SchemaMismatch(f"column `{field.name}` of the result: {error.reason}") from None


def _cut(batches: Iterator[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """The same rows in batches of exactly `ROWS_PER_VALUE`, the last one shorter; one batch of no rows if there are none."""
    waiting = pa.Table.from_batches([], schema)
    empty = True
    for batch in batches:
        waiting = pa.concat_tables([waiting, pa.Table.from_batches([batch])])
        while waiting.num_rows >= limits.ROWS_PER_VALUE:
            yield _one_batch(waiting.slice(0, limits.ROWS_PER_VALUE))
            waiting = waiting.slice(limits.ROWS_PER_VALUE)
            empty = False
    if waiting.num_rows or empty:
        yield _one_batch(waiting)


def _one_batch(table: pa.Table) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([as_array(column) for column in table.columns], schema=table.schema)
