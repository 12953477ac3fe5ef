"""Statements that a home knows again: few, and small."""

from __future__ import annotations

from linkd.core.rights import OUTSIDER, Identity, Role
from linkd.limits import CHECKED_STATEMENTS_MAX, REMEMBERED_STATEMENTS_MAX_BYTES
from linkd.query.answers import Prepared, StatementKind
from linkd.query.remembered import Remembered, RememberedStatements

QUESTION = {"tables": [{"link": "t", "generation": 0, "history": False}], "target": ""}


def of_size(size_bytes: int) -> Remembered:
    prepared = Prepared(StatementKind.SELECT, bytes(size_bytes), (), b"", "", ("t",))
    return Remembered(QUESTION, (), prepared)


def test_each_caller_has_his_own_and_what_is_used_stays() -> None:
    statements = RememberedStatements()
    task = Identity(Role.TASK, "t", 1)
    statements.keep(OUTSIDER, "first", of_size(1))
    assert statements.get(task, "first") is None
    for number in range(CHECKED_STATEMENTS_MAX):
        assert statements.get(OUTSIDER, "first") is not None
        statements.keep(task, str(number), of_size(1))
    assert statements.get(OUTSIDER, "first") is not None
    assert statements.get(task, "0") is None


def test_large_ones_are_few_and_what_is_replaced_is_not_counted_twice() -> None:
    statements = RememberedStatements()
    half = REMEMBERED_STATEMENTS_MAX_BYTES // 2 - 10
    for _ in range(5):
        statements.keep(OUTSIDER, "a", of_size(half))
    statements.keep(OUTSIDER, "b", of_size(half))
    assert statements.get(OUTSIDER, "a") is not None
    statements.keep(OUTSIDER, "c", of_size(half))
    assert [statements.get(OUTSIDER, sql) is not None for sql in "abc"] == [True, False, True]
    statements.keep(OUTSIDER, "d", of_size(REMEMBERED_STATEMENTS_MAX_BYTES))
    assert [statements.get(OUTSIDER, sql) for sql in "abcd"] == [None] * 4
