"""Logs whose files are bounded in size and number, also that of a process that writes to its own standard error."""

from __future__ import annotations

import os
from pathlib import Path

from linkd.app.log_rotation import RotatedOutput, rotate
from linkd.limits import LOG_FILE_MAX_BYTES, LOG_FILES_KEPT


def test_the_newest_keeps_its_name_and_the_oldest_goes(tmp_path: Path) -> None:
    log = tmp_path / "home.log"
    for number in range(5):
        log.write_text(str(number))
        rotate(log)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"home.log.1": "4", "home.log.2": "3"}


def test_an_output_goes_on_in_a_new_file_when_one_is_full_and_so_does_all_else_at_its_descriptor(tmp_path: Path) -> None:
    log = tmp_path / "home.log"
    block = b"x" * (LOG_FILE_MAX_BYTES // 2 - 1) + b"\n"
    with log.open("ab") as stream:
        output = RotatedOutput(log, stream)
        for number in range(2 * LOG_FILES_KEPT + 1):
            output.write(block)
            output.write(b"%d\n" % number)
            output.flush()
        os.write(stream.fileno(), b"a traceback\n")
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["home.log", "home.log.1", "home.log.2"]
    assert all(file.stat().st_size <= LOG_FILE_MAX_BYTES for file in files)
    assert log.read_bytes().endswith(b"6\na traceback\n")
