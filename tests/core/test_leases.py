"""The book of deadlines, against a dict that is looked through each time."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from linkd.core.leases import Leases
from linkd.limits import LEASE_MAX_S

KEYS = ("a", "b", "c", "d")


@dataclass
class NaiveBook:
    """Each lease as (since, length); everything is found by looking at all of them."""

    held: dict[str, tuple[float, float]] = field(default_factory=dict)

    def due(self, now_s: float) -> list[str]:
        over = sorted((since + length, key) for key, (since, length) in self.held.items() if since + length <= now_s)
        for _, key in over:
            del self.held[key]
        return [key for _, key in over]

    def next_s(self) -> float | None:
        return min((since + length for since, length in self.held.values()), default=None)


steps = st.lists(
    st.tuples(
        st.sampled_from(("hold", "renew", "double", "drop", "due")),
        st.sampled_from(KEYS),
        st.integers(0, 5),
        st.integers(1, 7),
    ),
    max_size=60,
)


@given(steps)
def test_the_book_knows_what_a_look_at_everything_finds(said: list[tuple[str, str, int, int]]) -> None:
    book: Leases[str] = Leases()
    naive = NaiveBook()
    now_s = 0.0
    for what, key, passed_s, lease_s in said:
        now_s += passed_s
        if what == "hold":
            book.hold(key, now_s, lease_s)
            naive.held[key] = (now_s, float(lease_s))
        elif what == "renew":
            assert book.renew(key, now_s) == (key in naive.held)
            if key in naive.held:
                naive.held[key] = (now_s, naive.held[key][1])
        elif what == "double":
            book.double(key)
            if key in naive.held:
                naive.held[key] = (naive.held[key][0], naive.held[key][1] * 2)
        elif what == "drop":
            book.drop(key)
            naive.held.pop(key, None)
        else:
            assert sorted(book.due(now_s)) == sorted(naive.due(now_s))
        assert book.next_s() == naive.next_s()
        assert len(book) == len(naive.held)
        assert all((key in book) == (key in naive.held) for key in KEYS)


def test_what_is_due_comes_in_the_order_of_the_deadlines() -> None:
    book: Leases[str] = Leases()
    book.hold("late", 0.0, 9.0)
    book.hold("early", 0.0, 3.0)
    book.hold("renewed", 0.0, 1.0)
    book.renew("renewed", 4.0)
    assert book.due(2.0) == []
    assert book.due(20.0) == ["early", "renewed", "late"]
    assert book.next_s() is None


def test_a_lease_that_is_held_anew_for_a_shorter_time_ends_earlier() -> None:
    book: Leases[str] = Leases()
    book.hold("a", 0.0, 100.0)
    book.hold("a", 1.0, 2.0)
    assert book.next_s() == 3.0
    assert book.due(3.0) == ["a"]
    assert book.due(200.0) == []


def test_a_renewal_never_ends_a_lease_earlier() -> None:
    book: Leases[str] = Leases()
    book.hold("a", 10.0, 5.0)
    assert book.renew("a", 3.0)
    assert book.next_s() == 15.0


def test_a_doubled_lease_stays_within_a_day() -> None:
    book: Leases[str] = Leases()
    book.hold("a", 0.0, LEASE_MAX_S - 1)
    book.double("a")
    book.double("nobody")
    assert book.next_s() == LEASE_MAX_S


def test_renewing_and_dropping_for_ever_needs_no_more_memory() -> None:
    book: Leases[int] = Leases()
    for number in range(10_000):
        book.hold(number % 7, float(number), 1e6)
        book.renew(number % 7, number + 0.5)
        book.hold(10_000 + number, float(number), 1e6)
        book.drop(10_000 + number)
    assert len(book) == 7
    assert len(book._heap) < 200
