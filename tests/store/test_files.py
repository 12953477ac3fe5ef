"""The two file systems do the same, and the faulty one loses no more and no less than a power cut may."""

from __future__ import annotations

from pathlib import Path

import pytest

from linkd.errors import StateDamaged, StorageFailed, StorageFull
from linkd.store.files import File, Files, LocalFiles
from linkd.store.open_files import OpenFiles
from linkd.testing.faulty_files import SECTOR_BYTES, FaultyFiles

SEEDS = range(60)


@pytest.fixture(params=["local", "faulty"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Files, Path]:
    if request.param == "local":
        return LocalFiles(), tmp_path
    files = FaultyFiles()
    files.make_directory(Path("/d"))
    return files, Path("/d")


def whole(file: File) -> bytes:
    return file.pread(file.size() + 10, 0)


def test_what_is_written_is_read(place: tuple[Files, Path]) -> None:
    files, directory = place
    file = files.create(directory / "f")
    file.pwrite(b"hello", 3)
    file.pwritev([b"", b"wor", bytearray(b"ld"), memoryview(b"!")], 8)
    file.datasync()
    assert whole(file) == b"\x00\x00\x00helloworld!"
    assert file.pread(4, 3) == b"hell"
    assert file.pread(100, 12) == b"d!"
    assert file.pread(10, 100) == b""
    file.truncate(5)
    assert (whole(file), file.size(), files.size(directory / "f")) == (b"\x00\x00\x00he", 5, 5)
    file.close()
    again = files.open(directory / "f", writable=True)
    again.pwrite(b"X", 0)
    assert whole(again) == b"X\x00\x00he"
    again.close()


def test_more_parts_than_one_system_call_takes(place: tuple[Files, Path]) -> None:
    files, directory = place
    file = files.create(directory / "f")
    parts = [bytes([number % 251]) * (number % 7) for number in range(3_000)]
    file.pwritev(parts, 0)
    assert whole(file) == b"".join(parts)
    file.close()


def test_names_are_listed_replaced_and_deleted(place: tuple[Files, Path]) -> None:
    files, directory = place
    for name in ("b", "a"):
        files.create(directory / name).close()
    files.make_directory(directory / "c")
    files.make_directory(directory / "c")
    assert files.list(directory) == ["a", "b", "c"]
    assert files.list(directory / "nowhere") == []
    files.rename(directory / "a", directory / "b")
    files.sync_directory(directory)
    assert files.list(directory) == ["b", "c"]
    files.unlink(directory / "b")
    assert files.list(directory) == ["c"]


def test_refusals_name_the_file(place: tuple[Files, Path]) -> None:
    files, directory = place
    with pytest.raises(StateDamaged, match=r"cannot open .*gone: it is not there"):
        files.open(directory / "gone")
    files.create(directory / "f").close()
    with pytest.raises(StorageFailed, match=r"cannot create .*f: File exists"):
        files.create(directory / "f")


def test_a_full_device_says_what_to_do() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with pytest.raises(StorageFull, match=r"cannot write /dev/full: No space left on device\. Free some space"):
        LocalFiles().open(Path("/dev/full"), writable=True).pwrite(b"x", 0)


def faulty() -> tuple[FaultyFiles, Path]:
    files = FaultyFiles()
    files.make_directory(Path("/d"))
    files.sync_directory(Path("/"))
    return files, Path("/d")


def test_synced_bytes_and_names_survive_every_crash() -> None:
    files, directory = faulty()
    file = files.create(directory / "f")
    file.pwrite(b"kept" * 1_000, 0)
    file.datasync()
    files.sync_directory(directory)
    file.pwrite(b"lost" * 1_000, 4_000)
    for seed in SEEDS:
        content = whole(files.crash(seed).open(directory / "f"))
        assert content[:4_000] == b"kept" * 1_000


def test_unsynced_sectors_come_or_go_one_by_one() -> None:
    files, directory = faulty()
    file = files.create(directory / "f")
    file.pwrite(bytes(4 * SECTOR_BYTES), 0)
    file.datasync()
    files.sync_directory(directory)
    file.pwrite(b"x" * 4 * SECTOR_BYTES, 0)
    seen = set()
    for seed in SEEDS:
        content = whole(files.crash(seed).open(directory / "f"))
        sectors = [content[at : at + SECTOR_BYTES] for at in range(0, len(content), SECTOR_BYTES)]
        assert all(sector in (bytes(SECTOR_BYTES), b"x" * SECTOR_BYTES) for sector in sectors)
        seen.add(tuple(sector[0] for sector in sectors))
    assert len(seen) == 16


def test_a_later_write_to_a_sector_never_lands_without_the_earlier_one() -> None:
    files, directory = faulty()
    file = files.create(directory / "f")
    file.pwrite(bytes(SECTOR_BYTES), 0)
    file.datasync()
    files.sync_directory(directory)
    file.pwrite(b"1", 0)
    file.pwrite(b"2", 1)
    states = {whole(files.crash(seed).open(directory / "f"))[:2] for seed in SEEDS}
    assert states == {b"\x00\x00", b"1\x00", b"12"}


def test_unsynced_names_come_or_go() -> None:
    files, directory = faulty()
    file = files.create(directory / "old")
    file.pwrite(b"v", 0)
    file.datasync()
    files.rename(directory / "old", directory / "new")
    assert {tuple(files.crash(seed).list(directory)) for seed in SEEDS} == {(), ("old",), ("new",)}
    files.sync_directory(directory)
    assert {tuple(files.crash(seed).list(directory)) for seed in SEEDS} == {("new",)}


def test_a_file_that_is_read_is_not_closed_before_its_reader_leaves(tmp_path: Path) -> None:
    files = LocalFiles()
    for name in "abc":
        (tmp_path / name).write_text(name)
    opened = OpenFiles(files, most=1)
    with opened.reading(tmp_path / "a") as first:
        with opened.reading(tmp_path / "b") as second:
            assert second.pread(1, 0) == b"b"
        assert first.pread(1, 0) == b"a"
        with opened.reading(tmp_path / "a") as again:
            assert again is not first
        opened.close()
        assert first.pread(1, 0) == b"a"
    with pytest.raises(StorageFailed, match="Bad file descriptor"):
        first.pread(1, 0)
