"""Directories of older, newer and foreign formats."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from linkd.errors import StateForeign
from linkd.store.directory import FORMATS, Formats, format_is_damaged, open_directory, read_format, upgrade
from linkd.store.files import Files, LocalFiles

ID = "0123456789abcdef" * 2


def made(directory: Path, version: int, written_by: str = "9.9") -> Path:
    open_directory(LocalFiles(), directory, ID)
    (directory / "format.json").write_text(json.dumps({"format": "linkd store", "version": version, "id": ID, "linkd": written_by}))
    return directory


def test_a_new_directory_says_its_format_and_who_made_it(tmp_path: Path) -> None:
    open_directory(LocalFiles(), tmp_path / "s", ID)
    said = read_format(LocalFiles(), tmp_path / "s")
    assert (said.version, said.id) == (FORMATS.newest, ID)
    assert said.written_by


def test_a_directory_of_a_newer_format_names_who_wrote_it_and_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(StateForeign, match=r"version 2, written by linkd 9\.9; this is linkd .*, which reads version 1: upgrade linkd"):
        open_directory(LocalFiles(), made(tmp_path / "s", 2), ID)


def test_a_directory_of_a_format_that_is_too_old_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StateForeign, match=r"version 0.*reads version 1: open it with a linkd between the two"):
        open_directory(LocalFiles(), made(tmp_path / "s", 0), ID)


def test_a_linkd_goes_on_with_the_format_before_its_own_until_it_is_told_to_upgrade(tmp_path: Path) -> None:
    taken: list[Path] = []

    def step(files: Files, directory: Path) -> None:
        taken.append(directory)

    later = Formats(newest=2, oldest=1, steps={1: step})
    directory = made(tmp_path / "s", 1)
    assert open_directory(LocalFiles(), directory, "another", later) == ID
    assert read_format(LocalFiles(), directory, later).version == 1
    assert upgrade(LocalFiles(), directory, later) == (1, 2)
    assert upgrade(LocalFiles(), directory, later) == (2, 2)
    assert taken == [directory]
    assert read_format(LocalFiles(), directory, later).id == ID
    with pytest.raises(StateForeign, match="upgrade linkd"):
        open_directory(LocalFiles(), directory, ID)


def test_what_is_no_directory_of_linkd_is_named_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(StateForeign, match="Nothing was changed"):
        read_format(LocalFiles(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_damaged_format_file_is_told_from_one_that_is_not_there(tmp_path: Path) -> None:
    directory = made(tmp_path / "s", 1)
    (directory / "journal" / "0000000000000001.journal").touch()
    assert not format_is_damaged(LocalFiles(), directory)
    (directory / "format.json").write_text('{"format": "lynkd store"}')
    assert format_is_damaged(LocalFiles(), directory)
    assert not format_is_damaged(LocalFiles(), tmp_path)
