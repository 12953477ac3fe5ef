"""What programs print: on disk with headers and without secrets, on the screen in lines, bounded in both."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from linkd.app.run.task_log import AttemptHeader, TaskLog
from linkd.core.masking import Mask
from linkd.errors import StorageFailed
from linkd.limits import LOG_FILE_MAX_BYTES, LOG_FILES_KEPT, LOG_LINES_SHOWN_PER_S

BEGAN = "2026-11-23T10:00:00Z"


class Printed:
    """A log, what it showed, and a clock that stands still."""

    def __init__(self, path: Path, *secrets: str) -> None:
        self.shown: list[str] = []
        self.log = TaskLog(path, self.shown.append, lambda: 1.0, Mask(secrets))

    async def attempt(self, header: AttemptHeader, *pieces: bytes) -> None:
        self.log.begin(header)
        stream = asyncio.StreamReader(limit=2**30)
        reading = asyncio.create_task(self.log.read(stream))
        for piece in pieces:
            stream.feed_data(piece)
            for _ in range(3):
                await asyncio.sleep(0)
        stream.feed_eof()
        await reading


async def test_attempts_and_runs_stand_one_behind_the_other_under_their_headers(tmp_path: Path) -> None:
    path = tmp_path / "clean.log"
    first = Printed(path)
    await first.attempt(AttemptHeader(3, BEGAN, 1), b"one\ntwo")
    await first.attempt(AttemptHeader(3, BEGAN, 2), b"three\n")
    first.log.close()
    second = Printed(path)
    await second.attempt(AttemptHeader(4, BEGAN, 1), b"four\n")
    second.log.close()
    assert path.read_text() == (
        f"--- run 3 ({BEGAN}), attempt 1 ---\none\ntwo\n--- run 3 ({BEGAN}), attempt 2 ---\nthree\n"
        f"--- run 4 ({BEGAN}), attempt 1 ---\nfour\n"
    )
    assert first.shown == ["one", "two", "three"]
    assert first.log.tail == ("three",)


async def test_secrets_are_in_neither_log_nor_screen_nor_tail_also_in_two_pieces(tmp_path: Path) -> None:
    printed = Printed(tmp_path / "clean.log", "s3cret")
    await printed.attempt(AttemptHeader(1, BEGAN), b"key=s3c", b"ret\n", b"s3\x1b[0mcret s3c")
    printed.log.close()
    assert (tmp_path / "clean.log").read_bytes().splitlines()[1:] == [b"key=***", b"s3\x1b[0mcret s3c"]
    assert printed.shown == list(printed.log.tail) == ["key=***", "*** s3c"]


async def test_files_are_rotated_over_runs_and_each_says_whose_output_it_begins_with(tmp_path: Path) -> None:
    path = tmp_path / "clean.log"
    block = b"x" * 65_535 + b"\n"
    for run in range(1, 6):
        printed = Printed(path)
        await printed.attempt(AttemptHeader(run, BEGAN), *[block] * (LOG_FILE_MAX_BYTES // len(block)))
        printed.log.close()
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["clean.log", *(f"clean.log.{number}" for number in range(1, LOG_FILES_KEPT))]
    assert all(file.stat().st_size <= LOG_FILE_MAX_BYTES + 200 for file in files)
    for file in files:
        with file.open("rb") as content:
            header = AttemptHeader.parse(content.readline().decode())
            assert header is not None
            assert header.run in (3, 4, 5)


async def test_a_screen_gets_so_many_lines_a_second_and_hears_how_many_there_were(tmp_path: Path) -> None:
    printed = Printed(tmp_path / "clean.log")
    await printed.attempt(AttemptHeader(1, BEGAN), b"line\n" * (LOG_LINES_SHOWN_PER_S + 7))
    printed.log.close()
    assert len(printed.shown) == LOG_LINES_SHOWN_PER_S + 1
    assert printed.shown[-1] == f"... 7 lines more, in {tmp_path / 'clean.log'}"


async def test_a_log_that_cannot_be_written_is_an_error_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(StorageFailed, match=r"clean\.log cannot be written: No such file"):
        Printed(tmp_path / "gone" / "clean.log").log.begin(AttemptHeader(1, BEGAN))


def test_a_header_is_told_from_what_a_program_prints() -> None:
    header = AttemptHeader(12, BEGAN, 2, continued=True)
    assert str(header) == f"--- run 12 ({BEGAN}), attempt 2, continued ---"
    assert AttemptHeader.parse(f"{header}\n") == header
    for line in ("--- run x ---\n", "--- run 1 (now), attempt 1 ---\n", "\ufffd\n", ""):
        assert AttemptHeader.parse(line) is None
