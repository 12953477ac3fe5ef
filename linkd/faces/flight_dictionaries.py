"""Uploads with dictionary-encoded columns, which a link does not have: their batches are decoded as they come.

Arrow itself remembers the dictionaries: it reads the upload as one stream, of which it is given a message at a time. What it reads was checked
(`wire.arrow_ipc`), what it gives is looked at, and nothing is unpacked that would be larger than a value may be.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from linkd.errors import InvalidArgument, ValueTooLarge
from linkd.limits import FLIGHT_DICTIONARIES_MAX_BYTES, VALUE_SIZE_MAX_BYTES
from linkd.wire.arrow_ipc import Bytes, prefix


class _Messages:
    """A file that has what was put into it and was not read yet."""

    closed = False

    def __init__(self) -> None:
        self._waiting = bytearray()

    def put(self, *parts: Bytes) -> None:
        for part in parts:
            self._waiting += part

    def read(self, size: int = -1) -> bytes:
        end = len(self._waiting) if size < 0 else size
        found = bytes(self._waiting[:end])
        del self._waiting[:end]
        return found


@dataclass(slots=True)
class Dictionaries:
    """Those of one upload, whose schema message is `schema`."""

    schema: bytes
    _messages: _Messages = field(default_factory=_Messages)
    _sizes: dict[int, int] = field(default_factory=dict)
    _reader: Any = None

    def take(self, number: int, header: bytes, body: Bytes) -> None:
        """A dictionary, in place of the one that had this number. Raises ValueTooLarge."""
        self._sizes[number] = len(header) + len(body)
        if sum(self._sizes.values()) > FLIGHT_DICTIONARIES_MAX_BYTES:
            raise ValueTooLarge(
                f"the dictionaries of an upload take more than {FLIGHT_DICTIONARIES_MAX_BYTES:,} bytes: "
                "send decoded columns (in pyarrow: column.dictionary_decode())"
            )
        self._messages.put(prefix(len(header)), header, body)

    def decoded(self, header: bytes, body: Bytes) -> tuple[bytes, memoryview]:
        """The schema message and the payload of a record batch, in plain columns. Raises InvalidArgument, ValueTooLarge."""
        import pyarrow as pa

        from linkd.core.casts import CastLoses, plain_array
        from linkd.core.payload import payload
        from linkd.core.unpacking import unpacked_bytes

        try:
            if self._reader is None:
                before, self._messages = self._messages, _Messages()
                self._messages.put(self.schema, before.read())
                self._reader = pa.ipc.open_stream(pa.PythonFile(self._messages, mode="r"))
            self._messages.put(prefix(len(header)), header, body)
            batch = self._reader.read_next_batch()
            batch.validate(full=True)
            size_bytes = unpacked_bytes(batch)
            if size_bytes > VALUE_SIZE_MAX_BYTES:
                raise ValueTooLarge(
                    f"a record batch has {size_bytes:,} bytes when its dictionaries are decoded; at most {VALUE_SIZE_MAX_BYTES:,}: "
                    "send batches of fewer rows (in pyarrow: writer.write_table(table, max_chunksize=65_536))"
                )
            columns = [plain_array(column) for column in batch.columns]
        except (pa.ArrowException, StopIteration, OSError) as error:
            raise InvalidArgument(f"a record batch with dictionaries cannot be read ({type(error).__name__})") from None
        except CastLoses as error:
            raise ValueTooLarge(f"a record batch with dictionaries cannot be decoded: {error.reason}") from None
        return payload(pa.RecordBatch.from_arrays(columns, names=batch.schema.names))
