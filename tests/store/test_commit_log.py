"""What was committed is still said when the journal files are gone, in a chain that nothing can be taken out of."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pytest

from linkd.errors import StateDamaged
from linkd.model.kept import HomeKept, Kept, SchemaMessage
from linkd.model.records import OutputRange, SnapshotCommitted, SourceMoved
from linkd.model.values import Parent
from linkd.store.commit_log import CHAIN_START, DIRECTORY, CommitLog, check_chain, read_file
from linkd.store.files import LocalFiles
from linkd.store.journal_format import FileHeader, Frame
from linkd.store.offline.repair_plan import plan_repair
from linkd.store.offline.repairing import carry_out
from linkd.store.offline.verification import verify
from linkd.store.store import Store
from linkd.store.store_limits import StoreLimits
from linkd.testing.sample_values import sample_value
from linkd.wire.frames import decode_frame, encode_frame

LIMITS = StoreLimits(
    inline_payload_max_bytes=1_000,
    frame_inline_max_bytes=2_000,
    group_max_bytes=8_000,
    journal_file_max_bytes=32 * 1024,
    preallocate_bytes=16 * 1024,
    journal_files_kept=1,
    checkpoint_at_close_frames=1_000,
)


def keep() -> Sequence[Kept]:
    one = sample_value("flown", 1)
    return [HomeKept(7, 70), SchemaMessage(one.envelope.schema_id, one.schema)]


def commit(number: int) -> SnapshotCommitted:
    portions, outputs = (Parent("flights", 1, 1, number, number),), (OutputRange("flown", 1, 1, number, number),)
    return SnapshotCommitted("clean", 1, number.to_bytes(8, "big"), number, 1, portions, outputs, 1, number * 10**9, {"n": str(number)})


async def committed(directory: Path, first: int, last: int, limits: StoreLimits = LIMITS) -> None:
    store = Store.open(directory, limits=limits)
    list(store.replay())
    store.start(asyncio.get_running_loop(), thread=False, keep=keep)
    for number in range(first, last + 1):
        value = sample_value("flown", number, 10)
        moved = SourceMoved("flights", 1, b"", "digest", number, 0, False)
        future = store.append([value.schema_kept, value.stored, commit(number), moved], [value.payload])
        store.commit_waiting()
        await future
    store.tidy()
    await store.close()


def batches(directory: Path) -> tuple[bytes, list[pa.RecordBatch]]:
    paths = sorted((directory / DIRECTORY).iterdir())
    read = [read_file(LocalFiles(), path) for path in paths]
    return read[0][0], [batch for _, found in read for batch in found]


async def test_commits_outlive_the_journal_over_restarts_in_one_chain(tmp_path: Path) -> None:
    await committed(tmp_path / "s", 1, 30)
    await committed(tmp_path / "s", 31, 60)
    assert len(list((tmp_path / "s" / DIRECTORY).iterdir())) > 2
    start, found = batches(tmp_path / "s")
    assert start == CHAIN_START
    end = check_chain(found, start)
    rows = [row for batch in found for row in batch.to_pylist()]
    assert end == rows[-1]["chain"]
    commits = [row for row in rows if row["kind"] == "commit"]
    assert [int.from_bytes(row["snapshot_id"], "big") for row in commits] == list(range(1, len(commits) + 1))
    assert len(commits) > 30
    assert decode_frame(commits[4]["record"]) == (commit(5),)
    assert commits[4]["outputs"] == [{"link": "flown", "incarnation": 1, "generation": 1, "first_sequence": 5, "last_sequence": 5}]
    assert [row["outputs"] for row in rows if row["kind"] == "source"][:2] == [commits[0]["outputs"], commits[1]["outputs"]]
    plain = pa.ipc.open_stream(sorted((tmp_path / "s" / DIRECTORY).iterdir())[0].read_bytes()).read_all()
    assert plain.column("task")[0].as_py() == "clean"


async def test_a_record_that_was_changed_or_taken_out_is_named(tmp_path: Path) -> None:
    await committed(tmp_path / "s", 1, 30)
    start, found = batches(tmp_path / "s")
    batch = pa.Table.from_batches(found).combine_chunks().to_batches()[0]
    records = batch.column("record").to_pylist()
    records[6] = records[6][:-1] + b"x"
    changed = batch.set_column(batch.schema.get_field_index("record"), "record", pa.array(records, pa.binary()))
    lsn = batch.column("lsn")[6].as_py()
    with pytest.raises(StateDamaged, match=f"the record of frame {lsn} in _commits was changed"):
        check_chain([changed], start)
    with pytest.raises(StateDamaged, match="taken out"):
        check_chain([batch.slice(0, 4), batch.slice(5)], start)
    with pytest.raises(StateDamaged):
        check_chain([batch], b"\x01" * 32)


async def test_a_file_that_was_written_before_a_crash_is_not_written_again(tmp_path: Path) -> None:
    """The journal file is still there, as it is when power fails before its deletion is durable."""
    await committed(tmp_path / "s", 1, 30)
    written = {path.name: path.read_bytes() for path in (tmp_path / "s" / DIRECTORY).iterdir()}
    await committed(tmp_path / "s", 31, 40)
    for name, content in written.items():
        assert (tmp_path / "s" / DIRECTORY / name).read_bytes() == content


async def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    await committed(tmp_path / "s", 1, 30)
    path = sorted((tmp_path / "s" / DIRECTORY).iterdir())[-1]
    path.write_bytes(b"\x00" * 100)
    with pytest.raises(StateDamaged, match=f"{path.name} is not what was written"):
        read_file(LocalFiles(), path)


@pytest.mark.parametrize("bound", ["bytes", "age"])
async def test_the_oldest_files_go_by_their_bytes_or_their_age_and_the_rest_is_still_one_chain(tmp_path: Path, bound: str) -> None:
    await committed(tmp_path / "s", 1, 60)
    sizes = [path.stat().st_size for path in sorted((tmp_path / "s" / DIRECTORY).iterdir())]
    bounds = {"lineage_kept_bytes": sum(sizes[2:])} if bound == "bytes" else {"lineage_kept_s": 20.0}
    await committed(tmp_path / "s", 61, 80, dataclasses.replace(LIMITS, **bounds))
    start, found = batches(tmp_path / "s")
    assert start != CHAIN_START
    check_chain(found, start)
    times = [row["committed_at"].timestamp() for batch in found for row in batch.to_pylist() if row["committed_at"]]
    assert times == sorted(times)
    if bound == "age":
        assert 20 <= max(times) - min(times) < 60
    else:
        assert sum(path.stat().st_size for path in (tmp_path / "s" / DIRECTORY).iterdir()) <= sum(sizes[2:])
    assert not damage_of(tmp_path / "s")


async def test_a_commit_of_a_clock_that_had_jumped_takes_no_older_ones(tmp_path: Path) -> None:
    await committed(tmp_path / "s", 1, 40)
    number = int(max(path.stem for path in (tmp_path / "s" / DIRECTORY).iterdir())) + 1
    log = CommitLog(LocalFiles(), tmp_path / "s" / DIRECTORY, dataclasses.replace(LIMITS, lineage_kept_s=100.0))
    for later, start_is_there in enumerate((True, False)):  # a second one of that time says that it is so late
        jumped = dataclasses.replace(commit(41), committed_at_ns=10**18 + later)
        records = Frame(1_000 + later, 0, encode_frame([jumped]), 0)
        log.keep(number + later, [(FileHeader(number + later, 1, 1_000), records)])
        assert (batches(tmp_path / "s")[0] == CHAIN_START) is start_is_there


async def test_files_that_do_not_say_when_are_not_taken_for_old_ones(tmp_path: Path) -> None:
    """A file that begins with the move of a source has no time."""
    store = Store.open(tmp_path / "s", limits=LIMITS)
    list(store.replay())
    store.start(asyncio.get_running_loop(), thread=False, keep=keep)
    for number in range(1, 61):
        future = store.append([SourceMoved("flights", 1, b"", "digest", number, 0, False), commit(number)])
        store.commit_waiting()
        await future
    store.tidy()
    await store.close()
    start, found = batches(tmp_path / "s")
    assert (start, len(list((tmp_path / "s" / DIRECTORY).iterdir())) > 3) == (CHAIN_START, True)
    check_chain(found, start)


def damage_of(directory: Path) -> list[str]:
    return [f"{finding.file.name}: {finding.what}" for finding in verify(LocalFiles(), directory).damage]


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 4
    path.write_bytes(content)


async def test_verify_finds_whatever_changed_in_a_file_and_repair_says_that_something_is_lost(tmp_path: Path) -> None:
    directory = tmp_path / "s"
    await committed(directory, 1, 60)
    assert damage_of(directory) == []
    paths = sorted((directory / DIRECTORY).iterdir())
    whole = paths[1].read_bytes()
    for at in range(0, len(whole), len(whole) // 12):
        flip(paths[1], at)
        assert damage_of(directory) == [f"{paths[1].name}: the records of commits are not what was written"], at
        paths[1].write_bytes(whole)
    flip(paths[1], 700)
    done = await asyncio.to_thread(carry_out, LocalFiles(), directory, plan_repair(LocalFiles(), directory), "now", 5)
    assert done.lost == ()
    assert (done.quarantine / DIRECTORY / paths[1].name).exists()
    assert damage_of(directory) == []
    await committed(directory, 61, 90)
    assert damage_of(directory) == []


async def test_a_file_that_is_gone_from_the_middle_is_noticed(tmp_path: Path) -> None:
    directory = tmp_path / "s"
    await committed(directory, 1, 60)
    paths = sorted((directory / DIRECTORY).iterdir())
    paths[1].unlink()
    assert damage_of(directory) == [f"{paths[2].name}: it does not lead on from the file before it: one between is gone, or was changed"]
    await asyncio.to_thread(carry_out, LocalFiles(), directory, plan_repair(LocalFiles(), directory), "now", 5)
    assert damage_of(directory) == []


async def test_commits_go_on_behind_a_newest_file_that_is_damaged(tmp_path: Path) -> None:
    directory = tmp_path / "s"
    await committed(directory, 1, 30)
    newest = sorted((directory / DIRECTORY).iterdir())[-1]
    flip(newest, 700)
    await committed(directory, 31, 60)
    assert damage_of(directory) == [f"{newest.name}: the records of commits are not what was written"]
