"""The header that says which frames are void is all that keeps them from coming back: no bit of it may flip unnoticed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from linkd.errors import StateDamaged
from linkd.model.records import RunEnded
from linkd.store.files import LocalFiles
from linkd.store.journal import Journal
from linkd.store.journal_format import FILE_HEADER_BYTES, decode_file_header, file_name, mended_file_header
from linkd.store.journal_layout import JournalLayout
from linkd.store.journal_reader import recover
from linkd.store.offline.repair_plan import plan_repair
from linkd.store.offline.repairing import carry_out
from linkd.store.offline.verification import verify
from linkd.store.store import Store
from linkd.store.store_limits import StoreLimits
from linkd.wire.frames import encode_frame

LIMITS = StoreLimits(preallocate_bytes=8 * 1024)
COMMITTED, FAILED = RunEnded(1, "done", 1), RunEnded(2, "done", 1)


async def after_a_failed_sync(directory: Path) -> Path:
    """A store with a commit, and another that failed with its sync though all of it is on disk; the mark that makes it void."""
    store = Store.open(directory, limits=LIMITS)
    list(store.replay())
    store.start(asyncio.get_running_loop(), thread=False)
    store.append([COMMITTED])
    store.commit_waiting()
    store._catalog.close()
    journal = directory / "journal"
    found = recover(LocalFiles(), journal)
    layout = JournalLayout(found.end, LIMITS, lambda: 7)
    group = layout.begin(100)
    layout.add(group, encode_frame([FAILED]), ())
    layout.end(group)
    writer = Journal(LocalFiles(), journal, LIMITS.preallocate_bytes, list(found.headers), found.end.next_lsn - 1)
    writer.write(group, sync=False)
    writer.void(generation=77)
    writer.close()
    return journal / file_name(2)


def flip(path: Path, *bits: int) -> None:
    with path.open("r+b") as file:
        head = bytearray(file.read(FILE_HEADER_BYTES))
        for bit in bits:
            head[bit // 8] ^= 1 << bit % 8
        file.seek(0)
        file.write(head)


async def there(directory: Path) -> list[tuple[object, ...]]:
    store = Store.open(directory, limits=LIMITS)
    found = [records for _, records in store.replay()]
    await store.close()
    return found


async def test_what_failed_does_not_come_back_whatever_bit_of_its_mark_is_flipped(tmp_path: Path) -> None:
    mark = await after_a_failed_sync(tmp_path / "s")
    right = mark.read_bytes()
    for bit in range(8 * FILE_HEADER_BYTES):
        flip(mark, bit)
        with pytest.raises(StateDamaged, match=rf"{mark.name}, offset 0: the file header is damaged"):
            recover(LocalFiles(), mark.parent)
        assert mended_file_header(mark.read_bytes(), 2) == decode_file_header(right, 2)
        flip(mark, bit)
    assert mark.read_bytes() == right
    assert await there(tmp_path / "s") == [(COMMITTED,)]


async def test_a_repair_knows_a_mark_of_which_one_bit_is_flipped(tmp_path: Path) -> None:
    mark = await after_a_failed_sync(tmp_path / "s")
    flip(mark, 300)
    [damage] = verify(LocalFiles(), tmp_path / "s").damage
    assert (damage.file, damage.what) == (mark, "the file header is damaged")
    plan = plan_repair(LocalFiles(), tmp_path / "s")
    await asyncio.to_thread(carry_out, LocalFiles(), tmp_path / "s", plan, "now", 5)
    assert not verify(LocalFiles(), tmp_path / "s").damage
    assert (await there(tmp_path / "s"))[0] == (COMMITTED,)
    assert (FAILED,) not in await there(tmp_path / "s")


async def test_a_repair_says_what_may_be_there_where_the_mark_cannot_be_read(tmp_path: Path) -> None:
    mark = await after_a_failed_sync(tmp_path / "s")
    flip(mark, 100, 300)
    assert mended_file_header(mark.read_bytes(), 2) is None
    [damage] = verify(LocalFiles(), tmp_path / "s").damage
    assert "commits which failed with it do not exist" in damage.meaning
    plan = plan_repair(LocalFiles(), tmp_path / "s")
    assert plan.aside[-1] == mark
    assert "may be there now" in plan.notes[0]
    await asyncio.to_thread(carry_out, LocalFiles(), tmp_path / "s", plan, "now", 5)
    assert not verify(LocalFiles(), tmp_path / "s").damage
    assert (COMMITTED,) in await there(tmp_path / "s")
