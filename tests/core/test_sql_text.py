"""Statements are cut where DuckDB ends them."""

from __future__ import annotations

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkd.core.sql_text import SqlStatement, StatementCutter, is_complete, is_insert


def cut(text: str) -> list[str]:
    cutter = StatementCutter()
    return [statement.text for statement in (*cutter.feed(text), *cutter.rest())]


@pytest.mark.parametrize(
    ("text", "statements"),
    [
        ("SELECT 1; SELECT 2", ["SELECT 1", "SELECT 2"]),
        ("SELECT ';' AS a, 'it''s;';", ["SELECT ';' AS a, 'it''s;'"]),
        ('SELECT 1 AS "a;b"; SELECT 2;', ['SELECT 1 AS "a;b"', "SELECT 2"]),
        ("SELECT E'\\';'; SELECT '\\';", ["SELECT E'\\';'", "SELECT '\\'"]),
        ("SELECT $$;$$; SELECT $tag$;$$;$tag$", ["SELECT $$;$$", "SELECT $tag$;$$;$tag$"]),
        ("SELECT a$b$ FROM t; SELECT '$b$'", ["SELECT a$b$ FROM t", "SELECT '$b$'"]),
        ("SELECT 1 -- a; b\n+ 1; SELECT 2", ["SELECT 1 -- a; b\n+ 1", "SELECT 2"]),
        ("SELECT 1 /* ; /* ; */ ; */ + 1; SELECT 2", ["SELECT 1 /* ; /* ; */ ; */ + 1", "SELECT 2"]),
        (" ;; -- nothing\n /* nothing */ ;", []),
        ("-- first\nSELECT 1;", ["SELECT 1"]),
    ],
)
def test_a_semicolon_inside_quotes_and_comments_ends_nothing(text: str, statements: list[str]) -> None:
    assert cut(text) == statements


def test_a_statement_knows_its_line() -> None:
    cutter = StatementCutter()
    assert cutter.feed("\n-- c\nSELECT 1;\n\nSELECT\n 2; SELECT 3;\n") == [
        SqlStatement("SELECT 1", 3),
        SqlStatement("SELECT\n 2", 5),
        SqlStatement("SELECT 3", 6),
    ]


@pytest.mark.parametrize("text", ["", "SELECT 1;", "SELECT ';';\n-- and so on", "SELECT 1; /* a */"])
def test_text_without_an_open_statement_is_complete(text: str) -> None:
    assert is_complete(text)


@pytest.mark.parametrize("text", ["SELECT 1", "SELECT ';", "SELECT 1 -- ;", "SELECT 1; /* ;", "SELECT $a$;$$"])
def test_text_with_an_open_statement_is_not_complete(text: str) -> None:
    assert not is_complete(text)


_PIECES = ["SELECT 1", ";", "'", "''", '"', "$$", "$t$", "E'", "\\", "--", "/*", "*/", "\n", " ", "a", "$", "1", "+", "e"]


@given(st.lists(st.sampled_from(_PIECES), max_size=14).map("".join))
def test_whatever_duckdb_takes_apart_is_taken_apart_alike(text: str) -> None:
    with duckdb.connect() as connection:
        try:
            statements = connection.extract_statements(text)
        except duckdb.Error:
            return
    assert len(cut(text)) == len(statements)


@given(st.lists(st.sampled_from(_PIECES), max_size=20).map("".join))
def test_it_makes_no_difference_in_how_many_lines_the_text_comes(text: str) -> None:
    cutter = StatementCutter()
    found = [statement for line in text.splitlines(keepends=True) for statement in cutter.feed(line)]
    whole = StatementCutter()
    assert found + cutter.rest() == whole.feed(text) + whole.rest()


@pytest.mark.parametrize(
    ("text", "inserts"),
    [
        ("INSERT INTO t SELECT 1", True),
        ("\n  -- INSERT? yes\n/* and /* within */ */ insert into t values (1)", True),
        ("SELECT 'INSERT'", False),
        ("-- INSERT\nSELECT 1", False),
        ("/* INSERT", False),
        ('"insert" into t', False),
        ("inserted", False),
        ("", False),
    ],
)
def test_an_insert_is_told_by_its_first_word(text: str, inserts: bool) -> None:
    assert is_insert(text) is inserts
