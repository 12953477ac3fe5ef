"""What the prompt of `linkd sql` suggests."""

from __future__ import annotations

import pytest

from linkd.app.cli.sql_completion import Suggestion, suggestions

COLUMNS = {"flown": ["carrier", "distance"], "airlines": ["carrier", "name"]}


def suggested(before: str, after: str = "") -> list[str]:
    return [each.text for each in suggestions(before, after, COLUMNS)[1]]


@pytest.mark.parametrize("before", ["SELECT * FROM ", "SELECT * FROM flown f JOIN "])
def test_behind_from_and_join_there_are_links(before: str) -> None:
    assert suggested(before) == ["flown", "airlines"]
    assert suggested(before + "fl") == ["flown"]


def test_a_word_of_a_statement_is_a_column_of_its_links_first() -> None:
    assert suggested("SELECT dis", " FROM flown")[0] == "distance"
    assert "name" not in suggested("SELECT na", " FROM flown")
    assert suggested("SELECT na")[0] == "name"


def test_columns_of_another_statement_do_not_count() -> None:
    assert "name" not in suggested("SELECT na", " FROM flown; SELECT * FROM airlines")


def test_behind_a_dot_there_are_the_columns_of_the_link_or_alias() -> None:
    assert suggestions("SELECT flown.d", "", COLUMNS) == ("d", [Suggestion("distance", "column of flown")])
    assert suggested("SELECT a.", " FROM flown f JOIN airlines AS a") == ["carrier", "name"]
    assert suggested("SELECT x.", " FROM flown f") == []


def test_words_of_sql_are_written_as_the_person_writes() -> None:
    assert "WHERE" in suggested("SELECT * FROM flown WH")
    assert "where" in suggested("select * from flown wh")
    assert "date_trunc" in suggested("select date_tr")


def test_without_a_beginning_only_columns_and_links_are_suggested() -> None:
    assert suggested("SELECT ") == ["carrier", "distance", "name", "flown", "airlines"]


def test_inside_a_text_nothing_is_suggested() -> None:
    assert suggested("SELECT 'fl") == []
