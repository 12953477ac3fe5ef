"""The name of the machine's present boot."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from linkd.machine import boot_id


def test_the_boot_has_a_name_that_stays() -> None:
    if not sys.platform.startswith(("linux", "darwin")):
        pytest.skip("the system names no boots")
    assert len(boot_id()) >= 32
    assert boot_id() == boot_id()


@pytest.mark.skipif(sys.platform == "darwin", reason="there the file is not asked")
def test_where_there_is_no_name_it_is_empty(tmp_path: Path) -> None:
    assert boot_id(tmp_path / "none") == ""
    (tmp_path / "odd").write_bytes(b"\xff\xfe")
    assert boot_id(tmp_path / "odd") == ""
