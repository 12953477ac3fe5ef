"""Prepared statements: whose they are, how many there may be, and when they are forgotten."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from linkd.core.prepared_statements import PreparedStatement, PreparedStatements
from linkd.core.rights import OUTSIDER, Identity, Role
from linkd.errors import InvalidArgument, ValueTooLarge
from linkd.limits import (
    PREPARED_STATEMENT_IDLE_S,
    PREPARED_STATEMENTS_MAX,
    PREPARED_STATEMENTS_MAX_BYTES,
    STATEMENT_PARAMETERS_MAX_BYTES,
)

CLEAN = Identity(Role.TASK, "clean", 1)
SELECT = PreparedStatement("SELECT 1", b"schema")


def test_a_statement_is_found_by_its_handle_until_it_is_closed() -> None:
    statements = PreparedStatements()
    statements.open(OUTSIDER, b"a", SELECT, 0.0)
    assert statements.use(OUTSIDER, b"a", 1.0) == SELECT
    statements.close(OUTSIDER, b"a")
    statements.close(OUTSIDER, b"a")
    with pytest.raises(InvalidArgument, match="not open any more"):
        statements.use(OUTSIDER, b"a", 2.0)


def test_a_handle_is_worth_nothing_to_others() -> None:
    statements = PreparedStatements()
    statements.open(CLEAN, b"a", SELECT, 0.0)
    with pytest.raises(InvalidArgument):
        statements.use(OUTSIDER, b"a", 1.0)
    with pytest.raises(InvalidArgument):
        statements.bind(OUTSIDER, b"a", b"rows", 1.0)
    statements.close(OUTSIDER, b"a")
    assert statements.use(CLEAN, b"a", 1.0) == SELECT


def test_parameters_stay_bound_until_others_are() -> None:
    statements = PreparedStatements()
    statements.open(OUTSIDER, b"a", SELECT, 0.0)
    statements.bind(OUTSIDER, b"a", b"one", 1.0)
    assert statements.use(OUTSIDER, b"a", 2.0).bound == b"one"
    statements.bind(OUTSIDER, b"a", b"two", 3.0)
    assert statements.use(OUTSIDER, b"a", 4.0).bound == b"two"
    with pytest.raises(ValueTooLarge, match="at most"):
        statements.bind(OUTSIDER, b"a", bytes(STATEMENT_PARAMETERS_MAX_BYTES + 1), 5.0)
    assert statements.use(OUTSIDER, b"a", 6.0).bound == b"two"


def test_one_that_nobody_uses_is_forgotten() -> None:
    statements = PreparedStatements()
    statements.open(OUTSIDER, b"idle", SELECT, 0.0)
    statements.open(OUTSIDER, b"used", SELECT, 0.0)
    statements.use(OUTSIDER, b"used", PREPARED_STATEMENT_IDLE_S / 2)
    with pytest.raises(InvalidArgument):
        statements.use(OUTSIDER, b"idle", PREPARED_STATEMENT_IDLE_S)
    assert statements.use(OUTSIDER, b"used", PREPARED_STATEMENT_IDLE_S) == SELECT


def test_of_too_many_the_least_recently_used_goes() -> None:
    statements = PreparedStatements()
    for number in range(PREPARED_STATEMENTS_MAX):
        statements.open(OUTSIDER, bytes([number]), SELECT, 0.0)
    statements.use(OUTSIDER, bytes([0]), 1.0)
    statements.open(OUTSIDER, b"one more", SELECT, 2.0)
    assert statements.use(OUTSIDER, bytes([0]), 3.0) == SELECT
    with pytest.raises(InvalidArgument):
        statements.use(OUTSIDER, bytes([1]), 3.0)


class Bounded(RuleBasedStateMachine):
    """Whatever is opened, bound, used and closed, what one identity holds stays within its bounds, and what was used last is there."""

    def __init__(self) -> None:
        super().__init__()
        self.statements = PreparedStatements()
        self.now_s = 0.0
        self.opened = 0

    @rule(size=st.sampled_from([10, 1 << 20, 3 << 20]), seconds=st.floats(0, PREPARED_STATEMENT_IDLE_S))
    def open(self, size: int, seconds: float) -> None:
        self.now_s += seconds
        self.opened += 1
        handle = self.opened.to_bytes(4, "big")
        statement = PreparedStatement("s" * size, b"schema")
        self.statements.open(OUTSIDER, handle, statement, self.now_s)
        assert self.statements.use(OUTSIDER, handle, self.now_s) == statement

    @rule(back=st.integers(0, 20), size=st.sampled_from([0, STATEMENT_PARAMETERS_MAX_BYTES]))
    def bind(self, back: int, size: int) -> None:
        try:
            self.statements.bind(OUTSIDER, (self.opened - back).to_bytes(4, "big", signed=True), bytes(size), self.now_s)
        except InvalidArgument:
            assert back > 0 or not self.opened

    @rule(back=st.integers(1, 20))
    def close(self, back: int) -> None:
        self.statements.close(OUTSIDER, (self.opened - back).to_bytes(4, "big", signed=True))

    @invariant()
    def bounded(self) -> None:
        owned = self.statements._owned.get(OUTSIDER)
        if owned is None:
            return
        held = [one.statement.size_bytes for one in owned.opened.values()]
        assert owned.size_bytes == sum(held)
        assert len(held) <= PREPARED_STATEMENTS_MAX
        assert len(held) <= 1 or sum(held) <= PREPARED_STATEMENTS_MAX_BYTES


TestBounded = Bounded.TestCase
TestBounded.settings = settings(max_examples=15, stateful_step_count=20, deadline=None)
