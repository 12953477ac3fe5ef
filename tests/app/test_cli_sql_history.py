"""What was asked is remembered, within bounds and for the user only."""

from __future__ import annotations

from pathlib import Path

import pytest

from linkd import limits
from linkd.app.cli.sql_history import SqlHistory, history_path
from linkd.errors import StorageFailed


def test_the_file_is_in_the_users_state_directory(tmp_path: Path) -> None:
    assert history_path({"XDG_STATE_HOME": "/state"}, tmp_path) == Path("/state/linkd/sql_history")
    assert history_path({}, tmp_path) == tmp_path / ".local/state/linkd/sql_history"
    assert history_path({"XDG_STATE_HOME": "here"}, tmp_path) == tmp_path / ".local/state/linkd/sql_history"


def test_statements_of_several_lines_come_back(tmp_path: Path) -> None:
    history = SqlHistory(tmp_path / "linkd" / "sql_history")
    assert history.load() == []
    for statement in ("SELECT 1;", "SELECT\n 'ä';"):
        history.append(statement)
    assert SqlHistory(history.path).load() == ["SELECT 1;", "SELECT\n 'ä';"]
    assert oct(history.path.stat().st_mode & 0o777) == "0o600"
    assert oct(history.path.parent.stat().st_mode & 0o777) == "0o700"


def test_only_the_newest_statements_are_kept(tmp_path: Path) -> None:
    history = SqlHistory(tmp_path / "sql_history")
    for number in range(limits.SQL_HISTORY_MAX_ENTRIES + 3):
        history.append(f"SELECT {number};")
    kept = history.load()
    assert (len(kept), kept[0], kept[-1]) == (limits.SQL_HISTORY_MAX_ENTRIES, "SELECT 3;", f"SELECT {limits.SQL_HISTORY_MAX_ENTRIES + 2};")
    assert len(history.path.read_bytes().splitlines()) == limits.SQL_HISTORY_MAX_ENTRIES
    assert [path.name for path in tmp_path.iterdir()] == ["sql_history"]


def test_a_file_that_is_too_long_is_cut_at_a_statement(tmp_path: Path) -> None:
    history = SqlHistory(tmp_path / "sql_history")
    long = "SELECT '" + "x" * (limits.SQL_HISTORY_ENTRY_MAX_BYTES - 100) + "';"
    for _ in range(20):
        history.append(long)
    assert 0 < len(history.load()) < 20
    assert history.path.stat().st_size <= limits.SQL_HISTORY_MAX_BYTES


def test_a_statement_that_is_too_long_and_lines_that_are_none_are_left_away(tmp_path: Path) -> None:
    history = SqlHistory(tmp_path / "sql_history")
    history.append("x" * limits.SQL_HISTORY_ENTRY_MAX_BYTES)
    history.append("SELECT 1;")
    history.path.write_bytes(history.path.read_bytes() + b'7\n{"a": 1}\n"torn')
    assert history.load() == ["SELECT 1;"]


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "linkd").write_text("")
    history = SqlHistory(tmp_path / "linkd" / "sql_history")
    with pytest.raises(StorageFailed, match="will not be remembered"):
        history.append("SELECT 1;")
