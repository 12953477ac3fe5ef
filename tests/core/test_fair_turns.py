"""Turns are shared out by bytes: held against what is promised, with parties that come, wait in several places and go as they like."""

from __future__ import annotations

from collections import Counter, deque

from hypothesis import given
from hypothesis import strategies as st

from linkd.core.fair_turns import FairTurns

MOST_BYTES = 100
SIZES = st.lists(st.integers(1, MOST_BYTES), min_size=1, max_size=60)


@given(st.dictionaries(st.sampled_from("abcd"), st.tuples(SIZES, st.integers(1, 8)), min_size=2))
def test_none_of_those_who_always_wait_gets_ahead_of_another_by_more_than_two_turns(parties: dict[str, tuple[list[int], int]]) -> None:
    turns: FairTurns[tuple[str, int]] = FairTurns()
    coming = {party: deque(sizes) for party, (sizes, _) in parties.items()}
    waiting: Counter[str] = Counter()
    served: Counter[str] = Counter()

    def ask(party: str) -> None:
        if coming[party]:
            size_bytes = coming[party].popleft()
            waiting[party] += 1
            turns.ask(party, size_bytes, (party, size_bytes))

    for party, (_, streams) in parties.items():
        for _ in range(streams):
            ask(party)
    while all(waiting.values()):
        turn = turns.next()
        assert turn is not None
        party, size_bytes = turn
        served[party] += size_bytes
        assert max(served.values()) - min(served[one] for one in parties) <= 2 * MOST_BYTES
        waiting[party] -= 1
        ask(party)


@given(st.lists(st.integers(1, MOST_BYTES), min_size=1, max_size=200), st.integers(0, 199))
def test_who_comes_late_waits_for_one_turn_of_each_other_and_has_saved_nothing_up(sizes: list[int], late: int) -> None:
    turns: FairTurns[str] = FairTurns()
    for size_bytes in sizes:
        turns.ask("bulk", size_bytes, "bulk")
    for _ in range(min(late, len(sizes) - 1)):
        assert turns.next() == "bulk"
    for _ in range(3):
        turns.ask("late", MOST_BYTES, "late")
    order = list(iter(turns.next, None))
    assert "late" in order[:2]
    assert order.count("bulk") == len(sizes) - min(late, len(sizes) - 1)
    if order[-1] == "bulk":
        assert order[1:3] != ["late", "late"], "what it did not ask for before is not made up for"


@given(st.lists(st.sampled_from("abc"), max_size=50))
def test_equals_come_in_the_order_in_which_they_asked(parties: list[str]) -> None:
    turns: FairTurns[int] = FairTurns()
    for number, party in enumerate(parties):
        turns.ask((party, number), 1, number)
    assert list(iter(turns.next, None)) == list(range(len(parties)))
    assert len(turns) == 0


def test_those_who_are_gone_are_forgotten_while_others_wait() -> None:
    turns: FairTurns[int] = FairTurns()
    for number in range(10_000):
        turns.ask("who stays", 10, number)
        turns.ask(number, 10, number)
        if number:
            turns.next()
            turns.next()
    assert len(turns._clocks) < 20
