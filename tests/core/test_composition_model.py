"""Random lives of a task with any inputs, against policies written down a second time, over plain lists.

Of policies that do not depend on arrival the model computes every snapshot of the run from what its inputs hold at their end. For the others
it says at each step what has to come next. Between steps values arrive and are lost, frames are synced, snapshots come back and are committed
in any order, and the home crashes.
"""

from __future__ import annotations

import random
import re
from itertools import zip_longest

import pytest
from composing import Composing, Unit, values
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from linkd.core.tasks import End, Offer, Wait
from linkd.model.records import SnapshotCommitted, SnapshotLeased

Window = tuple[list[Unit], bool]
"""Rows, and whether it was cut short."""
Snapshot = tuple[tuple[list[Unit], ...], bool]

BATCHING = ("each", "[1]", "[3]", "[2-4]", "[4/2]", "[5/1]", "[3/3]", "[1 rows]", "[4 rows]", "[7 rows]")
TASKS = st.one_of(
    st.lists(st.sampled_from(BATCHING), min_size=1, max_size=2),
    st.lists(st.sampled_from(BATCHING), min_size=1, max_size=2).map(lambda given: [*given, "latest"]),
    st.lists(st.just("whole"), min_size=1, max_size=2).flatmap(lambda given: st.sampled_from([given, [*given, "latest"]])),
)
ARRIVING = st.one_of(
    st.sampled_from([["swap"], ["swap", "swap"], ["swap", "latest"]]).map(lambda given: (given, False)),
    st.sampled_from([["swap"], ["swap", "latest"], ["[2-4]"], ["[2-4]", "latest"], ["each", "latest"], ["[2-4]", "[2]"]]).map(
        lambda given: (given, True)
    ),
)

CONTENTS = st.lists(st.lists(st.integers(0, 9), max_size=14), min_size=3, max_size=3)
"""Rows of the values that are there at the beginning, by link."""


def units_of(contents: list[int], first: int, last: int) -> list[Unit]:
    """The rows of the values from `first` to `last`."""
    return [
        unit
        for sequence in range(first, last + 1)
        for unit in ([(sequence, row) for row in range(contents[sequence - 1])] or [(sequence, None)])
    ]


def windows(policy: str, contents: list[int]) -> list[Window]:
    """All windows of an input that holds these values and no more, one behind the other."""
    numbers = [int(number) for number in re.findall(r"\d+", policy)] or [1]
    count = len(contents)
    if policy == "whole":
        return [(units_of(contents, 1, count), False)]
    if "rows" in policy:
        return windows_of_rows(units_of(contents, 1, count), numbers[0])
    if "/" in policy:
        size, slide = numbers
        starts, seen = [], 0
        while seen < count:
            starts.append(1 + slide * len(starts))
            seen = starts[-1] + size - 1
        return [(units_of(contents, start, min(start + size - 1, count)), start + size - 1 > count) for start in starts]
    most, enough = numbers[-1], numbers[0]
    return [
        (units_of(contents, start, min(start + most - 1, count)), min(most, count - start + 1) < enough)
        for start in range(1, count + 1, most)
    ]


def windows_of_rows(units: list[Unit], wanted: int) -> list[Window]:
    found: list[Window] = []
    window: list[Unit] = []
    for unit in units:
        window.append(unit)
        if sum(row is not None for _, row in window) == wanted:
            found.append((window, False))
            window = []
    return [*found, (window, True)] if window else found


def newest(contents: list[int]) -> list[Unit]:
    return units_of(contents, len(contents), len(contents)) if contents else []


def expected(inputs: tuple[tuple[str, str], ...], contents: dict[str, list[int]]) -> list[Snapshot]:
    """Every snapshot of a finite run whose inputs hold this."""
    driving = {link: windows(policy, contents[link]) for link, policy in inputs if policy != "latest"}
    whole = any(policy == "whole" for _, policy in inputs)
    found: list[Snapshot] = []
    for drawn in zip_longest(*driving.values()):
        by_link = dict(zip(driving, drawn, strict=True))
        held = tuple(newest(contents[link]) if policy == "latest" else (by_link[link] or ([], True))[0] for link, policy in inputs)
        found.append((held, not whole and any(window is None or window[1] for window in drawn)))
    return found


class Life(RuleBasedStateMachine):
    """What both kinds of tasks go through."""

    task: Composing
    held: list[SnapshotLeased]

    def start(self, policies: list[str], contents: list[list[int]], *, follow: bool) -> None:
        self.task = Composing(tuple((link, policy) for link, policy in zip("abc", policies, strict=False)), follow)
        for link, rows in zip(self.links, contents, strict=False):
            self.task.arrive(link, *rows)
        self.held = []
        self.seen: dict[bytes, Snapshot] = {}

    @property
    def links(self) -> list[str]:
        return [link for link, _ in self.task.inputs]

    @rule(data=st.data(), rows=st.lists(st.integers(0, 6), min_size=1, max_size=4))
    def arrive(self, data: st.DataObject, rows: list[int]) -> None:
        link = data.draw(st.sampled_from(self.links))
        if not self.task.is_sealed(link):
            self.task.arrive(link, *rows)

    @rule(count=st.integers(1, 4))
    def sync(self, count: int) -> None:
        self.task.sync(count)

    @rule(data=st.data())
    def seal(self, data: st.DataObject) -> None:
        link = data.draw(st.sampled_from(self.links))
        if data.draw(st.integers(0, 3)) == 0 and not self.task.is_sealed(link):
            self.task.seal(link)

    @rule()
    def hand_out(self) -> None:
        found = self.task.next()
        self.check_decision(found)
        if isinstance(found, Offer):
            for portion in found.portions:
                durable = self.task.ledger.links[portion.link].durable_sequence
                assert portion.last_sequence <= max(durable, portion.first_sequence - 1)
            held = self.task.held(found), found.partial
            assert self.seen.setdefault(found.snapshot_id, held) == held, "a snapshot is the same in every attempt"
            self.held.append(self.task.lease(found))

    def check_decision(self, found: Offer | Wait | End) -> None:
        """What the model says of a decision as it is taken."""

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def commit(self, data: st.DataObject) -> None:
        self.task.commit(self.held.pop(data.draw(st.integers(0, len(self.held) - 1))))

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        self.task.give_back(self.held.pop(data.draw(st.integers(0, len(self.held) - 1))))

    @rule()
    def crash(self) -> None:
        self.task.crash()
        self.held.clear()

    def committed(self) -> list[bytes]:
        return [record.snapshot_id for frame in self.task.frames for record in frame if isinstance(record, SnapshotCommitted)]

    def finish(self) -> None:
        """An orderly end: everything is sealed, and what is left is taken."""
        for link in self.links:
            if not self.task.is_sealed(link):
                self.task.seal(link)
        self.task.sync()
        while self.held:
            self.task.commit(self.held.pop())
        while isinstance(self.task.next(), Offer):
            self.hand_out()
            self.task.commit(self.held.pop())
        assert isinstance(self.task.next(), Wait if self.task.follow else End)
        assert not self.task.task.leases
        assert len(set(self.committed())) == len(self.committed())
        assert set(self.task.task.unread(self.task.ledger.links).values()) <= {0}


class FiniteLife(Life):
    """Policies of which a repeated run gives the same."""

    @initialize(policies=TASKS, contents=CONTENTS)
    def first(self, policies: list[str], contents: list[list[int]]) -> None:
        self.start(policies, contents, follow=False)

    def teardown(self) -> None:
        if not hasattr(self, "task"):
            return
        self.finish()
        contents = {link: self.task.contents(link) for link in self.links}
        model = expected(self.task.inputs, contents)
        found = [self.seen[identity] for identity in self.committed()]
        assert sorted(found, key=repr) == sorted(model, key=repr)
        assert all(snapshot in model for snapshot in self.seen.values()), "also what a crash took was one of them"


class ArrivingLife(Life):
    """Policies that take what there is when they are asked."""

    @initialize(given=ARRIVING, contents=CONTENTS)
    def first(self, given: tuple[list[str], bool], contents: list[list[int]]) -> None:
        self.start(given[0], contents, follow=given[1])

    def there(self, link: str) -> int:
        return min(self.task.ledger.links[link].durable_sequence, len(self.task.contents(link)))

    def is_complete(self, link: str) -> bool:
        return self.task.ledger.links[link].generations[1].seal_durable

    def check_decision(self, found: Offer | Wait | End) -> None:
        if self.task.task.ended or any(lease.session is None for lease in self.task.task.leases.values()):
            return
        policies = dict(self.task.inputs)
        composed = list({r.snapshot_id: r for frame in self.task.frames for r in frame if isinstance(r, SnapshotLeased)}.values())
        ready = self.swap_is_ready(composed) if "swap" in policies.values() else self.batch_is_ready(composed)
        for link in (link for link, policy in policies.items() if policy == "latest"):
            ready = ready and (self.is_complete(link) or (self.task.follow and self.there(link) > 0))
        assert isinstance(found, Offer) == ready
        if isinstance(found, Offer):
            for portion, (link, policy) in zip(found.portions, self.task.inputs, strict=True):
                if policy in ("swap", "latest"):
                    last = self.there(link)
                    assert (portion.first_sequence, portion.last_sequence) == (max(last, 1), last)
                else:
                    done = self.taken(composed, link)
                    take = min(self.there(link) - done, self.bounds(policy)[1])
                    assert (portion.first_sequence, portion.last_sequence) == (done + 1, done + max(take, 0))

    def swap_is_ready(self, composed: list[SnapshotLeased]) -> bool:
        swapping = [link for link, policy in self.task.inputs if policy == "swap"]
        if self.task.task.leases or not all(self.there(link) or self.is_complete(link) for link in swapping):
            return False
        before = {portion.link: portion.last_sequence for portion in composed[-1].portions} if composed else {}
        return any(self.there(link) > before.get(link, 0) for link in swapping)

    def batch_is_ready(self, composed: list[SnapshotLeased]) -> bool:
        new = False
        for link, policy in self.task.inputs:
            if policy != "latest":
                left = self.there(link) - self.taken(composed, link)
                if left < self.bounds(policy)[0] and not self.is_complete(link):
                    return False
                new = new or left > 0
        return new

    def taken(self, composed: list[SnapshotLeased], link: str) -> int:
        return max((portion.last_sequence for one in composed for portion in one.portions if portion.link == link), default=0)

    def bounds(self, policy: str) -> tuple[int, int]:
        numbers = [int(number) for number in re.findall(r"\d+", policy)] or [1]
        return numbers[0], numbers[-1]

    def teardown(self) -> None:
        if not hasattr(self, "task"):
            return
        self.finish()
        if any(policy == "swap" for _, policy in self.task.inputs):
            return
        driving = [index for index, (_, policy) in enumerate(self.task.inputs) if policy != "latest"]
        records = [r for frame in self.task.frames for r in frame if isinstance(r, SnapshotCommitted)]
        for index in driving:
            ranges = sorted(values(record)[index] for record in records)
            taken = [n for first, last in ranges for n in range(first, last + 1)]
            assert taken == list(range(1, self.there(self.task.inputs[index][0]) + 1)), "each value once"


@pytest.mark.parametrize("policy", BATCHING)
@given(rows=st.lists(st.integers(0, 9), max_size=14), first=st.integers(0, 14), turns=st.randoms(use_true_random=False))
def test_windows_that_are_composed_ahead_and_settled_in_any_order_are_those_of_the_model(
    policy: str, rows: list[int], first: int, turns: random.Random
) -> None:
    task = Composing((("a", policy),))
    task.arrive("a", *rows[:first])
    task.sync()
    held: list[SnapshotLeased] = []
    found: list[Snapshot] = []
    while not isinstance(offer := task.next(), End):
        if isinstance(offer, Wait) and not task.is_sealed("a"):
            task.arrive("a", *rows[first:])
            task.seal("a")
            task.sync()
        elif isinstance(offer, Offer) and len(held) < 3 and turns.random() < 0.7:
            held.append(task.lease(offer))
            if offer.attempt == 1:
                found.append((task.held(offer), offer.partial))
        elif held and turns.random() < 0.8:
            task.commit(held.pop(turns.randrange(len(held))))
        elif held:
            task.give_back(held.pop())
    assert found == expected((("a", policy),), {"a": rows})
    assert task.task.unread(task.ledger.links) == {"a": 0}


TestFiniteLife = FiniteLife.TestCase
TestFiniteLife.settings = settings(stateful_step_count=40)
TestArrivingLife = ArrivingLife.TestCase
TestArrivingLife.settings = settings(stateful_step_count=40)
