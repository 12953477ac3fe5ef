"""What a program publishes, as payloads: Arrow where pyarrow is installed, else JSON lines that linkd types, or opaque bytes.

With pyarrow the rows are brought to the link's schema here, before anything is sent, so that a mismatch is met where it was made.
JSON lines are those of `proto/linkd/v1/value.proto`: times in ISO 8601, bytes in base64, NaN and infinities as text.
"""

from __future__ import annotations

import base64
import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from functools import partial
from typing import Any

from linkd.client.extras import is_installed, missing
from linkd.client.payloads import Payload
from linkd.errors import InvalidArgument, ValueTooLarge
from linkd.limits import INLINE_PAYLOAD_MAX_BYTES, JSON_ROW_MAX_BYTES, STREAM_FRAME_MAX_BYTES, VALUE_SIZE_MAX_BYTES
from linkd.wire.messages import ARROW, BYTES, ROWS
from linkd.wire.opaque import OPAQUE_COLUMN, OPAQUE_SCHEMA_MESSAGE, opaque_message


def encode(link: str, data: object, *, schema: bytes, declared: bool, inputs: Sequence[bytes]) -> tuple[Payload, ...]:
    """The values that publishing `data` makes, each at most `VALUE_SIZE_MAX_BYTES`.

    `schema` is the link's schema message, empty while there is none; then `inputs`, the schema messages of what the data was made from,
    lend their types to columns of the same name. Raises SchemaMismatch, InvalidArgument, ValueTooLarge, MissingExtra.
    """
    if isinstance(data, bytes | bytearray | memoryview):
        return encode_bytes(link, (bytes(data),), schema=schema, declared=declared)
    if is_installed("pyarrow"):
        from linkd.core.schema import to_arrow

        return _arrow(link, to_arrow(data), schema, declared, inputs)
    return tuple(_json_lines(link, _plain_rows(data)))


def encode_bytes(link: str, rows: Sequence[bytes], *, schema: bytes, declared: bool) -> tuple[Payload, ...]:
    """As `encode`, of rows that are opaque bytes, each at most `VALUE_SIZE_MAX_BYTES`."""
    size_bytes = sum(map(len, rows))
    if size_bytes > VALUE_SIZE_MAX_BYTES and (largest := max(map(len, rows))) > VALUE_SIZE_MAX_BYTES:
        raise ValueTooLarge(
            f"{link}: {largest:,} bytes, and a value has at most {VALUE_SIZE_MAX_BYTES:,}: publish it as a file: linkd.File(path)"
        )
    is_fresh = schema in (b"", OPAQUE_SCHEMA_MESSAGE)
    # To import pyarrow takes as long as a hundred thousand small rows take without it. A batch of its own may be written where it stays.
    is_one_large = len(rows) == 1 and size_bytes > INLINE_PAYLOAD_MAX_BYTES and "pyarrow" in sys.modules
    if is_fresh and size_bytes <= STREAM_FRAME_MAX_BYTES and not is_one_large:
        return (_opaque(rows),)
    if is_installed("pyarrow"):
        import pyarrow as pa

        from linkd.core.plain_columns import plain_column

        return _arrow(link, pa.table({OPAQUE_COLUMN: plain_column(rows)}), schema, declared, ())
    if is_fresh and size_bytes <= VALUE_SIZE_MAX_BYTES // 2:
        return (_opaque(rows),)
    return tuple(Payload(BYTES, 1, len(row), partial(_only, row)) for row in rows)


def _opaque(rows: Sequence[bytes]) -> Payload:
    message = opaque_message(rows)
    return Payload(ARROW, len(rows), len(message), partial(_only, message), OPAQUE_SCHEMA_MESSAGE)


def _only(part: bytes) -> Sequence[bytes]:
    return (part,)


def encode_tuples(
    link: str, rows: Sequence[tuple[Any, ...]], columns: Sequence[str], *, schema: bytes, declared: bool
) -> tuple[Payload, ...]:
    """As `encode`, of rows in the order of `columns`; where that is empty, of the link's."""
    names = columns or _column_names(link, schema)
    if is_installed("pyarrow"):
        from linkd.core.schema import from_tuples

        return _arrow(link, from_tuples(rows, names, link=link), schema, declared, ())
    for number, row in enumerate(rows, 1):
        if len(row) != len(names):
            raise InvalidArgument(f"{link}: row {number} has {len(row)} values, and there are {len(names)} columns: give one for each")
    return tuple(_json_lines(link, [dict(zip(names, row, strict=True)) for row in rows]))


def _column_names(link: str, schema: bytes) -> Sequence[str]:
    if schema and is_installed("pyarrow"):
        import pyarrow as pa

        names: list[str] = pa.ipc.read_schema(pa.py_buffer(schema)).names
        return names
    why = "which take pyarrow to be read: pip install 'linkd[arrow]', or" if schema else "as nothing was published to it: publish dicts, or"
    raise InvalidArgument(f"{link}: tuples are rows in the order of its columns, {why} name them: publisher({link!r}, columns=[...])")


def _arrow(link: str, table: Any, schema: bytes, declared: bool, inputs: Sequence[bytes]) -> tuple[Payload, ...]:
    import pyarrow as pa

    from linkd.core import schema as schemas
    from linkd.core.evolution import grown

    if schema:
        kept = pa.ipc.read_schema(pa.py_buffer(schema))
    else:
        kept = schemas.kept_schema(table, None, [pa.ipc.read_schema(pa.py_buffer(message)) for message in inputs if message])
    rows = grown(table, kept, declared=declared, link=link)
    batches = schemas.split(rows, VALUE_SIZE_MAX_BYTES, link=link)
    message = rows.schema.serialize().to_pybytes()
    return tuple(_batch_payload(batch, message) for batch in batches)


def _batch_payload(batch: Any, message: bytes) -> Payload:
    import pyarrow as pa

    return Payload(ARROW, batch.num_rows, pa.ipc.get_record_batch_size(batch), partial(_batch_content, batch), message, batch)


def _batch_content(batch: Any) -> Sequence[memoryview]:
    from linkd.core.payload import payload_parts

    return payload_parts(batch)


def _plain_rows(data: object) -> Sequence[Mapping[str, Any]]:
    """Rows of what can be published without pyarrow."""
    if isinstance(data, Mapping):
        columns = {name: list(column) for name, column in data.items()}
        if len({len(column) for column in columns.values()}) > 1:
            raise InvalidArgument("the columns have different numbers of rows")
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    if isinstance(data, Sequence) and not isinstance(data, str):
        for number, row in enumerate(data, 1):
            if not isinstance(row, Mapping):
                raise InvalidArgument(f"row {number} is {type(row).__name__}: in a list of rows each is a dict")
        return data
    if hasattr(data, "__arrow_c_stream__") or hasattr(data, "__arrow_c_array__"):
        raise missing("pyarrow", f"publishing {type(data).__name__}")
    raise InvalidArgument(f"cannot publish {type(data).__name__}: give a data frame, a dict of columns, a list of dicts, or bytes")


def _json_lines(link: str, rows: Sequence[Mapping[str, Any]]) -> Iterator[Payload]:
    if not rows:
        raise InvalidArgument(f"{link}: no rows, and without pyarrow no columns either: pip install 'linkd[arrow]', or publish a row")
    lines: list[bytes] = []
    size_bytes = 0
    for number, row in enumerate(rows, 1):
        line = json.dumps({str(name): _json_value(name, value) for name, value in row.items()}, ensure_ascii=False).encode() + b"\n"
        if len(line) > JSON_ROW_MAX_BYTES:
            raise ValueTooLarge(f"{link}: row {number} has {len(line):,} bytes of JSON, and a row at most {JSON_ROW_MAX_BYTES:,}")
        if size_bytes + len(line) > VALUE_SIZE_MAX_BYTES:
            yield _line_payload(lines)
            lines, size_bytes = [], 0
        lines.append(line)
        size_bytes += len(line)
    yield _line_payload(lines)


def _line_payload(lines: list[bytes]) -> Payload:
    content = b"".join(lines)
    return Payload(ROWS, len(lines), len(content), partial(_only, content))


def _json_value(name: object, value: Any) -> Any:
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        if math.isnan(value):
            return "NaN"
        return value if math.isfinite(value) else ("Infinity" if value > 0 else "-Infinity")
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, Mapping):
        return {str(key): _json_value(name, item) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [_json_value(name, item) for item in value]
    raise InvalidArgument(
        f"column `{name}` holds {type(value).__name__}, which JSON cannot hold: convert it, or pip install 'linkd[arrow]'"
    )
