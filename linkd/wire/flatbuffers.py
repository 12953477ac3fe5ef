"""The tables of a flatbuffer, read from bytes of a stranger's: what is asked for lies inside them, or it is `InvalidArgument`.

Little-endian. A table begins with the distance back to its vtable, int32. A vtable is its own length and the table's in bytes, uint16 each,
and for each field its distance from the table's start, uint16; 0, or a vtable that ends before: the field is absent. A string, a vector
and a table in a field are a uint32 distance forward; strings and vectors begin with their count, uint32.
"""

from __future__ import annotations

from linkd.errors import InvalidArgument


class Flatbuffer:
    """Bytes in which every read is checked to lie inside."""

    __slots__ = ("_view",)

    def __init__(self, view: memoryview) -> None:
        self._view = view.cast("B")

    def slice(self, at: int, length: int) -> memoryview:
        if at < 0 or length < 0 or at + length > len(self._view):
            raise InvalidArgument(f"the metadata of an Arrow IPC message is damaged: it points to {at}, but has {len(self._view)} bytes")
        return self._view[at : at + length]

    def integer(self, at: int, length: int, signed: bool = False) -> int:
        return int.from_bytes(self.slice(at, length), "little", signed=signed)

    def uint32(self, at: int) -> int:
        return self.integer(at, 4)


class Table:
    """A flatbuffer table at `at`. Fields are asked for by index; a field that is absent has its default."""

    __slots__ = ("_data", "_vtable", "at")

    def __init__(self, data: Flatbuffer, at: int) -> None:
        self._data = data
        self.at = at
        vtable_at = at - data.integer(at, 4, signed=True)
        self._vtable = data.slice(vtable_at, data.integer(vtable_at, 2))

    def _field(self, index: int) -> int | None:
        slot = 4 + 2 * index
        if slot + 2 > len(self._vtable):
            return None
        distance = int.from_bytes(self._vtable[slot : slot + 2], "little")
        return self.at + distance if distance else None

    def _scalar(self, index: int, default: int, length: int, signed: bool) -> int:
        at = self._field(index)
        return default if at is None else self._data.integer(at, length, signed)

    def uint8(self, index: int, default: int) -> int:
        return self._scalar(index, default, 1, signed=False)

    def int16(self, index: int, default: int) -> int:
        return self._scalar(index, default, 2, signed=True)

    def int64(self, index: int, default: int) -> int:
        return self._scalar(index, default, 8, signed=True)

    def table(self, index: int) -> Table | None:
        at = self._field(index)
        return None if at is None else Table(self._data, at + self._data.uint32(at))

    def _vector(self, index: int, item_bytes: int) -> tuple[int, int]:
        """Where the items of a vector begin, and how many there are; all of them are inside."""
        field = self._field(index)
        if field is None:
            return 0, 0
        at = field + self._data.uint32(field)
        count = self._data.uint32(at)
        self._data.slice(at + 4, count * item_bytes)
        return at + 4, count

    def structs(self, index: int, item_bytes: int) -> memoryview:
        at, count = self._vector(index, item_bytes)
        return self._data.slice(at, count * item_bytes)

    def tables(self, index: int) -> list[Table]:
        at, count = self._vector(index, 4)
        return [Table(self._data, slot + self._data.uint32(slot)) for slot in range(at, at + 4 * count, 4)]

    def string(self, index: int) -> bytes:
        at, length = self._vector(index, 1)
        return bytes(self._data.slice(at, length))
