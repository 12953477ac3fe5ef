"""What linkd promises to consumer groups, as a judge of simulations: see `promises`."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from linkd.testing.simulation.witness import GroupName, Handed, Stop, Told, lane_of


class Broken(AssertionError):
    """A promise that was broken: the text begins with which."""


def check(holds: object, promise: str, what: object = "") -> None:
    if not holds:
        raise Broken(f"{promise}: {what}")


@dataclass(slots=True)
class Known:
    """A value that somebody was told of. `durable`: not even power loss takes it away; `maybe`: power failed before that was true."""

    value: Told
    durable: bool
    maybe: bool = False


@dataclass(slots=True)
class Place:
    """Where a consumer group stands in a generation, as its members know: what was handed out, to whom, and what was answered as settled.

    `asked` are those of which an ack was taken: they may be settled, whatever was answered. `tries` counts how often each was handed out,
    `attempt` is what was said then, and `unsure` are those of which the home may have forgotten some of it. It begins at `first`, if that is known.
    """

    first: float = math.inf
    settled: dict[int, bool] = field(default_factory=dict)
    asked: set[int] = field(default_factory=set)
    holder: dict[int, int] = field(default_factory=dict)
    tries: dict[int, int] = field(default_factory=dict)
    attempt: dict[int, int] = field(default_factory=dict)
    unsure: set[int] = field(default_factory=set)


@dataclass(slots=True)
class Standing:
    """What is known of a group beside its places. `seeking`: so often it was put somewhere, and that is not durable yet; after a crash, who knows.

    `sure` is the generation that it durably stands in or behind: a crash may take it back to there, and it is handed values of that again, of
    which no ack was durable either.
    """

    generation: int = 0
    sure: int = 0
    in_doubt: bool = False
    seeking: int = 0
    lost: bool = False
    tokens: set[int] = field(default_factory=set)
    void_tokens: set[int] = field(default_factory=set)


@dataclass(slots=True)
class GroupPromises:
    """The part of `promises.Promises` that is about consumer groups."""

    _known: dict[str, dict[int, Known]] = field(default_factory=dict)
    _going: set[tuple[str, int]] = field(default_factory=set)
    _tokens: set[int] = field(default_factory=set)
    _groups: dict[GroupName, dict[int, Place]] = field(default_factory=dict)
    _standing: dict[GroupName, Standing] = field(default_factory=dict)
    _buried: dict[tuple[GroupName, int, int, int], set[int]] = field(default_factory=dict)
    """The values of the dead-letter link that tell of a portion, by the token of the attempt that failed last."""

    def handed_value(self, group: GroupName, value: Handed) -> None:
        self._take_token(value.token)
        place, standing, sequence = self._place(group, value.generation), self._stands(group), value.sequence
        check((standing.sure if standing.in_doubt else standing.generation) <= value.generation, "a cursor never goes back", (group, value))
        standing.generation, standing.in_doubt = value.generation, False
        standing.tokens.add(value.token)
        check(sequence not in place.settled, "what was settled is not handed out again", (group, value))
        known = self._known[group.link].get(sequence)
        check(known is None or known.value.generation == value.generation, "generations are never mixed", (group, known))
        self._check_attempt(group, place, value)
        if known is not None:
            self._check_lane(group, place, value, known.value.number)
        place.holder[sequence] = value.member
        place.tries[sequence] = place.tries.get(sequence, 0) + 1
        place.attempt[sequence] = value.attempt
        place.unsure.discard(sequence)

    def _check_attempt(self, group: GroupName, place: Place, value: Handed) -> None:
        """Attempts are counted, each once; a crash may take the count of those that were not durable."""
        expected = place.attempt.get(value.sequence, 0) + 1
        if self._stands(group).lost:
            return
        if value.sequence in place.unsure:
            check(1 <= value.attempt <= place.tries[value.sequence] + 1, "no attempt that was none", (group, value))
        else:
            check(value.attempt == expected, "attempts are counted", (group, value, expected))

    def _check_lane(self, group: GroupName, place: Place, value: Handed, number: int) -> None:
        """What comes before the value in its lane is done, or in the same hands."""
        lane = lane_of(value.order, number)
        if lane is None:
            return
        for sequence, one in self._known[group.link].items():
            if not place.first <= sequence < value.sequence or one.value.generation != value.generation or one.maybe:
                continue
            if sequence in place.asked or sequence in place.settled or place.holder.get(sequence) == value.member:
                continue
            check(lane_of(value.order, one.value.number) != lane, "order", (group, value, one.value))

    def gave_back(self, group: GroupName, generation: int, sequence: int) -> None:
        self._place(group, generation).holder.pop(sequence, None)

    def left(self, group: GroupName, member: int) -> None:
        for place in self._groups.get(group, {}).values():
            place.holder = {sequence: holder for sequence, holder in place.holder.items() if holder != member}

    def moved(self, group: GroupName, generation: int, first: int, *, durable: bool) -> None:
        """What it did not settle in the generation before is nobody's any more; it may be told again of it, after a power failure."""
        if durable:
            self._stands(group).sure = generation
            return
        for place in self._groups.get(group, {}).values():
            place.asked |= place.tries.keys()
        self._place(group, generation).first = first

    def sought(self, group: GroupName, generation: int, first: int, *, durable: bool) -> None:
        """From here on nothing that it was told before counts, nor any token that it was given."""
        standing = self._stands(group)
        if durable:
            standing.seeking, standing.sure = standing.seeking - 1, generation
            return
        self._groups[group] = {generation: Place(first)}
        standing.generation = min(standing.generation, generation) if standing.lost else generation
        standing.seeking, standing.lost = standing.seeking + 1, False
        standing.void_tokens |= standing.tokens

    def settling(self, group: GroupName, generation: int, sequence: int, token: int) -> None:
        check(token not in self._stands(group).void_tokens, "a seek voids what was on lease", (group, sequence, token))
        self._place(group, generation).asked.add(sequence)

    def settled(self, group: GroupName, generation: int, sequence: int, *, durable: bool) -> None:
        if not self._stands(group).seeking:
            place = self._place(group, generation)
            place.settled[sequence] = durable or place.settled.get(sequence, False)

    def buried(self, group: GroupName, generation: int, sequence: int, token: int, number: int, failures: int, max_attempts: int) -> None:
        place = self._place(group, generation)
        tries = place.tries.get(sequence, 0)
        check(max_attempts and failures >= max_attempts, "nothing is given up before its time", (group, sequence, failures))
        check(failures <= tries or self._stands(group).lost, "no failure that was none", (group, sequence, failures, tries))
        check(sequence not in place.settled, "what was settled is not given up", (group, sequence))
        place.asked.add(sequence)
        self._buried.setdefault((group, generation, sequence, token), set()).add(number)

    def dead_letters_found(self, numbers: set[int]) -> None:
        """One letter tells of an attempt, however often its writing was begun."""
        for key, letters in self._buried.items():
            check(len(letters & numbers) <= 1, "a dead letter is written once", key)

    def check_bound(self, link: str, size_bytes: int, sizes: dict[int, int], bound_bytes: int) -> None:
        """What waits for a group, of what is known to be there, is within the bound with what was taken in; or it is alone."""
        known = {n: one for n, one in self._known.get(link, {}).items() if (link, n) not in self._going}
        for group, places in self._groups.items():
            standing = self._stands(group)
            place = places.get(standing.generation)
            if group.link != link or place is None or standing.lost or standing.seeking or standing.in_doubt:
                continue
            behind = [one.value for n, one in known.items() if n >= place.first and n not in place.asked and not one.maybe]
            waiting_bytes = sum(sizes[one.number] for one in behind if one.generation == standing.generation)
            check(not waiting_bytes or waiting_bytes + size_bytes <= bound_bytes, "a bound holds", (group, waiting_bytes, size_bytes))

    def groups_dropping(self, link: str, first: int, last: int, *, known_only: bool) -> None:
        """Nothing goes that somebody has in hand or has still to get; with `known_only` nothing that the home knows somebody to have."""
        for group, places in self._groups.items():
            place = places.get(self._stands(group).generation)
            if group.link == link and place is not None:
                needed = [n for n in range(first, last + 1) if n in place.tries and n not in place.asked]
                needed = [n for n in needed if not (known_only and n in place.unsure)]
                check(not needed, "nothing goes that is needed", (group, needed))

    def groups_stopped(self, how: Stop) -> None:
        for group, places in self._groups.items():
            standing = self._stands(group)
            if how is not Stop.CLEAN and standing.seeking:  # where it stands now is where it stood before, or not
                standing.lost, standing.seeking, standing.generation, standing.sure = True, 0, 0, 0
                standing.void_tokens.clear()
                places.clear()
            standing.in_doubt = standing.in_doubt or (how is not Stop.CLEAN and standing.sure != standing.generation)
            for place in places.values():
                place.holder.clear()
                place.settled = {n: sure or how is Stop.CLEAN for n, sure in place.settled.items() if sure or how is not Stop.POWER}
                if how is not Stop.CLEAN:
                    place.unsure |= place.tries.keys()

    def _place(self, group: GroupName, generation: int) -> Place:
        return self._groups.setdefault(group, {}).setdefault(generation, Place())

    def _stands(self, group: GroupName) -> Standing:
        return self._standing.setdefault(group, Standing())

    def _take_token(self, token: int) -> None:
        check(token not in self._tokens, "a token is given once", token)
        self._tokens.add(token)
