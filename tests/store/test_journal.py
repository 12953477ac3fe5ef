"""The journal on disk: what is found again, what is cut, and what is called damage."""

from __future__ import annotations

from pathlib import Path

import pytest

from linkd.errors import StateDamaged, StateForeign, StorageFailed
from linkd.limits import PAGE_BYTES
from linkd.store import journal_format
from linkd.store.files import Files, LocalFiles
from linkd.store.journal import Journal
from linkd.store.journal_format import GroupKind, file_name
from linkd.store.journal_layout import JournalEnd, JournalLayout
from linkd.store.journal_reader import JournalReader, recover
from linkd.store.store_limits import StoreLimits
from linkd.testing.faulty_files import FaultyFiles

LIMITS = StoreLimits(journal_file_max_bytes=64 * 1024, preallocate_bytes=16 * 1024, group_max_bytes=20_000)


class Writer:
    """Layout and journal together, one group per call."""

    def __init__(self, files: Files, directory: Path, generation: int = 100) -> None:
        found = recover(files, directory)
        end = found.end
        self.layout = JournalLayout(end, LIMITS, iter(range(generation + end.next_lsn, 10**6)).__next__)
        self.journal = Journal(files, directory, LIMITS.preallocate_bytes, list(found.headers), end.next_lsn - 1)

    def write(self, *frames: tuple[bytes, bytes], kind: GroupKind = GroupKind.FRAMES) -> list[int]:
        group = self.layout.begin(sum(self.layout.frame_bytes(records, [payload]) for records, payload in frames))
        lsns = [self.layout.add(group, records, [payload]).lsn for records, payload in frames]
        self.layout.end(group, kind)
        self.journal.write(group)
        return lsns


def frames_of(files: Files, directory: Path) -> list[tuple[int, bytes]]:
    reader = JournalReader(files, directory, recover(files, directory).headers)
    return [(frame.lsn, bytes(frame.records)) for _, frame in reader.frames()]


def local(tmp_path: Path) -> tuple[LocalFiles, Path]:
    return LocalFiles(), tmp_path


def test_an_empty_directory_is_an_empty_journal(tmp_path: Path) -> None:
    found = recover(*local(tmp_path))
    assert (found.headers, found.end, found.cut_bytes) == ((), JournalEnd(), 0)


def test_frames_are_read_back_in_order_with_their_payloads(tmp_path: Path) -> None:
    files, directory = local(tmp_path)
    writer = Writer(files, directory)
    assert writer.write((b"one", b"first payload"), (b"two", b"")) == [1, 2]
    assert writer.write((b"three", b"third payload")) == [3]
    assert frames_of(files, directory) == [(1, b"one"), (2, b"two"), (3, b"three")]
    reader = JournalReader(files, directory, recover(files, directory).headers)
    found = reader.frame(3)
    assert found is not None
    header, frame = found
    content = (directory / file_name(header.number)).read_bytes()
    assert content[frame.payload_offset :].startswith(b"third payload")
    assert reader.frame(4) is None


def test_groups_start_on_pages_and_the_file_is_zero_filled_ahead(tmp_path: Path) -> None:
    files, directory = local(tmp_path)
    writer = Writer(files, directory)
    writer.write((b"one", b""))
    writer.write((b"two", b""))
    content = (directory / file_name(1)).read_bytes()
    groups = [at for at in range(0, len(content), PAGE_BYTES) if content[at:].startswith(journal_format.GROUP_MAGIC)]
    assert groups == [PAGE_BYTES, 2 * PAGE_BYTES]
    assert len(content) >= LIMITS.preallocate_bytes
    assert not any(content[3 * PAGE_BYTES :])


def test_a_full_file_is_followed_by_the_next(tmp_path: Path) -> None:
    files, directory = local(tmp_path)
    writer = Writer(files, directory)
    for _ in range(11):
        writer.write((b"x" * 10_000, b""))
    assert len(files.list(directory)) == 3
    assert [lsn for lsn, _ in frames_of(files, directory)] == list(range(1, 12))
    assert all((directory / name).stat().st_size <= LIMITS.journal_file_max_bytes for name in files.list(directory))


def test_writing_goes_on_behind_what_was_recovered(tmp_path: Path) -> None:
    files, directory = local(tmp_path)
    writer = Writer(files, directory)
    writer.write((b"one", b""))
    writer.write(kind=GroupKind.SEAL)
    end = recover(files, directory).end
    assert (end.next_lsn, end.sealed) == (2, True)
    Writer(files, directory).write((b"two", b""))
    found = recover(files, directory)
    assert (found.end.next_lsn, found.end.sealed) == (3, False)
    assert frames_of(files, directory) == [(1, b"one"), (2, b"two")]


def damage(directory: Path, offset: int, number: int = 1) -> None:
    with (directory / file_name(number)).open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 1]))


def test_a_torn_last_group_is_cut_whole_and_said(tmp_path: Path) -> None:
    files, directory = local(tmp_path)
    writer = Writer(files, directory)
    writer.write((b"one", b""))
    writer.write((b"two", b""), (b"three", b"x" * 5000))
    damage(directory, 2 * PAGE_BYTES + 4096 + 100)
    found = recover(files, directory)
    assert found.end.next_lsn == 2
    assert found.cut_bytes > 5000
    assert "cut" in found.notes[0]
    assert "not acknowledged" in found.notes[0]
    again = recover(files, directory)
    assert (again.cut_bytes, again.notes) == (0, ())
    assert frames_of(files, directory) == [(1, b"one")]


@pytest.mark.parametrize("offset", [PAGE_BYTES + 3, PAGE_BYTES + 64 + 10, PAGE_BYTES + 64 + 41], ids=["group", "frame", "records"])
def test_a_flip_before_a_later_group_is_damage_that_names_file_and_offset(tmp_path: Path, offset: int) -> None:
    files, directory = local(tmp_path)
    writer = Writer(files, directory)
    writer.write((b"one", b""))
    writer.write((b"two", b""))
    damage(directory, offset)
    with pytest.raises(StateDamaged, match=rf"{file_name(1)}, offset {PAGE_BYTES}: .* another one follows at {2 * PAGE_BYTES}"):
        recover(files, directory)


def test_a_flip_in_the_last_group_before_a_seal_is_damage(tmp_path: Path) -> None:
    files, directory = local(tmp_path)
    writer = Writer(files, directory)
    writer.write((b"one", b""))
    writer.write(kind=GroupKind.SEAL)
    damage(directory, PAGE_BYTES + 105)
    with pytest.raises(StateDamaged, match="was durable"):
        recover(files, directory)


def test_a_flip_in_an_older_file_is_damage_when_it_is_read(tmp_path: Path) -> None:
    files, directory = local(tmp_path)
    writer = Writer(files, directory)
    for _ in range(6):
        writer.write((b"x" * 10_000, b""))
    # The last group of file 1: no group follows it there, but another file does.
    last = max(
        at
        for at in range(PAGE_BYTES, 64 * 1024, PAGE_BYTES)
        if (directory / file_name(1)).read_bytes()[at:].startswith(journal_format.GROUP_MAGIC)
    )
    damage(directory, last + 200)
    with pytest.raises(StateDamaged, match=rf"{file_name(1)}, offset {last}"):
        frames_of(files, directory)


def test_a_missing_file_is_damage(tmp_path: Path) -> None:
    files, directory = local(tmp_path)
    writer = Writer(files, directory)
    for _ in range(12):
        writer.write((b"x" * 10_000, b""))
    (directory / file_name(2)).unlink()
    with pytest.raises(StateDamaged, match=f"{file_name(2)} is missing"):
        recover(files, directory)


def test_a_file_whose_creation_was_interrupted_is_deleted(tmp_path: Path) -> None:
    files, directory = local(tmp_path)
    Writer(files, directory).write((b"one", b""))
    (directory / file_name(2)).write_bytes(bytes(100))
    found = recover(files, directory)
    assert found.end.next_lsn == 2
    assert "creation was interrupted" in found.notes[0]
    assert files.list(directory) == [file_name(1)]


def test_a_damaged_file_header_before_groups_is_damage(tmp_path: Path) -> None:
    files, directory = local(tmp_path)
    Writer(files, directory).write((b"one", b""))
    damage(directory, 20)
    with pytest.raises(StateDamaged, match="header is damaged"):
        recover(files, directory)


def test_another_format_version_is_foreign(tmp_path: Path) -> None:
    import xxhash

    files, directory = local(tmp_path)
    Writer(files, directory).write((b"one", b""))
    path = directory / file_name(1)
    content = bytearray(path.read_bytes())
    content[8] = 2
    content[56:64] = xxhash.xxh3_64_intdigest(bytes(content[:56])).to_bytes(8, "little")
    path.write_bytes(content)
    with pytest.raises(StateForeign, match="format 2"):
        recover(files, directory)


def test_bytes_of_a_payload_do_not_pass_for_a_group(tmp_path: Path) -> None:
    """A payload that holds a well-formed group of another generation, page-aligned, in a torn group: it is cut all the same."""
    files, directory = local(tmp_path)
    writer = Writer(files, directory)
    forged = journal_format.encode_group_header(journal_format.GroupHeader(7, 9, 8, 64, 0, GroupKind.SEAL, 2))
    start = PAGE_BYTES + 64 + 40 + len(b"one")
    writer.write((b"one", bytes(2 * PAGE_BYTES - start) + forged))
    assert (directory / file_name(1)).read_bytes()[2 * PAGE_BYTES :].startswith(forged)
    damage(directory, PAGE_BYTES + 64 + 41)
    assert recover(files, directory).end.next_lsn == 1


@pytest.mark.parametrize("torn", [False, True])
def test_what_a_former_use_of_the_bytes_of_a_file_left_is_neither_read_nor_taken_for_damage(tmp_path: Path, torn: bool) -> None:
    """Whole frames of the same numbers, which go on where the new ones end, and even name them as durable."""
    files, directory = local(tmp_path)
    former = tmp_path / "former"
    former.mkdir()
    for _ in range(5):
        Writer(files, former, generation=500).write((b"former", b""))
    writer = Writer(files, directory)
    writer.write((b"one", b""))
    writer.write((b"two", b""))
    here = directory / file_name(1)
    left = (former / file_name(1)).read_bytes()[3 * PAGE_BYTES :]
    assert left.startswith(journal_format.GROUP_MAGIC)
    here.write_bytes(here.read_bytes()[: 3 * PAGE_BYTES] + left)
    if torn:
        damage(directory, 2 * PAGE_BYTES + 64 + 41)
    found = recover(files, directory)
    assert found.end.next_lsn == (2 if torn else 3)
    assert not found.voided
    assert frames_of(files, directory) == [(1, b"one"), (2, b"two")][: 1 if torn else 2]


def test_what_a_failed_sync_left_is_void(tmp_path: Path) -> None:
    """A group whose sync failed reaches the disk after all; the file that voids it keeps it from being there."""
    files, directory = FaultyFiles(), Path("/j")
    files.make_directory(directory)
    writer = Writer(files, directory)
    writer.write((b"one", b""))
    files.refuse("sync", "Input/output error")
    with pytest.raises(StorageFailed, match="Input/output error"):
        writer.write((b"two", b""))
    files._refused.clear()
    writer.journal.void(generation=77)
    assert [lsn for lsn, _ in frames_of(files, directory)] == [1]
    end = recover(files, directory).end
    assert (end.next_lsn, end.file and end.file.number) == (2, 2)
    Writer(files, directory).write((b"two again", b""))
    assert frames_of(files, directory) == [(1, b"one"), (2, b"two again")]
