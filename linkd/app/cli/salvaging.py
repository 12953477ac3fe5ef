"""`linkd cat --salvage`: what is whole of a link, read from the files of a directory, however damaged the rest is. Importing it imports pyarrow."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from linkd.app.cli.delivery import Destination, deliver
from linkd.app.cli.terminal import remark
from linkd.app.wording import sequence_text
from linkd.core.value_names import BySequence, ExtentName, parse_value_name
from linkd.errors import EXIT_DONE, EXIT_STATE, UsageFault
from linkd.store.files import LocalFiles
from linkd.store.offline.salvage import Salvage


def salvage(state: Path, named: ExtentName, generation: int | None, destination: Destination, *, quiet: bool) -> int:
    """Writes every value of the extent that is whole, and says which are not; the exit code says whether any is not. Raises LinkNotFound."""
    first, last = _sequence(named.first), _sequence(named.last)
    found = Salvage(LocalFiles(), state, named.link)
    try:
        found.look(generation)
        schema = pa.unify_schemas([_schema(message) for message in found.schemas()], promote_options="permissive")
        reader = pa.RecordBatchReader.from_batches(schema, _batches(found, schema, first or 1, last))
        delivered = deliver(reader, destination, named.link, quiet=quiet)
        missing = [one for one in found.missing() if one[1] >= (first or 1) and (last is None or one[0] <= last)]
    finally:
        found.close()
    said = f"{named.link}, generation {found.generation}: {delivered.made or f'{delivered.rows:,} rows'} that are whole"
    remark(said, quiet=quiet)
    for begin, end in missing:
        remark(f"not whole: {sequence_text(named.link, begin, end)}")
    return EXIT_STATE if missing else EXIT_DONE


def _sequence(name: str) -> int | None:
    """The sequence that an end of the extent names; None for an open one."""
    if not name:
        return None
    value = parse_value_name(name)
    if not isinstance(value, BySequence):
        raise UsageFault(f"{name}: with --salvage values are named by their sequence, such as flown@3..17")
    return value.sequence


def _schema(message: bytes) -> pa.Schema:
    return pa.ipc.read_schema(pa.py_buffer(message))


def _batches(found: Salvage, schema: pa.Schema, first: int, last: int | None) -> Iterator[pa.RecordBatch]:
    for value in found.values(first, last):
        batch = pa.ipc.read_record_batch(pa.py_buffer(value.payload), _schema(value.schema))
        batch.validate(full=True)
        if batch.schema.equals(schema):
            yield batch
            continue
        columns = [
            batch.column(field.name).cast(field.type) if field.name in batch.schema.names else pa.nulls(batch.num_rows, field.type)
            for field in schema
        ]
        yield pa.RecordBatch.from_arrays(columns, schema=schema)
