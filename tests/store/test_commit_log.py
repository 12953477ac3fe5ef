"""What was committed is still said when the journal files are gone, in a chain that nothing can be taken out of."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pytest

from linkd.errors import StateDamaged
from linkd.model.kept import HomeKept, Kept, SchemaMessage
from linkd.model.records import OutputRange, SnapshotCommitted, SourceMoved
from linkd.model.values import Parent
from linkd.store.commit_log import CHAIN_START, DIRECTORY, check_chain, read_file
from linkd.store.files import LocalFiles
from linkd.store.store import Store
from linkd.store.store_limits import StoreLimits
from linkd.testing.sample_values import sample_value
from linkd.wire.frames import decode_frame

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


async def committed(directory: Path, first: int, last: int) -> None:
    store = Store.open(directory, limits=LIMITS)
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
