"""What linkd holds of a disk is what the disk is short of: a file that was deleted counts until nobody has it open."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from linkd.store.counted_files import CountedFiles
from linkd.store.files import LocalFiles


@pytest.fixture
def files() -> CountedFiles:
    return CountedFiles(LocalFiles())


def write(files: CountedFiles, path: Path, size_bytes: int) -> None:
    file = files.create(path)
    file.pwrite(bytes(size_bytes), 0)
    file.close()


def test_files_count_with_their_length_from_their_first_byte_to_their_deletion(tmp_path: Path, files: CountedFiles) -> None:
    file = files.create(tmp_path / "one")
    file.pwritev([bytes(600), bytes(400)], 0)
    file.pwrite(b"over what is there", 0)
    assert (files.held_bytes, files.written_bytes) == (1_000, 1_018)
    file.truncate(300)
    assert files.held_bytes == 300
    file.close()
    again = files.open(tmp_path / "one", writable=True)
    again.pwrite(bytes(100), 250)
    again.close()
    assert files.held_bytes == 350
    files.unlink(tmp_path / "one")
    assert files.held_bytes == 0


def test_a_symbolic_link_is_itself_wherever_it_leads(tmp_path: Path, files: CountedFiles) -> None:
    (tmp_path / "state" / "inside").mkdir(parents=True)
    for number, target in enumerate((tmp_path, tmp_path / "state", tmp_path / "gone", tmp_path / "large")):
        (tmp_path / "state" / "inside" / f"{number}").symlink_to(target)
    (tmp_path / "large").write_bytes(bytes(100_000))
    (tmp_path / "state" / "one").write_bytes(bytes(1_000))
    files.count(tmp_path / "state")
    assert 1_000 <= files.held_bytes < 10_000


@pytest.mark.parametrize("first_to_leave", ["writer", "reader"])
def test_a_deleted_file_counts_until_its_last_writer_and_reader_have_left(tmp_path: Path, files: CountedFiles, first_to_leave: str) -> None:
    writer, reader = files.create(tmp_path / "one"), files.open(tmp_path / "one")
    writer.pwrite(bytes(1_000), 0)
    files.unlink(tmp_path / "one")
    assert files.held_bytes == 1_000
    first, last = (writer, reader) if first_to_leave == "writer" else (reader, writer)
    first.close()
    assert files.held_bytes == 1_000
    last.close()
    last.close()
    assert files.held_bytes == 0


def test_a_file_that_is_made_under_the_name_of_a_deleted_one_is_another(tmp_path: Path, files: CountedFiles) -> None:
    write(files, tmp_path / "one", 1_000)
    reader = files.open(tmp_path / "one")
    files.unlink(tmp_path / "one")
    write(files, tmp_path / "one", 10)
    assert files.held_bytes == 1_010
    reader.close()
    assert files.held_bytes == 10


def test_a_file_that_is_replaced_counts_as_long_as_it_is_read(tmp_path: Path, files: CountedFiles) -> None:
    write(files, tmp_path / "old", 1_000)
    write(files, tmp_path / "new", 10)
    reader = files.open(tmp_path / "old")
    files.rename(tmp_path / "new", tmp_path / "old")
    assert files.held_bytes == 1_010
    reader.close()
    assert files.held_bytes == 10
    files.unlink(tmp_path / "old")
    assert files.held_bytes == 0


def test_a_file_that_is_renamed_while_it_is_open_counts_until_it_is_deleted(tmp_path: Path, files: CountedFiles) -> None:
    file = files.create(tmp_path / "spare")
    file.pwrite(bytes(1_000), 0)
    files.rename(tmp_path / "spare", tmp_path / "one")
    file.close()
    assert files.held_bytes == 1_000
    files.unlink(tmp_path / "one")
    assert files.held_bytes == 0


@pytest.mark.parametrize("length", [0, 2**40], ids=["cuts off", "stretches"])
@pytest.mark.parametrize("is_counted_again", [False, True])
def test_what_somebody_else_does_to_a_file_changes_no_count(
    tmp_path: Path, files: CountedFiles, length: int, is_counted_again: bool
) -> None:
    write(files, tmp_path / "one", 4_096)
    os.truncate(tmp_path / "one", length)
    if is_counted_again:
        files = CountedFiles(LocalFiles())
        files.count(tmp_path)
        assert files.held_bytes <= 4_096
    files.unlink(tmp_path / "one")
    assert files.held_bytes == 0


def test_a_look_finds_what_was_counted(tmp_path: Path, files: CountedFiles) -> None:
    files.make_directory(tmp_path / "deep")
    write(files, tmp_path / "deep" / "one", 30)
    write(files, tmp_path / "two", 4)
    write(files, tmp_path / "left out", 500)
    again = CountedFiles(LocalFiles())
    again.count(tmp_path, but=("left out",))
    assert again.held_bytes == 34 == files.held_bytes - 500
