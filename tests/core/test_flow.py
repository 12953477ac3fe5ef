"""What waits in bounded links: against a model that looks at every value anew, and who waits in circles."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pure_home import PureHome, draft

from linkd.core import expiry
from linkd.core.cursor import Cursor
from linkd.core.disk import DiskState, Volume, budget_bytes, next_state, surplus_bytes
from linkd.core.flow import Flow, Reader, circle
from linkd.core.ledger import Ledger
from linkd.core.links import LinkShape
from linkd.core.tasks import Offer, TaskShape
from linkd.limits import GIB
from linkd.model.records import Dropped, GroupLeased, GroupMoved, GroupOpened, SnapshotLeased, TaskKind
from linkd.model.terms import LinkTerms
from linkd.model.values import Envelope, Position

BOUND_BYTES = 350
"""Three values of the 100 bytes that each has here, and a half."""
TASKS = {
    name: TaskShape(name, TaskKind.RUN, inputs, ())
    for name, inputs in {
        "each": (("s", "each"),),
        "window": (("s", "[5]"),),
        "join": (("s", "each"), ("r", "each")),
        "whole": (("s", "whole"),),
    }.items()
}
LINKS = (LinkShape("s", "", terms=LinkTerms(bound_bytes=BOUND_BYTES)), LinkShape("r", ""))
PATIENT = ("each", "window", "join", "whole")


@dataclass(slots=True)
class Envelopes:
    """What is on disk; `asked` counts the values that were looked at."""

    home: PureHome
    asked: int = 0
    gone: set[int] = field(default_factory=set)

    def stored(self, link: str) -> Iterator[Envelope]:
        for frame in self.home.frames:
            for record in frame:
                envelope = getattr(record, "envelope", None)
                if envelope is not None and envelope.link == link and not (link == "s" and envelope.position.sequence in self.gone):
                    yield envelope

    def rows(self, link: str, first_sequence: int, last_sequence: int) -> Iterator[tuple[int, int]]:
        yield from ((one.position.sequence, one.rows) for one in self._of(link, first_sequence, last_sequence))

    def total_bytes(self, link: str, first_sequence: int, last_sequence: int) -> int:
        return sum(one.size_bytes for one in self._of(link, first_sequence, last_sequence))

    def each_bytes(self, link: str, first_sequence: int, last_sequence: int) -> Iterator[tuple[int, int]]:
        yield from ((one.position.sequence, one.size_bytes) for one in self._of(link, first_sequence, last_sequence))

    def _of(self, link: str, first: int, last: int) -> Iterator[Envelope]:
        durable = self.home.ledger.links[link].durable_sequence
        for one in self.stored(link):
            if first <= one.position.sequence <= min(last, durable):
                self.asked += 1
                yield one


@dataclass(slots=True)
class World:
    """A pipeline in a run, its flow beside it, and what was taken by whom."""

    home: PureHome = field(default_factory=lambda: PureHome(Ledger(shapes=TASKS)))
    held: dict[str, list[SnapshotLeased]] = field(default_factory=lambda: {name: [] for name in TASKS})
    disk: Envelopes = field(init=False)
    flow: Flow = field(init=False)
    dropped: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.disk = Envelopes(self.home)
        self.flow = Flow(self.home.ledger, {shape.name: shape.terms for shape in LINKS}, self.disk, running=True)
        self.home.begin(links=LINKS)
        for name in ("s", "r"):  # outsiders go on publishing, as in a run that follows
            generation = self.home.ledger.links[name].generations[1]
            generation.sealed_sequence, generation.seal_durable = None, False

    def admit(self, records: object) -> None:
        self.flow.admitted(records)  # type: ignore[arg-type]
        self.flow.settled(records)  # type: ignore[arg-type]

    def publish(self, link: str) -> None:
        before = len(self.home.frames)
        self.home.publish(draft(link))
        generation = self.home.ledger.links[link].generations[1]
        generation.sealed_sequence, generation.seal_durable = None, False
        for frame in self.home.frames[before:]:
            self.admit(frame)

    def take(self, name: str) -> None:
        if isinstance(self.home.task(name).next_snapshot(self.home.ledger.links, rows=self.disk), Offer):
            self.held[name].append(self.home.lease(name))

    def commit(self, name: str, index: int) -> None:
        if self.held[name]:
            self.admit(self.home.commit(self.held[name].pop(index % len(self.held[name]))))

    def ack(self, sequence: int) -> None:
        group = self.home.ledger.groups.get(("g", "s"))
        if group is None:
            self.home.admit([GroupOpened("g", "s", 1, 1, 0, True)])
            return
        cursor = group.cursor.copy()
        if sequence <= self.home.ledger.links["s"].durable_sequence:
            cursor.settle(sequence, sequence)
            self.home.admit([GroupMoved("g", "s", 1, 1, cursor.done_sequence, cursor.done_sequence + 1, cursor.ranges_ahead())])

    def seek(self) -> None:
        """The group is put back to the first value."""
        group = self.home.ledger.groups.get(("g", "s"))
        if group is not None:
            self.home.admit([GroupMoved("g", "s", 1, 1, 0, 1, run_generation=group.run_generation + 1)])

    def drop(self, frees: bool) -> tuple[Dropped, ...]:
        """The index forgets it soon, or is not come to that yet."""
        [*full] = self.flow.full({"s": 100})
        records = self.flow.drops(full[0], 100, 7) if full else ()
        for record in records:
            self.admit(self.home.admit([record]))
            going = set(range(record.first_sequence, record.last_sequence + 1))
            assert not going & self.dropped, "once"
            self.dropped |= going
            if frees:
                self.disk.gone |= going
        return records

    # -- the model ------------------------------------------------------------------------------------------------------------------------

    def waiting(self) -> dict[Reader, int]:
        """By every value there is, for each reader that can go on."""
        found: dict[Reader, int] = {}
        for name, task in self.home.ledger.tasks.items():
            offer = task.next_snapshot(self.home.ledger.links, rows=self.disk)
            if task.leases or isinstance(offer, Offer):
                found[Reader(name, True)] = self._behind(task.cursors["s"])
        for group in self.home.ledger.groups.values():
            found[Reader(group.name, False)] = self._behind(group.cursor)
        return found

    def _behind(self, cursor: Cursor) -> int:
        kept = (one for one in self.disk.stored("s") if one.position.sequence not in self.dropped)
        return sum(one.size_bytes for one in kept if one.position.sequence > cursor.done_sequence)

    def check(self) -> None:
        expected = {reader: size for reader, size in self.waiting().items() if size and size + 100 > BOUND_BYTES}
        found = self.flow.full({"s": 100, "r": 10**9})
        assert set(found[0].readers if found else ()) == set(expected)
        assert not found or found[0].waiting_bytes == max(expected.values())
        fresh = Flow(self.home.ledger, self.flow.terms, self.disk, running=True).full({"s": 100})
        assert [(one.waiting_bytes, set(one.readers)) for one in fresh] == [(one.waiting_bytes, set(one.readers)) for one in found]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), st.sampled_from(["s", "s", "s", "r"])),
        st.tuples(st.just("take"), st.sampled_from(PATIENT)),
        st.tuples(st.just("commit"), st.sampled_from(PATIENT), st.integers(0, 3)),
        st.tuples(st.just("ack"), st.integers(1, 12)),
        st.tuples(st.just("seek")),
        st.tuples(st.just("drop"), st.booleans()),
    ),
    max_size=60,
)


@given(STEPS)
def test_what_waits_is_what_a_look_at_every_value_finds(steps: list[tuple[object, ...]]) -> None:
    world = World()
    for name, *arguments in steps:
        leased = {sequence for held in world.held.values() for one in held for sequence in _sequences(one)}
        for dropped in getattr(world, str(name))(*arguments) or ():
            taken = {sequence for sequence in leased if dropped.first_sequence <= sequence <= dropped.last_sequence}
            assert not {one for one in taken if one in _still_leased(world)}, "never what is on lease"
        world.check()


def _sequences(lease: SnapshotLeased) -> Iterator[int]:
    for portion in lease.portions:
        if portion.link == "s":
            yield from range(portion.first_sequence, portion.last_sequence + 1)


def _still_leased(world: World) -> set[int]:
    return {sequence for held in world.held.values() for one in held for sequence in _sequences(one)}


def test_what_was_dropped_and_is_not_freed_yet_makes_no_room_again_for_a_group_that_was_put_back() -> None:
    world = World()
    world.flow.running = False  # the group is the only reader
    world.home.admit([GroupOpened("g", "s", 1, 1, 0, True)])
    for sequence in (1, 2):
        world.publish("s")
        world.home.admit([GroupLeased("g", "s", Position(1, sequence), sequence, 1)])
    world.publish("s")
    world.publish("s")
    first = world.drop(False)
    world.seek()
    for _ in range(3):
        world.publish("s")
    second = world.drop(False)
    assert [(one.first_sequence, one.last_sequence) for one in (*first, *second)] == [(3, 4), (1, 2), (5, 5)]
    assert world.flow.waiting_bytes("s") == 200, "6 and 7"


def test_what_is_forgotten_made_its_room_when_it_was_dropped() -> None:
    world = World()
    world.flow.running = False
    world.home.admit([GroupOpened("g", "s", 1, 1, 0, True)])
    for _ in range(4):
        world.publish("s")
    [_] = world.drop(False)
    [_] = forgotten = expiry.forgotten(world.home.ledger, 8)
    world.admit(world.home.admit([*forgotten]))
    for _ in range(2):
        world.publish("s")
    assert world.flow.waiting_bytes("s") == 400


def test_a_value_is_looked_at_once_for_each_reader() -> None:
    world = World()
    for _ in range(50):
        world.publish("s")
        world.take("each")
        world.commit("each", 0)
        world.flow.full({"s": 100})
    assert world.disk.asked <= 200, "its rows for windows, its bytes when a cursor passes it"


@pytest.mark.parametrize(
    ("waits", "found"),
    [
        ({}, ()),
        ({"a": ["b"], "b": ["c"]}, ()),
        ({"a": ["a"]}, ("a",)),
        ({"b": ["a"], "a": ["b"]}, ("a", "b")),
        ({"x": ["c"], "c": ["d", "b"], "b": ["a"], "a": ["c"]}, ("a", "c", "b")),
        ({"a": ["b", "c"], "b": ["d"], "c": ["d"], "d": []}, ()),
    ],
)
def test_who_waits_for_himself_is_found(waits: dict[str, list[str]], found: tuple[str, ...]) -> None:
    assert circle(waits) == found


@given(st.dictionaries(st.sampled_from("abcdef"), st.sets(st.sampled_from("abcdef"), max_size=3)))
def test_a_circle_is_found_whenever_there_is_one(waits: dict[str, set[str]]) -> None:
    found = circle(waits)
    assert all(after in waits[before] for before, after in zip(found, (*found[1:], *found[:1]), strict=True))
    left = dict(waits)
    while moving := [name for name, others in left.items() if not any(other in left for other in others)]:
        for name in moving:
            del left[name]
    assert bool(found) == bool(left)


def test_a_budget_is_what_was_asked_for_or_what_is_free_less_a_reserve() -> None:
    assert budget_bytes(10 * GIB, 1 * GIB, Volume(100 * GIB, 50 * GIB)) == 10 * GIB
    assert budget_bytes(10 * GIB, 1 * GIB, Volume(100 * GIB, 2 * GIB)) == 3 * GIB
    assert budget_bytes(None, 1 * GIB, Volume(100 * GIB, 50 * GIB)) == 46 * GIB
    assert budget_bytes(None, 1 * GIB, Volume(10 * GIB, 5 * GIB)) == 4 * GIB
    assert budget_bytes(None, 1, Volume(10 * GIB, 1 * GIB)) == 0


@given(st.integers(0, 200), st.sampled_from(list(DiskState)))
def test_publishing_pauses_at_nine_tenths_and_goes_on_clearly_below(held: int, before: DiskState) -> None:
    state = next_state(before, held, 100)
    assert (state is DiskState.RESERVED) == (held >= 95)
    assert (state is DiskState.OPEN) == (held < (90 if before is DiskState.OPEN else 88))
    if state is not DiskState.OPEN:
        assert next_state(state, held - surplus_bytes(held, 100), 100) is DiskState.OPEN or held < 90
