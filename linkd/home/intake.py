"""What arrives becomes a draft and a stored payload: any format, brought to the link's schema.

The fast path touches no pyarrow: one Arrow IPC message whose schema message is, byte for byte, the one the link has, and opaque bytes.
Everything else (other layouts of the same schema, other schemas, whole IPC streams, JSON rows) goes through `core.schema`, off the event
loop when it is large.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field, replace
from typing import Any, TypeVar

import xxhash

from linkd.core.publishing import Draft
from linkd.errors import Error, InvalidArgument, ValueTooLarge
from linkd.home.home import Home
from linkd.limits import (
    ATTRIBUTES_MAX,
    ENVELOPE_MAX_BYTES,
    HASHED_ON_LOOP_MAX_BYTES,
    INLINE_PAYLOAD_MAX_BYTES,
    SCHEMA_MAX_BYTES,
    STREAM_FRAME_MAX_BYTES,
    VALUE_SIZE_MAX_BYTES,
)
from linkd.model.frozen import frozen
from linkd.model.values import Producer
from linkd.store.shared_files import PlacedPayload
from linkd.store.staging import Piece, StagedPayload
from linkd.wire import arrow_ipc
from linkd.wire.opaque import OPAQUE_SCHEMA_ID, OPAQUE_SCHEMA_MESSAGE, opaque_parts

T = TypeVar("T")

ARROW = "arrow"
ROWS = "rows"
BYTES = "bytes"


@frozen()
class Incoming:
    """A value as it came: in `form` (`arrow`, `rows`, `bytes`), with the schema message that goes with it if there is one.

    `parts` are its bytes one behind the other, as they came over the wire.
    """

    link: str
    form: str
    parts: tuple[Piece, ...]
    schema: bytes = b""
    attributes: Mapping[str, str] = field(default_factory=dict)
    producer: Producer = Producer()
    placed: PlacedPayload | None = None
    """In place of `parts`: it lies where its publisher wrote it."""

    @property
    def size_bytes(self) -> int:
        return self.placed.size_bytes if self.placed is not None else sum(map(len, self.parts))

    def discard(self) -> None:
        """It will not be published: where it lies, it lies for nothing."""
        if self.placed is not None:
            self.placed.discard()

    def payload(self) -> bytes:
        """All of it, joined."""
        return self.placed.message() if self.placed is not None else b"".join(self.parts)


@frozen()
class Prepared:
    """A draft and its payload, as the store takes them."""

    draft: Draft
    payload: StagedPayload | PlacedPayload


@frozen()
class Target:
    """The schema that a value must have: the link's, if it has one yet; `inputs` are the schema messages of what it is made from."""

    schema_id: bytes = b""
    schema: bytes = b""
    declared: bool = False
    inputs: tuple[bytes, ...] = ()
    came_later: bool = False
    """The schema has grown since the value was taken: columns that it lacks are null."""


NO_TARGET = Target()


async def prepare(home: Home, incoming: Incoming, target: Target) -> list[Prepared]:
    """The values that `incoming` is: one, or as many as its IPC stream has batches.

    Raises SchemaMismatch, ValueTooLarge, InvalidArgument, LinkNotFound for an artifact that it names and that is not there. Cancelling leaves
    nothing behind.
    """
    check_attributes(incoming)
    home.artifacts.check(incoming.link, incoming.attributes)
    if incoming.placed is not None and _is_stored_as_sent(incoming, target):
        return [_draft(incoming, target.schema_id, target.schema, incoming.placed)]
    if _is_stored_as_sent(incoming, target):
        xxh3 = await _xxh3(incoming)
        return [_stage(home, incoming, target.schema_id, target.schema, incoming.parts, xxh3=xxh3)]
    if incoming.placed is None and target.schema in (b"", OPAQUE_SCHEMA_MESSAGE) and _is_opaque(incoming):
        is_small = incoming.size_bytes <= HASHED_ON_LOOP_MAX_BYTES
        parts, xxh3 = _opaque_parts(incoming) if is_small else await asyncio.to_thread(_opaque_parts, incoming)
        return [_stage(home, incoming, OPAQUE_SCHEMA_ID, OPAQUE_SCHEMA_MESSAGE, parts, xxh3=xxh3)]
    made = await _converted(home, incoming, target)
    prepared: list[Prepared] = []
    widens = target.schema_id
    try:
        for schema_id, schema, payload, xxh3 in made:
            prepared.append(_stage(home, incoming, schema_id, schema, (payload,), widens, xxh3=xxh3))
            widens = schema_id
    except Error:
        discard(prepared)
        raise
    return prepared


async def _converted(home: Home, incoming: Incoming, target: Target) -> list[tuple[bytes, bytes, memoryview, int]]:
    """See `_convert`. What its publisher placed takes memory only here, where it is read."""
    placed, read_bytes = incoming.placed, 0
    try:
        if placed is not None:
            await home.memory.take(placed.size_bytes)
            read_bytes = placed.size_bytes
        return await _off_loop(incoming.size_bytes, lambda: _convert(incoming, target))
    finally:
        home.memory.give(read_bytes)
        if placed is not None:
            placed.discard()


def _is_opaque(incoming: Incoming) -> bool:
    return incoming.form == BYTES or (incoming.form == ARROW and incoming.schema == OPAQUE_SCHEMA_MESSAGE)


def _opaque_parts(incoming: Incoming) -> tuple[Sequence[Piece], int]:
    """The message of opaque bytes, in parts, and its xxh3: made without pyarrow."""
    parts = opaque_parts((incoming.payload(),)) if incoming.form == BYTES else incoming.parts
    return parts, _digest(parts)


def _is_stored_as_sent(incoming: Incoming, target: Target) -> bool:
    return incoming.form == ARROW and bool(incoming.schema) and incoming.schema == target.schema


async def sent_xxh3(incoming: Incoming, prepared: Sequence[Prepared] = (), target: Target = NO_TARGET) -> int:
    """The xxh3 of the payload as it came, which for one that was `prepared` as it came is known already."""
    if prepared and _is_stored_as_sent(incoming, target):
        return prepared[0].payload.xxh3

    return incoming.placed.xxh3 if incoming.placed is not None else await _xxh3(incoming)


async def _xxh3(incoming: Incoming) -> int:
    if incoming.size_bytes <= HASHED_ON_LOOP_MAX_BYTES:
        return _digest(incoming.parts)
    return await asyncio.to_thread(_digest, incoming.parts)


def _digest(parts: Iterable[Piece]) -> int:
    state = xxhash.xxh3_64()
    for part in parts:
        state.update(part)
    return int(state.intdigest())


def misfits(prepared: Prepared, target: Target) -> bool:
    """Whether the value was made for another schema than the one its link has by now."""
    draft = prepared.draft
    return bool(target.schema_id) and target.schema_id not in (draft.schema_id, draft.widens)


async def prepare_again(home: Home, prepared: Prepared, target: Target) -> Prepared:
    """Another form of a staged value, of a schema that its link got in the meantime. The one there is stays, for the caller to drop."""
    draft = prepared.draft
    incoming = Incoming(draft.link, ARROW, (prepared.payload.message(),), draft.schema, draft.attributes)
    made = await prepare(home, incoming, replace(target, came_later=True))
    if len(made) != 1:
        discard(made)
        raise ValueTooLarge(f"{draft.link}: in the schema that the link got in the meantime the value is too large: publish it in pieces")
    return made[0]


def wanted_bytes(values: Iterable[Prepared]) -> dict[str, int]:
    """The payload bytes of what is to be stored, by link."""
    wanted: dict[str, int] = {}
    for prepared in values:
        wanted[prepared.draft.link] = wanted.get(prepared.draft.link, 0) + prepared.draft.size_bytes
    return wanted


def has_bulk(values: Iterable[Prepared]) -> bool:
    """Whether the store has to write any of it to a segment."""
    payloads = (prepared.payload for prepared in values)
    return any(payload.size_bytes > INLINE_PAYLOAD_MAX_BYTES and not isinstance(payload, PlacedPayload) for payload in payloads)


def discard(values: Iterable[Prepared]) -> None:
    """Gives back what was staged and will not be stored."""
    for prepared in values:
        prepared.payload.discard()


def _stage(
    home: Home,
    incoming: Incoming,
    schema_id: bytes,
    schema: bytes,
    parts: Sequence[Piece],
    widens: bytes = b"",
    *,
    xxh3: int | None = None,
) -> Prepared:
    size_bytes = sum(map(len, parts))
    if size_bytes > VALUE_SIZE_MAX_BYTES:
        raise ValueTooLarge(f"{incoming.link}: a value of {size_bytes:,} bytes; at most {VALUE_SIZE_MAX_BYTES:,}: publish it in pieces")
    arriving = home.store.stage(xxh3)
    try:
        for part in parts:
            for start in range(0, len(part), STREAM_FRAME_MAX_BYTES):
                arriving.write(memoryview(part)[start : start + STREAM_FRAME_MAX_BYTES])
        staged = arriving.finish()
    except Error:
        arriving.discard()
        raise
    return _draft(incoming, schema_id, schema, staged, widens)


def _draft(incoming: Incoming, schema_id: bytes, schema: bytes, staged: StagedPayload | PlacedPayload, widens: bytes = b"") -> Prepared:
    attributes = dict(incoming.attributes)
    return Prepared(Draft(incoming.link, staged.rows, staged.size_bytes, schema_id, schema, staged.xxh3, attributes, widens), staged)


def _convert(incoming: Incoming, target: Target) -> list[tuple[bytes, bytes, memoryview, int]]:
    """(schema id, schema message, payload, its xxh3) of each value, by way of pyarrow."""
    import pyarrow as pa

    from linkd.core import rows as json_rows
    from linkd.core import schema as schemas
    from linkd.core.evolution import evolved, grown

    kept = pa.ipc.read_schema(pa.py_buffer(target.schema)) if target.schema else None
    batches: Sequence[Any]
    if incoming.form == ROWS:
        batches = [json_rows.parts_to_batch(incoming.parts, kept, link=incoming.link)]
    elif incoming.form == BYTES:
        batches = [schemas.opaque_batch(incoming.payload())]
    else:
        batches = _arrow_batches(incoming)
    inputs = [pa.ipc.read_schema(pa.py_buffer(message)) for message in target.inputs]
    made: list[tuple[bytes, bytes, memoryview, int]] = []
    for batch in batches:
        if kept is None:
            kept = schemas.kept_schema(batch, None, inputs)
        if target.came_later and not target.declared:
            batch = schemas.in_schema(batch, evolved(kept, batch.schema), link=incoming.link)
        conformed = grown(batch, kept, declared=target.declared, link=incoming.link)
        kept = conformed.schema
        for piece in schemas.split(conformed, link=incoming.link):
            schema_message, payload = schemas.payload(piece)
            if len(schema_message) > SCHEMA_MAX_BYTES:
                raise ValueTooLarge(f"{incoming.link}: its schema takes {len(schema_message):,} bytes; at most {SCHEMA_MAX_BYTES:,}")
            made.append((arrow_ipc.schema_id(schema_message), schema_message, payload, _digest((payload,))))
    return made


def _arrow_batches(incoming: Incoming) -> Sequence[Any]:
    """The batches of one message with its schema, or of a whole stream; taken apart by ourselves, for Arrow would decompress a bomb."""
    import pyarrow as pa

    from linkd.core import schema as schemas

    if incoming.schema:
        return [schemas.from_payload(incoming.schema, incoming.payload(), validate=True)]
    schema_message, messages = arrow_ipc.read_stream(incoming.payload())
    batches = [schemas.from_payload(schema_message, message.message, validate=True) for message in messages]
    return batches or [pa.RecordBatch.from_pylist([], schema=pa.ipc.read_schema(pa.py_buffer(schema_message)))]


def check_attributes(incoming: Incoming) -> None:
    size_bytes = sum(len(key) + len(value) for key, value in incoming.attributes.items())
    if len(incoming.attributes) > ATTRIBUTES_MAX or size_bytes > ENVELOPE_MAX_BYTES // 2:
        raise InvalidArgument(
            f"{incoming.link}: a value may have {ATTRIBUTES_MAX} attributes of together {ENVELOPE_MAX_BYTES // 2:,} bytes; "
            f"this one has {len(incoming.attributes)} of {size_bytes:,} bytes"
        )


async def _off_loop(size_bytes: int, work: Callable[[], T]) -> T:
    """Runs `work` in a thread if it is worth the switch."""
    if size_bytes <= INLINE_PAYLOAD_MAX_BYTES and "linkd.core.schema" in sys.modules:  # importing pyarrow takes a tenth of a second
        return work()
    return await asyncio.to_thread(work)
