"""What is taken off an INSERT, and what is left for DuckDB."""

from __future__ import annotations

import pytest

from linkd.errors import QueryInvalid
from linkd.query.insertion import insertion_in


@pytest.mark.parametrize(
    ("sql", "target", "columns", "select"),
    [
        ("INSERT INTO t SELECT 1", "t", (), "SELECT 1"),
        ('insert into "t" (a, "B c") VALUES (1, 2)', "t", ("a", "B c"), "VALUES (1, 2)"),
        ("-- it\nINSERT /* x */ INTO t BY NAME FROM u", "t", (), "FROM u"),
        ("INSERT INTO links.t SELECT 1", "t", (), "SELECT 1"),
        ('INSERT INTO p . "links" . T SELECT 1', "t", (), "SELECT 1"),
        ("INSERT INTO t WITH x AS (SELECT 1) FROM x", "t", (), "WITH x AS (SELECT 1) FROM x"),
        ("WITH x AS (SELECT 1) INSERT INTO t FROM x", "t", (), "WITH x AS (SELECT 1) FROM x"),
        (
            "WITH x AS (SELECT 'INSERT INTO u' AS insert), y AS (SELECT \"insert\" FROM x -- insert into v\n) INSERT INTO t (a) FROM y",
            "t",
            ("a",),
            "WITH x AS (SELECT 'INSERT INTO u' AS insert), y AS (SELECT \"insert\" FROM x -- insert into v\n) FROM y",
        ),
    ],
)
def test_the_link_and_its_columns_are_taken_off_and_places_stay(sql: str, target: str, columns: tuple[str, ...], select: str) -> None:
    found = insertion_in(sql, "p")
    assert found is not None
    assert (found.target, found.columns) == (target, columns)
    assert " ".join(found.select.split()) == " ".join(select.split())
    assert len(found.select) == len(sql)
    for part in select.split():
        assert part in found.select


@pytest.mark.parametrize(
    "sql", ["SELECT 1", "WITH x AS (SELECT 1 AS insert) SELECT insert FROM x", "WITH x AS (INSERT INTO t SELECT 1) FROM x", ""]
)
def test_other_statements_are_left_alone(sql: str) -> None:
    assert insertion_in(sql) is None


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("INSERT t SELECT 1", "after INSERT comes INTO"),
        ("INSERT INTO q.links.t SELECT 1", "`q.links.t` is not the name of a link"),
        ("INSERT INTO t (a, a) SELECT 1, 2", "column `a` is named 2 times"),
        ("WITH x AS (SELECT 1) INSERT INTO t WITH y AS (SELECT 2) FROM x, y", "WITH stands before INSERT and behind it"),
    ],
)
def test_what_is_not_understood_is_refused_with_its_place(sql: str, said: str) -> None:
    with pytest.raises(QueryInvalid, match=rf"(?s){said}.*LINE 1: .*\n *\^"):
        insertion_in(sql, "p")
