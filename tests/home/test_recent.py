"""Bulk that stays in memory for streams that go along: for how long, and how much of it."""

from __future__ import annotations

import asyncio

import pytest

from linkd.home.budget import Budget
from linkd.home.recent import Recent
from linkd.limits import INLINE_PAYLOAD_MAX_BYTES, STREAM_FRAME_MAX_BYTES
from linkd.model.values import Place, PlaceKind
from linkd.store.staging import Piece
from linkd.wire.arrow_ipc import PREFIX_BYTES

LINK = "flown"
METADATA_BYTES = 64


def _place(body_offset: int, file: int = 1, kind: PlaceKind = PlaceKind.SEGMENT) -> Place:
    return Place(kind, file, body_offset - PREFIX_BYTES - METADATA_BYTES, 100, METADATA_BYTES, 20)


def _given(recent: Recent, place: Place, link: str = LINK) -> list[Piece]:
    with recent.given(link, place) as kept:
        return [] if kept is None else list(kept.pieces)


def test_a_message_stays_until_every_stream_that_goes_along_has_been_through_with_it() -> None:
    memory = Budget(400)
    recent = Recent(memory.share(100))
    recent.keep(LINK, 1, 1_000, [b"nobody asks for this"])
    recent.join(LINK)
    recent.join(LINK)
    recent.keep(LINK, 1, 2_000, [b"some", memoryview(b"thing")])
    assert _given(recent, _place(1_000)) == []
    for other in (_place(2_001), _place(2_000, file=2), _place(2_000, kind=PlaceKind.JOURNAL)):
        assert _given(recent, other) == []
    assert _given(recent, _place(2_000), "cancelled") == []
    assert _given(recent, _place(2_000)) == [b"some", b"thing"]
    assert memory.used_bytes == 9
    assert _given(recent, _place(2_000)) == [b"some", b"thing"]
    assert memory.used_bytes == 0
    recent.keep(LINK, 1, 3_000, [b"more"])
    recent.leave(LINK)
    assert memory.used_bytes == 4
    recent.leave(LINK)
    assert memory.used_bytes == 0, "nobody goes along any more"


def test_the_oldest_makes_room_and_what_has_none_is_not_kept() -> None:
    memory = Budget(400)
    recent = Recent(memory.share(100))
    recent.join(LINK)
    for number in range(3):
        recent.keep(LINK, 1, 1_000 * (number + 1), [bytes(40)])
    assert [bool(_given(recent, _place(1_000 * (number + 1)))) for number in range(3)] == [False, True, True]
    recent.keep(LINK, 1, 4_000, [bytes(101)])
    assert memory.try_take(350)
    recent.keep(LINK, 1, 5_000, [bytes(60)])
    assert memory.used_bytes == 350


async def test_who_waits_for_memory_has_what_is_kept_also_of_a_message_that_is_being_sent() -> None:
    memory = Budget(400)
    recent = Recent(memory.share(100))
    memory.spare = recent.clear
    recent.join(LINK)
    recent.keep(LINK, 1, 1_000, [bytes(40), bytes(40)])
    with recent.given(LINK, _place(1_000)) as kept:
        assert kept is not None
        await memory.take(400)
        assert not kept.pieces
    assert memory.used_bytes == 400
    waiting = asyncio.create_task(memory.take(400), name="a large one")
    await asyncio.sleep(0)
    memory.give(200)
    recent.keep(LINK, 1, 2_000, [bytes(40)])
    assert memory.used_bytes == 200, "nothing is taken before those who wait"
    memory.give(200)
    await waiting


@pytest.mark.parametrize("pieces", [[bytes(STREAM_FRAME_MAX_BYTES + 1)], [b"."] * 3 + [bytes(INLINE_PAYLOAD_MAX_BYTES)]])
def test_what_came_in_other_pieces_than_ours_is_not_kept(pieces: list[Piece]) -> None:
    memory = Budget(100 * STREAM_FRAME_MAX_BYTES)
    recent = Recent(memory.share(memory.size_bytes))
    recent.join(LINK)
    recent.keep(LINK, 1, 1_000, pieces)
    assert memory.used_bytes == 0
