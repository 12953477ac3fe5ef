"""Which values go by themselves, against lists of what there is, of who read what and of what was made from what."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from pure_home import PureHome, draft
from thoroughness import examples

from linkd.core import expiry, holds, publishing
from linkd.core.checkpoint import keep, restored
from linkd.core.expiry import Moment
from linkd.core.gone import DropCount
from linkd.core.links import dropped_within
from linkd.core.tasks import End, Offer
from linkd.errors import InvalidArgument, LinkNotFound, Overloaded
from linkd.limits import HOLD_MAX_S, HOLDS_MAX, RETENTION_STRETCHES_MAX
from linkd.model.records import Dropped, GroupMoved, GroupOpened, HoldPlaced
from linkd.model.terms import Retain
from linkd.model.values import Envelope
from linkd.wire.checkpoints import decode_piece, encode_piece

SECOND = 1_000_000_000


def publish(home: PureHome, link: str, values: int, *, each_s: float = 1.0, size_bytes: int = 100) -> None:
    for _ in range(values):
        home.now_ns += int(each_s * SECOND)
        home.publish(dataclasses.replace(draft(link), size_bytes=size_bytes))


def expire(home: PureHome, link: str, retain: Retain, held: float = float("inf")) -> list[tuple[int, int, str]]:
    found = expiry.expired(home.ledger, link, retain, Moment(home.now_ns, home.now_ns), held)
    if found.records:
        home.admit(found.records)
    return [(one.first_sequence, one.last_sequence, one.reason) for one in found.records]


@pytest.mark.parametrize(
    ("retain", "gone"),
    [
        (Retain(values=3), [(1, 7, "values")]),
        (Retain(size_bytes=450), [(1, 6, "size")]),
        (Retain(size_bytes=50), [(1, 9, "size")]),
        (Retain(age_s=4.5), [(1, 5, "age")]),
        (Retain(age_s=7.5, values=1), [(1, 2, "age"), (3, 9, "values")]),
        (Retain(values=10, size_bytes=1_000, age_s=9.5), []),
    ],
)
def test_what_is_beyond_a_bound_goes_the_oldest_first(retain: Retain, gone: list[tuple[int, int, str]]) -> None:
    home = PureHome()
    publish(home, "a", 10)
    assert expire(home, "a", retain) == gone
    assert expire(home, "a", retain) == []
    generation = home.ledger.links["a"].generations[1]
    last = gone[-1][1] if gone else 0
    assert (generation.kept_sequence, generation.values, generation.size_bytes) == (last + 1, 10 - last, 100 * (10 - last))
    assert [one[:2] for one in gone] == [(one.first_sequence, one.last_sequence) for one in dropped_within(home.ledger.links["a"], 1, 10)]


def test_everything_goes_with_age_and_the_sequences_go_on() -> None:
    home = PureHome()
    publish(home, "a", 3)
    home.now_ns += 100 * SECOND
    assert expire(home, "a", Retain(age_s=10)) == [(1, 3, "age")]
    link = home.ledger.links["a"]
    generation = link.generations[1]
    assert (generation.kept_sequence, link.durable_last(generation), generation.values) == (4, 3, 0)
    publish(home, "a", 1)
    assert (generation.kept_sequence, link.durable_last(generation), generation.values) == (4, 4, 1)


def test_the_next_look_is_when_the_oldest_is_too_old() -> None:
    home = PureHome()
    publish(home, "a", 2)
    found = expiry.expired(home.ledger, "a", Retain(age_s=10), Moment(home.now_ns, home.now_ns))
    assert found.next_ns is not None
    assert 9 * SECOND <= found.next_ns - home.now_ns < 9.1 * SECOND
    paused = expiry.expired(home.ledger, "a", Retain(age_s=0.1), Moment(home.now_ns, None))
    assert paused.records == []


def test_a_group_keeps_what_it_has_not_done_unless_retention_is_hard_and_then_it_is_counted() -> None:
    home = PureHome()
    publish(home, "a", 10)
    home.admit([GroupOpened("g", "a", 1, 1, 0), GroupMoved("g", "a", 1, 1, 4, 5, ((7, 7),))])
    assert expire(home, "a", Retain(values=1)) == [(1, 4, "values")]
    found = expiry.expired(home.ledger, "a", Retain(values=1, hard=True), Moment(home.now_ns, home.now_ns))
    assert [(loss.reader, loss.values, loss.reason) for loss in found.losses] == [("g", 5, "values")]
    home.admit(found.records)
    group = home.ledger.groups["g", "a"]
    assert (group.cursor.done_sequence, group.cursor.ahead) == (9, [])
    assert group.lost_values == 4, "one of the five was done ahead of the others"
    assert home.ledger.links["a"].dropped == {"values": DropCount(9, home.now_ns)}
    home.admit([Dropped("a", 1, 3, 5, "age", dropped_at_ns=1)])
    assert home.ledger.links["a"].dropped["values"].values == 9, "what is gone goes once"
    assert "age" not in home.ledger.links["a"].dropped


def test_a_task_that_takes_values_in_turn_passes_over_what_is_lost_to_it() -> None:
    home = PureHome()
    publish(home, "numbers", 6)
    home.begin()
    home.commit(home.lease("double"))
    assert expire(home, "numbers", Retain(values=1)) == [(1, 1, "values")]
    assert expire(home, "numbers", Retain(values=2, hard=True)) == [(2, 4, "values")]
    assert [portion.first_sequence for portion in home.offer("double").portions] == [5]
    home.commit(home.lease("double"))
    home.commit(home.lease("double"))
    assert isinstance(home.task("double").next_snapshot(home.ledger.links), End)


def test_a_whole_reader_gets_what_is_left_and_its_portion_says_from_where() -> None:
    home = PureHome()
    publish(home, "numbers", 6)
    home.begin()
    for _ in range(6):
        home.commit(home.lease("double"), draft("doubled"))
    assert expire(home, "doubled", Retain(values=1)) == []
    assert expire(home, "doubled", Retain(values=2, hard=True)) == [(1, 4, "values")]
    home.admit(publishing.seal(home.ledger, "doubled", "over", 0))
    home.admit(publishing.seal(home.ledger, "names", "over", 0))
    portion = next(one for one in home.offer("sum_up").portions if one.link == "doubled")
    assert (portion.first_sequence, portion.last_sequence) == (5, 6)


def test_room_is_made_of_what_nobody_needs_and_the_newest_stays() -> None:
    home = PureHome()
    publish(home, "a", 10)
    assert [(one.first_sequence, one.last_sequence) for one in expiry.for_room(home.ledger, "a", 250, 0)] == [(1, 3)]
    assert [(one.first_sequence, one.last_sequence) for one in expiry.for_room(home.ledger, "a", 10_000, 0)] == [(1, 9)]
    assert [(one.first_sequence, one.last_sequence) for one in expiry.for_room(home.ledger, "a", 10_000, 0, 3)] == [(1, 2)]


def test_a_hundred_thousand_values_are_counted_in_a_few_stretches_and_go_in_sixty_fourths() -> None:
    home = PureHome()
    publish(home, "a", 1)
    link = home.ledger.links["a"]
    generation = link.generations[1]
    for sequence in range(2, 100_001):
        generation.account.add(envelope(sequence))
        assert len(generation.account.stretches) <= RETENTION_STRETCHES_MAX
    generation.last_sequence = link.durable_sequence = 100_000
    found = expiry.expired(home.ledger, "a", Retain(values=10_000), Moment(0, 0))
    [record] = found.records
    assert 90_000 - 100_000 // 60 <= record.last_sequence <= 90_000


def envelope(sequence: int) -> Envelope:
    from linkd.model.values import Position

    return Envelope(b"", "a", Position(1, sequence), 1, 1, 1, b"", 0, sequence)


def test_a_hold_keeps_what_it_names_for_its_time() -> None:
    home = PureHome()
    publish(home, "a", 5)
    now = home.now_ns
    home.admit(holds.place(home.ledger, HoldPlaced("export", "a", 1, 2, 4, now + 10**18, "copying"), now))
    assert home.ledger.holds["export"].until_ns == now + int(HOLD_MAX_S * 1e9)
    assert holds.next_end_ns(home.ledger.holds.values()) == now + int(HOLD_MAX_S * 1e9)
    assert holds.over(home.ledger, now) == []
    home.admit(holds.over(home.ledger, now + int(HOLD_MAX_S * 1e9)))
    assert home.ledger.holds == {}
    with pytest.raises(LinkNotFound, match="a@4 to a@9 cannot be held"):
        holds.place(home.ledger, HoldPlaced("x", "a", 1, 4, 9, now + 1), now)
    with pytest.raises(InvalidArgument, match="would end before it begins"):
        holds.place(home.ledger, HoldPlaced("x", "a", 1, 1, 2, now), now)
    home.ledger.holds.update({str(n): HoldPlaced(str(n), "a", 1, 1, 1, 1) for n in range(HOLDS_MAX)})
    with pytest.raises(Overloaded, match="256 holds"):
        holds.place(home.ledger, HoldPlaced("x", "a", 1, 1, 2, now + 1), now)


@dataclass(slots=True)
class Known:
    """A value as the model has it: what it was made from, as (link, sequence)."""

    created_at_ns: int
    size_bytes: int
    parents: frozenset[tuple[str, int]] = frozenset()


@dataclass(slots=True)
class Model:
    """What there ever was, by (link, sequence), and what became of it."""

    values: dict[tuple[str, int], Known] = field(default_factory=dict)
    dropped: set[tuple[str, int]] = field(default_factory=set)
    forgotten: set[tuple[str, int]] = field(default_factory=set)
    done: dict[str, set[int]] = field(default_factory=dict)
    reads: dict[str, str] = field(default_factory=dict)

    def there(self, link: str) -> list[int]:
        return [sequence for name, sequence in self.values if name == link and (name, sequence) not in self.dropped]

    def needed(self, link: str) -> set[int]:
        found = set()
        for reader, name in self.reads.items():
            if name == link:
                found |= {sequence for sequence in self.there(link) if sequence not in self.done[reader]}
        return found

    def ancestors(self) -> set[tuple[str, int]]:
        """All that something there is was made from."""
        waiting = [key for key in self.values if key not in self.dropped]
        found: set[tuple[str, int]] = set()
        while waiting:
            for parent in self.values[waiting.pop()].parents:
                if parent not in found:
                    found.add(parent)
                    waiting.append(parent)
        return found


RETAINS = st.builds(
    Retain,
    age_s=st.none() | st.integers(1, 20).map(float),
    size_bytes=st.none() | st.integers(1, 2_000),
    values=st.none() | st.integers(1, 20),
    hard=st.booleans(),
)


class Expiring(RuleBasedStateMachine):
    """`numbers` is read by `double` and by groups; what `double` makes is read by `sum_up`, as a whole, and by groups."""

    @initialize()
    def begin(self) -> None:
        self.home = PureHome()
        self.model = Model(reads={"double": "numbers", "sum_up": "doubled"}, done={"double": set(), "sum_up": set()})
        self._published(self.home.publish(draft("numbers")))
        self.home.begin()
        self.held: dict[str, int] = {}

    def _published(self, envelopes: list[Envelope]) -> None:
        for one in envelopes:
            parents = {
                (parent.link, sequence) for parent in one.parents for sequence in range(parent.first_sequence, parent.last_sequence + 1)
            }
            self.model.values[one.link, one.position.sequence] = Known(one.created_at_ns, one.size_bytes, frozenset(parents))

    @rule(sizes=st.lists(st.integers(50, 300), min_size=1, max_size=5), pause_s=st.integers(0, 5))
    def publishes(self, sizes: list[int], pause_s: int) -> None:
        self.home.now_ns += pause_s * SECOND
        self._published(self.home.publish(*(dataclasses.replace(draft("numbers"), size_bytes=size) for size in sizes)))
        generation = self.home.ledger.links["numbers"].generations[1]
        generation.sealed_sequence = generation.last_sequence  # as a run that follows reads it

    @rule(outputs=st.integers(0, 3))
    def commits(self, outputs: int) -> None:
        if isinstance(self.home.task("double").next_snapshot(self.home.ledger.links), Offer):
            lease = self.home.lease("double")
            records = self.home.commit(lease, *(draft("doubled") for _ in range(outputs)))
            self._published([record.envelope for record in records if hasattr(record, "envelope")])
            for portion in lease.portions:
                self.model.done["double"] |= set(range(portion.first_sequence, portion.last_sequence + 1))

    @rule(name=st.sampled_from("gh"), link=st.sampled_from(["numbers", "doubled"]))
    def opens_a_group(self, name: str, link: str) -> None:
        reader = f"{name} of {link}"
        generation = self.home.ledger.links[link].generations[1]
        if reader not in self.model.reads and generation.last_sequence:
            self.home.admit([GroupOpened(name, link, 1, 1, generation.kept_sequence - 1)])
            self.model.reads[reader], self.model.done[reader] = link, set(range(1, generation.kept_sequence))

    @rule(data=st.data())
    def a_group_moves(self, data: st.DataObject) -> None:
        for (name, link), group in self.home.ledger.groups.items():
            there = [sequence for sequence in self.model.there(link) if not group.cursor.is_done(sequence)]
            if there:
                sequence = data.draw(st.sampled_from(there))
                after = group.cursor.copy()
                after.settle(sequence, sequence)
                self.home.admit([GroupMoved(name, link, 1, 1, after.done_sequence, after.done_sequence + 1, after.ranges_ahead())])
                self.model.done[f"{name} of {link}"].add(sequence)

    @rule(seconds=st.integers(0, 10))
    def time_passes(self, seconds: int) -> None:
        self.home.now_ns += seconds * SECOND

    @rule(link=st.sampled_from(["numbers", "doubled"]), data=st.data())
    def somebody_holds(self, link: str, data: st.DataObject) -> None:
        there = self.model.there(link)
        if there:
            self.held[link] = data.draw(st.sampled_from(there))

    @rule()
    def nobody_holds(self) -> None:
        self.held.clear()

    @rule(link=st.sampled_from(["numbers", "doubled"]), retain=RETAINS)
    def retention_looks(self, link: str, retain: Retain) -> None:
        now_ns, held = self.home.now_ns, self.held.get(link, 10**9)
        before, needed = self.model.there(link), self.model.needed(link)
        found = expiry.expired(self.home.ledger, link, retain, Moment(now_ns, now_ns), held)
        gone = self._take_drops(found.records)
        assert gone == before[: len(gone)], "the oldest, each once"
        assert not [sequence for sequence in gone if sequence >= held]
        assert retain.hard or not needed & set(gone)
        lost = {reader: sum(loss.values for loss in found.losses if loss.reader in (reader, reader[:1])) for reader in self.model.reads}
        for reader, name in self.model.reads.items():
            unread = set(gone) - self.model.done[reader] if name == link else set()
            if " of " not in reader:
                assert lost[reader] >= len(unread) or not gone
            self.model.done[reader] |= unread
        rest = before[len(gone) :]
        if gone:
            self._exceeded(link, before, gone, retain)
        if rest and rest[0] < held and (retain.hard or rest[0] not in needed) and len(before) < 60:
            assert not self._exceeds(link, rest, rest[0], retain)
        self._take_drops(expiry.forgotten(self.home.ledger, now_ns))

    def _take_drops(self, records: list[Dropped]) -> list[int]:
        gone: list[int] = []
        for record in records:
            self.home.admit([record])
            for sequence in range(record.first_sequence, record.last_sequence + 1):
                key = (record.link, sequence)
                if key in self.model.values and key not in self.model.dropped:
                    gone.append(sequence)
                    self.model.dropped.add(key)
                if record.forgotten:
                    self.model.forgotten.add(key)
        return gone

    def _exceeds(self, link: str, there: list[int], sequence: int, retain: Retain) -> bool:
        """Whether that value is beyond a bound."""
        newer = [one for one in there if one >= sequence]
        known = self.model.values[link, sequence]
        too_old = retain.age_s is not None and self.home.now_ns - known.created_at_ns > retain.age_s * SECOND
        too_many = retain.values is not None and len(newer) > retain.values
        size_bytes = sum(self.model.values[link, one].size_bytes for one in newer)
        return too_old or too_many or (retain.size_bytes is not None and len(newer) > 1 and size_bytes > retain.size_bytes)

    def _exceeded(self, link: str, before: list[int], gone: list[int], retain: Retain) -> None:
        """What went was beyond a bound: all of it, for what is behind in the order is beyond it, too."""
        assert self._exceeds(link, before, gone[-1], retain)

    @rule(checkpoint=st.booleans())
    def restarts(self, checkpoint: bool) -> None:
        again = self.home.restarted()
        for number in (0, 1):
            numbers = self.home.ledger.links["numbers"].generations[1]
            again.ledger.links["numbers"].generations[1].sealed_sequence = numbers.sealed_sequence
            if checkpoint and not number:
                again.ledger = restored(decode_piece(encode_piece(keep(again.ledger))), again.ledger.shapes)
        again.now_ns = self.home.now_ns
        assert [keep_of.account for keep_of in self._generations(again)] == [keep_of.account for keep_of in self._generations(self.home)]
        self.home = again

    def _generations(self, home: PureHome) -> list:
        return [home.ledger.links[name].generations[1] for name in ("numbers", "doubled")]

    @precondition(lambda self: hasattr(self, "model"))
    @invariant()
    def what_is_told_is_what_there_is(self) -> None:
        for name in ("numbers", "doubled"):
            link = self.home.ledger.links[name]
            generation, there = link.generations[1], self.model.there(name)
            assert generation.values == len(there) == generation.account.values
            assert generation.size_bytes == sum(self.model.values[name, sequence].size_bytes for sequence in there)
            if there:
                assert generation.kept_sequence == there[0]

    @precondition(lambda self: hasattr(self, "model"))
    @invariant()
    def where_something_came_from_is_known(self) -> None:
        assert not self.model.forgotten & self.model.ancestors()
        assert self.model.forgotten <= self.model.dropped | {key for key in self.model.forgotten if key not in self.model.values}


class TestExpiring(Expiring.TestCase):
    settings = settings(max_examples=examples(60), stateful_step_count=40)
