"""What a program is handed: values, and the inputs of a snapshot."""

from __future__ import annotations

import builtins
import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from linkd.client import html
from linkd.client.artifacts import Artifact, ArtifactRoad, content_of
from linkd.client.content import Content, Held, Part
from linkd.client.payloads import Arrived
from linkd.core.artifact_references import cells_of, file_of
from linkd.errors import Error, InvalidArgument
from linkd.limits import NOTEBOOK_ROWS
from linkd.model.values import Envelope
from linkd.wire.messages import envelope_of


class Value(Held):
    """One value of a link: its rows, and its envelope, which says where it comes from. `len(value)` counts rows.

    In a snapshot over windows of rows the first and the last value have only the rows that belong to it; the envelope is that of all of it.
    """

    __slots__ = ("_envelope", "_is_whole", "_part", "_road", "_rows")

    def __init__(self, part: Part, envelope: Envelope, rows: int | None = None, *, road: ArtifactRoad | None = None) -> None:
        """`rows` are those of `part`, where it is not all of the value."""
        self._part = part
        self._envelope = envelope
        self._rows = envelope.rows if rows is None else rows
        self._road = road
        self._is_whole = not cells_of(envelope.attributes)

    @staticmethod
    def of(arrived: Arrived, road: ArtifactRoad | None = None) -> Value:
        """`road` is how files that are values come."""
        header = arrived.header
        rows = header.end_row - header.first_row if header.end_row else None
        return Value(Part.of(arrived), envelope_of(header.envelope), rows, road=road)

    @property
    def envelope(self) -> Envelope:
        """All that is known of the value beside its rows."""
        return self._envelope

    @property
    def name(self) -> str:
        """The name that people use: `flown@42`."""
        return self._envelope.name

    def bytes(self) -> builtins.bytes:
        """The content of an opaque value. Raises InvalidArgument for a value of rows, as a publisher makes them of bytes that it gathers."""
        contents = self._whole().opaque()
        if contents is None:
            raise InvalidArgument(f"{self.name} holds rows, not bytes: use .rows(), .to_table(), .to_pandas() or .to_polars()")
        if len(contents) != 1:
            raise InvalidArgument(
                f'{self.name} holds {len(contents):,} rows of bytes that were gathered by a publisher: use [row["bytes"] for row in value.rows()]'
            )
        return contents[0]

    def load(self) -> Any:
        """Gets what does not come with the value because it is too large for one: cells above 64 MiB, whole. Returns the value.

        The synchronous face does it by itself when the rows are asked for; with `linkd.aio` it is to be awaited before that. Values without
        such cells are here as they are. Raises LinkNotFound, StateDamaged, ValueTooLarge for more than rows hold (2 GiB a column).
        """
        if self._road is None:
            raise InvalidArgument(f"{self.name} did not come over a connection: read it with client.read")
        return self.loaded() if self._road.wait is None else self._road.wait(self.loaded)

    async def loaded(self) -> Self:
        """As `load`, in the event loop of the connection."""
        if not self._is_whole and self._road is not None:
            self._part = await self._road.whole(self._part, self._envelope)
            self._is_whole = True
        return self

    def file(self) -> Artifact:
        """The file or directory that this value is: name, size, media type, digest. Raises InvalidArgument for a value that is none."""
        return Artifact.of(self._envelope)

    def save(self, path: str | os.PathLike[str]) -> Any:
        """Writes the file or directory that this value is, or its bytes, to `path`, and returns that; with `linkd.aio` to be awaited.

        Of any size, in bounded memory. A file has its name when all of it is there; a directory must not be there yet. Raises InvalidArgument for
        a value of rows, LinkNotFound, StateDamaged.
        """
        if self._road is None:
            raise InvalidArgument(f"{self.name} did not come over a connection: use client.save(value, path)")
        found = content_of(self._envelope)
        if found is None and file_of(self._envelope.attributes) is None:
            return self._road.written(self.bytes(), Path(path))
        return self._road.saved(found or self.file(), Path(path))

    def first_rows(self, limit: int) -> list[dict[str, Any]]:
        """The first `limit` rows as dicts."""
        return self._part.rows(limit)

    def _content(self) -> Content:
        return Content(self._envelope.link, (self._whole(),))

    def _whole(self) -> Part:
        if not self._is_whole:
            if self._road is None or self._road.wait is None:
                size_bytes = sum(one.size_bytes for one in cells_of(self._envelope.attributes))
                raise InvalidArgument(
                    f"{self.name} has large cells, of {size_bytes:,} bytes, which are not here yet: `await value.load()` first, or save() them"
                )
            self._road.wait(self.loaded)
        return self._part

    def _repr_html_(self) -> str:
        """For notebooks: where the value comes from, and its first rows. It is in memory already."""
        envelope = self._envelope
        by = f", by {envelope.task} {envelope.task_version[:8]}".rstrip() if envelope.task else ""
        note = f"{envelope.rows:,} rows, {envelope.size_bytes:,} bytes, generation {envelope.generation}{by}, id {envelope.id.hex()}"
        try:
            return html.row_table(self.name, self.first_rows(NOTEBOOK_ROWS), note)
        except (Error, ValueError, OverflowError) as error:
            return html.message(self.name, f"{note}\n{error}")

    def __len__(self) -> int:
        return self._rows

    def __bool__(self) -> bool:
        """A value is something, also when it has no rows."""
        return True

    def __repr__(self) -> str:
        rows = f"{self._rows:,} rows" if self._rows == self._envelope.rows else f"{self._rows:,} of {self._envelope.rows:,} rows"
        return f"<{type(self).__name__} {self.name}: {rows}, {self._envelope.size_bytes:,} bytes>"


class Settler(Protocol):
    """Takes what a program says about values that were handed to it on lease."""

    async def ack(self, value: LeasedValue) -> None: ...

    async def nack(self, value: LeasedValue, delay_s: float, reason: str) -> None: ...


class LeasedValue(Value):
    """A value that a subscription handed out on lease, until it is acked (done for ever) or given back.

    `async with value:` acks at the end of the block, and gives the value back if an exception leaves it.
    """

    __slots__ = ("__weakref__", "_settled", "_settler", "attempt", "token")

    def __init__(self, arrived: Arrived, settler: Settler, road: ArtifactRoad | None = None) -> None:
        super().__init__(Part.of(arrived), envelope_of(arrived.header.envelope), road=road)
        self.token: int = arrived.header.token
        self.attempt: int = arrived.header.attempt
        self._settler = settler
        self._settled = False

    @property
    def settled(self) -> bool:
        return self._settled

    async def ack(self) -> None:
        """This value is done. Returns when that is durable. Raises LeaseLost if it was handed to somebody else meanwhile."""
        self._settle()
        await self._settler.ack(self)

    async def nack(self, delay_s: float = 0.0, reason: str = "") -> None:
        """Gives the value back, to be handed out again after `delay_s` seconds at the earliest."""
        if delay_s < 0:
            raise InvalidArgument(f"delay_s is {delay_s:g}: it cannot be negative")
        self._settle()
        await self._settler.nack(self, delay_s, reason)

    def _settle(self) -> None:
        if self._settled:
            raise InvalidArgument(f"{self.name} was acked or given back already")
        self._settled = True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._settled:
            return
        if kind is None:
            await self.ack()
        else:
            await self.nack(reason=kind.__name__)


class Input(Held):
    """What a snapshot holds of one input link, whatever the number of its values: one table of them all."""

    __slots__ = ("_schema", "_values", "link")

    def __init__(self, link: str, values: Sequence[Value], schema: bytes = b"") -> None:
        self.link = link
        self._values = tuple(values)
        self._schema = schema

    @property
    def values(self) -> tuple[Value, ...]:
        """The values one by one, in the order of the link."""
        return self._values

    def load(self) -> Any:
        """As `Value.load`, of all values; with `linkd.aio` to be awaited."""
        road = next((value._road for value in self._values if value._road is not None), None)
        return self.loaded() if road is None or road.wait is None else road.wait(self.loaded)

    def schema_message(self) -> bytes:
        """The encapsulated Arrow schema message of the newest value; empty if nothing is known."""
        return self._values[-1]._part.schema or self._schema if self._values else self._schema

    def _content(self) -> Content:
        return Content(self.link, tuple(value._whole() for value in self._values), self._schema)

    async def loaded(self) -> Self:
        """As `load`, in the event loop of the connection."""
        for value in self._values:
            await value.loaded()
        return self

    def __len__(self) -> int:
        return sum(len(value) for value in self._values)

    def __bool__(self) -> bool:
        """An input is something, also when it has no rows."""
        return True

    def __repr__(self) -> str:
        return f"<Input {self.link}: {len(self):,} rows in {len(self._values):,} values>"
