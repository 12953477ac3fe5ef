"""A checkpoint that was written can be read: the journal files that it stands for are gone."""

from __future__ import annotations

from pathlib import Path

import pytest

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
