"""A checkpoint that was written can be read: the journal files that it stands for are gone."""

from __future__ import annotations

from pathlib import Path

import pytest

from linkd.errors import StorageFull
from linkd.limits import MIB
from linkd.model.kept import Held, HomeKept, LinkHeld, SchemaMessage
from linkd.store import checkpoint_file
from linkd.store.checkpoint_file import Checkpoint
from linkd.testing.faulty_files import FaultyFiles

DIRECTORY = Path("/checkpoints")


def kept_files() -> FaultyFiles:
    files = FaultyFiles()
    files.make_directory(DIRECTORY)
    return files


@pytest.mark.parametrize(
    "checkpoint",
    [
        Checkpoint(7, Held(3, (LinkHeld("flown", 2, gone=tuple((2 * n, 2 * n) for n in range(1, 20_000))),)), (HomeKept(7, 70),)),
        Checkpoint(8, Held(), (HomeKept(7, 70), SchemaMessage(b"s" * 16, bytes(65 * MIB)))),
    ],
    ids=["many ranges", "a large piece"],
)
def test_whatever_a_checkpoint_says_is_read_again(checkpoint: Checkpoint) -> None:
    files = kept_files()
    checkpoint_file.write(files, DIRECTORY, checkpoint)
    assert checkpoint_file.recover(files, DIRECTORY) == checkpoint_file.CheckpointRecovery(checkpoint)


def test_a_length_that_leads_out_of_the_file_is_damage() -> None:
    files = kept_files()
    checkpoint_file.write(files, DIRECTORY, Checkpoint(7, Held(), (HomeKept(7, 70),)))
    path = DIRECTORY / checkpoint_file.file_name(7)
    for bit in range(32):
        files.flip(path, 32 + bit // 8, bit % 8)
        assert checkpoint_file.recover(files, DIRECTORY).damaged == (path,)
        files.flip(path, 32 + bit // 8, bit % 8)


ONE = Checkpoint(7, Held(3), (HomeKept(7, 70),))


@pytest.mark.parametrize("name", [checkpoint_file.file_name(7), checkpoint_file.copy_name(7)])
@pytest.mark.parametrize("fault", ["flipped", "missing", "of one before"])
def test_either_file_of_a_checkpoint_will_do_and_the_other_is_written_again(name: str, fault: str) -> None:
    files, path = kept_files(), DIRECTORY / name
    checkpoint_file.write(files, DIRECTORY, ONE)
    files.flip(path, 40, 1)
    if fault != "flipped":
        files.unlink(path)
    if fault == "of one before":  # power failed when only one of the two names was durable
        checkpoint_file.write(before := kept_files(), DIRECTORY, Checkpoint(7, Held(2), ()))
        files.create(path).pwrite(before.open(path).pread(before.size(path), 0), 0)
    found = checkpoint_file.recover(files, DIRECTORY)
    assert found.checkpoint.lsn == 7
    assert found.lacking == (path,) or fault == "of one before"  # either counts, then: nothing was done behind it
    assert found.damaged == ((path,) if fault == "flipped" else ())
    notes = checkpoint_file.complete(files, found)
    assert [path.name in note for note in notes] == ([True] if fault == "flipped" else [])
    assert checkpoint_file.recover(files, DIRECTORY) == checkpoint_file.CheckpointRecovery(found.checkpoint)


def test_a_checkpoint_that_finds_no_room_leaves_the_one_before_as_it_was() -> None:
    files = kept_files()
    checkpoint_file.write(files, DIRECTORY, ONE)
    names = files.list(DIRECTORY)
    files.fill(files.size(DIRECTORY / names[0]) + 10)  # room for the one, not for its copy
    with pytest.raises(StorageFull):
        checkpoint_file.write(files, DIRECTORY, Checkpoint(8, Held(3), (HomeKept(7, 70),)))
    assert files.list(DIRECTORY) == names
    assert checkpoint_file.recover(files, DIRECTORY) == checkpoint_file.CheckpointRecovery(ONE)
