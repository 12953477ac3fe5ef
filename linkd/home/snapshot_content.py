"""What a snapshot holds, for the memo (`core.memo`): its key, from what envelopes say, and the digest of its content, which is read for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING

from linkd.core.composition import rows_within
from linkd.core.memo import SnapshotInput, ValueDigest, memo_key, outline
from linkd.core.snapshot_leases import Lease
from linkd.limits import INLINE_PAYLOAD_MAX_BYTES, STREAM_FRAME_MAX_BYTES, TRACE_SCAN_VALUES
from linkd.model.values import Envelope, Parent, Place, PlaceKind

if TYPE_CHECKING:
    from linkd.home.home import Home


async def snapshot_key(home: Home, runs: str, lease: Lease) -> tuple[bytes, bytes | None]:
    """Of the snapshot on this lease, for `runs`; where it is small its digest too, which then costs less than to look for the values again.

    Counts its rows by the way. Raises as `snapshot_digest`.
    """
    settled = {portion.link: portion for portion in lease.settles}
    rows: dict[str, int] = {}
    digests: list[bytes] = []
    left_bytes = INLINE_PAYLOAD_MAX_BYTES

    async def outlined(portion: Parent, envelope: Envelope, place: Place) -> bytes:
        nonlocal left_bytes
        left_bytes -= envelope.size_bytes
        if left_bytes >= 0:
            digests.append(await _digest(home, envelope, place))
        done, sequence = settled.get(portion.link, portion), envelope.position.sequence
        if done.first_sequence <= sequence <= done.last_sequence:
            first, end = rows_within(portion, sequence, envelope.rows)
            rows[portion.link] = rows.get(portion.link, 0) + end - first
        return outline(envelope)

    inputs = await _inputs(home, lease.portions, outlined)
    lease.rows = rows
    key = memo_key(runs, inputs, partial=lease.partial)
    if left_bytes < 0:
        return key, None
    read = iter(digests)
    contents = [SnapshotInput(one.link, tuple((next(read), first, end) for _, first, end in one.values), one.schema) for one in inputs]
    return key, memo_key(runs, contents, partial=lease.partial)


async def snapshot_digest(home: Home, runs: str, lease: Lease) -> bytes:
    """Of the content of the snapshot on this lease. Raises StateDamaged, LinkNotFound if a value was dropped meanwhile."""

    async def digested(_: Parent, envelope: Envelope, place: Place) -> bytes:
        return await _digest(home, envelope, place)

    return memo_key(runs, await _inputs(home, lease.portions, digested), partial=lease.partial)


def snapshot_bytes(home: Home, lease: Lease) -> int:
    """Payload bytes of the values that it holds."""
    held = (portion for portion in lease.portions if portion.first_sequence <= portion.last_sequence)
    return sum(home.store.payload_bytes(portion.link, portion.first_sequence, portion.last_sequence) for portion in held)


async def _inputs(
    home: Home, portions: Sequence[Parent], named: Callable[[Parent, Envelope, Place], Coroutine[None, None, bytes]]
) -> list[SnapshotInput]:
    """What a program is handed out, each value by what `named` makes of it."""
    inputs: list[SnapshotInput] = []
    for portion in portions:
        values: list[tuple[bytes, int, int]] = []
        stored = home.store.values(portion.link, portion.first_sequence, portion.last_sequence)
        for number, (envelope, place) in enumerate(stored, 1):
            if place.kind is not PlaceKind.DROPPED:
                values.append((await named(portion, envelope, place), *rows_within(portion, envelope.position.sequence, envelope.rows)))
            if number % TRACE_SCAN_VALUES == 0:
                await asyncio.sleep(0)
        schema = home.ledger.links[portion.link].generations[portion.generation].schema
        inputs.append(SnapshotInput(portion.link, tuple(values), schema))
    return inputs


async def _digest(home: Home, envelope: Envelope, place: Place) -> bytes:
    known = home.memo.digest(envelope.id)
    if known is not None:
        return known
    digest = ValueDigest(home.ledger.schema_of(envelope), envelope.attributes, envelope.size_bytes)
    async for piece in home.store.read_chunks(envelope, place, STREAM_FRAME_MAX_BYTES):
        if len(piece) <= INLINE_PAYLOAD_MAX_BYTES:
            digest.update(piece)
        else:
            await asyncio.to_thread(digest.update, piece)
    home.memo.know_digest(envelope.id, digest.digest())
    return digest.digest()
