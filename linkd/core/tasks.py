"""A task as the ledger knows it: where it is in its inputs, which snapshots are on lease, what it has committed.

`Task.next_snapshot` decides what a program that asks gets: what was given back first, then what `core.composition` puts together next. A task
with no inputs gets one empty snapshot per execution.

Format of `policy_state`, for checkpoints: a JSON object that maps each input to `[next_sequence, next_row, seen_sequence]`, its `Mark`.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field

from linkd.core.composition import (
    Again,
    Composed,
    Composer,
    End,
    Mark,
    RowCounts,
    Tally,
    Wait,
    depends_on_arrival,
    family_of,
)
from linkd.core.cursor import Cursor
from linkd.core.ids import snapshot_id
from linkd.core.links import Link
from linkd.core.policies import EACH_TEXT, LATEST_TEXT, WHOLE_TEXT, PolicyFamily, WirePolicy, WirePolicyKind, parse_input_policy
from linkd.core.snapshot_leases import Holders, Lease, MemoState
from linkd.limits import COMMIT_RECORDS_KEPT
from linkd.model.frozen import frozen
from linkd.model.records import SnapshotCommitted, SnapshotFailed, SnapshotLeased, TaskKind
from linkd.model.terms import Order, TaskTerms
from linkd.model.values import Parent

__all__ = [
    "EACH",
    "LATEST",
    "SINK_PREFIX",
    "SOURCE_PREFIX",
    "WHOLE",
    "Again",
    "Ask",
    "End",
    "GiveUp",
    "Lease",
    "Look",
    "Offer",
    "Recall",
    "Task",
    "TaskShape",
    "Wait",
]

SOURCE_PREFIX = "from:"
SINK_PREFIX = "to:"
"""Sources and sinks are tasks too, named after their link; the colon keeps them apart from the names that people give."""

EACH = EACH_TEXT
WHOLE = WHOLE_TEXT
LATEST = LATEST_TEXT


@frozen()
class TaskShape:
    """What the pipeline file says of a task: its kind, its inputs with their policies in canonical form, its outputs, its terms."""

    name: str
    kind: TaskKind
    inputs: tuple[tuple[str, str], ...]
    outputs: tuple[str, ...]
    terms: TaskTerms = TaskTerms()
    has_own_types: bool = False
    """What it publishes is typed for good: columns take no types from inputs that have one of that name."""

    @property
    def is_whole(self) -> bool:
        """What makes it run is `whole`, so there is one snapshot in an execution (as for a task without inputs)."""
        return all(policy in (WHOLE, LATEST) for _, policy in self.inputs)


@frozen()
class Offer:
    """Hand this out, under a new token; if it is to be `recorded`, when the record of its lease is durable.

    That is so where it was handed out before: else the power could take the newer token alone, and the older one were good again.
    """

    snapshot_id: bytes
    attempt: int
    portions: tuple[Parent, ...]
    settles: tuple[Parent, ...] = ()
    partial: bool = False
    recorded: bool = False


@frozen()
class Look:
    """With `order: key` nothing can be said before the slots of this snapshot are known (`Task.looked`); a new one waits from then on."""

    offer: Offer
    is_new: bool


@frozen()
class Ask:
    """Find out whether the outcome of this snapshot is remembered (`core.memo`), before it goes out."""

    lease: Lease


@frozen()
class Recall:
    """The outcome of this snapshot is remembered and it is its turn: commit that, nothing that has to come behind it goes out before."""

    lease: Lease


@frozen()
class GiveUp:
    """This snapshot failed as often as it may: put it aside, nothing else goes out before."""

    lease: Lease


@dataclass(slots=True)
class Task:
    """One task. `marks` say where the next snapshot begins in each input; `shelved` are those that an end left on lease, for a resumption.

    `holders` says who holds what is on lease; `given_up` counts the snapshots of this execution that went to the dead-letter link.
    """

    shape: TaskShape
    execution: int = 0
    version: str = ""
    inputs: dict[str, int] = field(default_factory=dict)
    outputs: dict[str, int] = field(default_factory=dict)
    extents: dict[str, int] = field(default_factory=dict)
    ended: bool = False
    cursors: dict[str, Cursor] = field(default_factory=dict)
    marks: dict[str, Mark] = field(default_factory=dict)
    leases: dict[bytes, Lease] = field(default_factory=dict)
    shelved: dict[bytes, Lease] = field(default_factory=dict)
    committed: OrderedDict[bytes, SnapshotCommitted] = field(default_factory=OrderedDict)
    commits: int = 0
    refused_late: int = 0
    done_rows: dict[str, int] = field(default_factory=dict)
    recorded: Mapping[str, str] = field(default_factory=dict)
    """The attributes of the last commit that had any, of whichever execution: by them a sink knows its own work again."""
    given_up: int = 0
    holders: Holders = field(init=False, compare=False)
    _policies: dict[str, WirePolicy] = field(init=False, compare=False)
    _tallies: dict[str, Tally] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        self._policies = {link: parse_input_policy(policy) for link, policy in self.shape.inputs}
        several = bool(self._policies) and family_of(self._policies) is PolicyFamily.BATCH
        self.holders = Holders(self.shape.terms, self.leases, several and self.shape.terms.order is Order.KEY)

    @property
    def name(self) -> str:
        return self.shape.name

    def begin(
        self,
        execution: int,
        version: str,
        inputs: Mapping[str, int],
        outputs: Mapping[str, int],
        links: Mapping[str, Link],
        extents: Mapping[str, int] | None = None,
    ) -> None:
        """A new execution: its cursors stand before the first value of each input's generation."""
        self.execution, self.version, self.ended = execution, version, False
        self.inputs, self.outputs, self.extents = dict(inputs), dict(outputs), dict(extents or {})
        firsts = {link: links[link].generations[number].kept_sequence for link, number in inputs.items()}
        self.cursors = {link: Cursor(first - 1) for link, first in firsts.items()}
        self.marks = {link: Mark(first, 0, first - 1) for link, first in firsts.items()}
        self._tallies.clear()
        self.leases.clear()
        self.shelved.clear()
        self.committed.clear()
        self.commits = self.given_up = 0
        self.done_rows = dict.fromkeys(inputs, 0)

    def end(self) -> None:
        """The execution is complete. What is on lease is nobody's any more; it comes first if the task is resumed."""
        self.ended = True
        for lease in self.leases.values():
            lease.token = 0
            lease.free()
        self.shelved.update(self.leases)
        self.leases.clear()

    def resume(self, version: str) -> None:
        """The execution goes on where it stands."""
        self.ended, self.version = False, version
        self.leases.update(self.shelved)
        self.shelved.clear()

    def lease(self, record: SnapshotLeased) -> None:
        """Takes a lease into the state: of a snapshot that was put together, or is handed out again."""
        before = self.leases.get(record.snapshot_id)
        if before is None:
            for portion in record.portions:
                if portion.link in self.marks:
                    self.marks[portion.link].hold(portion)
            for settled in record.settles or record.portions:
                if settled.link in self.marks:
                    self.marks[settled.link].pass_over(settled)
        lease = self.leases[record.snapshot_id] = Lease(
            record.snapshot_id, record.token, record.attempt, record.portions, None, settles=record.settles, partial=record.partial
        )
        if before is not None:
            lease.failures, lease.reason, lease.refused_late = before.failures, before.reason, before.refused_late
            lease.slots = before.slots
            lease.memo, lease.memo_key = before.memo, before.memo_key

    def failed(self, record: SnapshotFailed) -> None:
        """Takes a failure into the state: the journal has it."""
        lease = self.leases.get(record.snapshot_id)
        if lease is not None and record.failures >= lease.failures:
            lease.failures, lease.reason, lease.unsaid = record.failures, record.reason, False

    def pass_over(self, link: Link, first_sequence: int, last_sequence: int) -> None:
        """These values were dropped: of an input that is being read they are done, and nothing that is put together from now on begins there."""
        generation = link.generations.get(self.inputs.get(link.name, 0))
        cursor, mark = self.cursors.get(link.name), self.marks.get(link.name)
        if generation is None or cursor is None or mark is None:
            return
        first = max(first_sequence, generation.first_sequence)
        last = last_sequence if generation.number == link.newest else min(last_sequence, generation.last_sequence)
        cursor.settle(first, last)
        if first <= mark.next_sequence <= last:
            mark.next_sequence, mark.next_row = last + 1, 0

    def settled_by(self, lease: Lease) -> tuple[Parent, ...]:
        """The values that are done when `lease` is committed; none where these are its portions."""
        passed_over = {settled.link: settled for settled in lease.settles}
        settled = tuple(self._settled(lease, portion, passed_over) for portion in lease.portions)
        return () if settled == lease.portions else settled

    def _settled(self, lease: Lease, portion: Parent, passed_over: Mapping[str, Parent]) -> Parent:
        """What of an input is done with `portion` of it. A value of which another snapshot holds rows is not."""
        kind = self._policies[portion.link].kind
        first, last = portion.first_sequence, portion.last_sequence
        if kind is WirePolicyKind.SWAP:
            return passed_over[portion.link]
        if kind is WirePolicyKind.LATEST:
            first = self.cursors[portion.link].done_sequence + 1
        elif kind is WirePolicyKind.ROWS and first <= last:
            if last >= self.marks[portion.link].next_sequence or self._is_held(portion.link, last, but=lease):
                last -= 1
            if self._is_held(portion.link, first, but=lease):
                first += 1
        return Parent(portion.link, portion.incarnation, portion.generation, first, last)

    def _is_held(self, link: str, sequence: int, *, but: Lease) -> bool:
        return any(
            portion.link == link and portion.first_sequence <= sequence <= portion.last_sequence
            for lease in self.leases.values()
            if lease is not but
            for portion in lease.portions
        )

    def remember(self, commit: SnapshotCommitted) -> None:
        """Takes a commit into the state: what it settled is done, its lease is gone, its answer is kept for repeats.

        One without a token is that of a snapshot that was given up.
        """
        lease = self.leases.pop(commit.snapshot_id, None)
        if lease is not None:
            self.holders.heard(lease.token)
        self.given_up += commit.token == 0
        for portion in commit.settled or commit.portions:
            cursor = self.cursors.get(portion.link)
            if cursor is not None:
                cursor.settle(portion.first_sequence, portion.last_sequence)
        self.commits += 1
        self.recorded = commit.attributes or self.recorded
        self.committed[commit.snapshot_id] = commit
        while len(self.committed) > COMMIT_RECORDS_KEPT:
            self.committed.popitem(last=False)

    def release(self, session: int) -> list[bytes]:
        """The connection is gone: what it held waits for the next one. Its tokens stay good until then."""
        return [lease.snapshot_id for lease in self.holders.leave(session)]

    def next_snapshot(
        self, links: Mapping[str, Link], *, follow: bool = False, rows: RowCounts | None = None, session: int = 0
    ) -> Offer | Look | Ask | Recall | GiveUp | Wait | Again | End:
        """What to hand out now, to this session. Snapshots that were given back come first, oldest first.

        `follow` says that the run does: there is no end then, for the task may begin again. `rows` is needed for windows of rows.
        """
        if self.execution == 0:
            return Wait()
        if self.ended:
            return Wait() if follow else End("the task is complete")
        recorded = depends_on_arrival(self._policies, follow=follow)
        unknown = self.holders.unknown()
        if unknown is not None:
            again = recorded or unknown.token != 0
            return Look(
                Offer(unknown.snapshot_id, unknown.attempt, unknown.portions, unknown.settles, unknown.partial, again), is_new=False
            )
        waiting, newer_wait = self.holders.next_waiting(session)
        if waiting is not None and self.holders.is_given_up(waiting):
            return GiveUp(waiting)
        if waiting is not None and waiting.memo is MemoState.UNASKED:
            return Ask(waiting)
        if waiting is not None and waiting.memo is MemoState.KNOWN:
            return Recall(waiting)
        if waiting is not None:
            attempt, again = waiting.attempt + waiting.tried, recorded or waiting.token != 0
            return Offer(waiting.snapshot_id, attempt, waiting.portions, waiting.settles, waiting.partial, again)
        if newer_wait or self.holders.is_far_ahead:
            return Wait()
        found = self._compose(links, follow, rows)
        if isinstance(found, Composed):
            identity = snapshot_id(self.name, self.execution, found.portions)
            new = Offer(identity, 1, found.portions, found.settles, found.partial, recorded)
            return Look(new, is_new=True) if self.holders.by_key else new
        return Wait() if isinstance(found, End) and (self.leases or follow) else found

    def looked(self, offer: Offer, slots: frozenset[int]) -> None:
        """The rows of a snapshot on lease hash to these slots; one without rows is of slot 0."""
        lease = self.leases.get(offer.snapshot_id)
        if lease is not None:
            lease.slots = slots or frozenset((0,))

    def keyed_portions(self, offer: Offer) -> tuple[Parent, ...]:
        """The portions whose rows decide its slots: of what is only read beside, they do not."""
        return tuple(
            portion for portion in offer.portions if portion.first_sequence <= portion.last_sequence and not self.is_read_only(portion.link)
        )

    def _compose(self, links: Mapping[str, Link], follow: bool, rows: RowCounts | None) -> Composed | Wait | Again | End:
        family = family_of(self._policies)
        if family is not PolicyFamily.BATCH and self.leases:
            return Wait()
        if family is PolicyFamily.WHOLE and self.commits:
            return End("its one snapshot is committed")
        composer = Composer(self._policies, links, self.inputs, self.marks, self._tallies, self.extents, follow, rows)
        if family is PolicyFamily.WHOLE:
            return composer.whole()
        return composer.swap() if family is PolicyFamily.SWAP else composer.batch()

    def is_read_only(self, link: str) -> bool:
        """It is an input of `latest`: read, never a trigger, and never to be done with."""
        return self._policies[link].kind is WirePolicyKind.LATEST

    def unread(self, links: Mapping[str, Link]) -> dict[str, int]:
        """Values of each input that are not done, as far as is known now. Nothing is left of a generation that was dropped."""
        left: dict[str, int] = {}
        for name, number in self.inputs.items():
            generation = links[name].generations.get(number)
            if generation is None or self.is_read_only(name):
                left[name] = 0
            else:
                left[name] = self.cursors[name].left(generation.end_sequence)
        return left

    # -- for checkpoints ------------------------------------------------------------------------------------------------------------------

    def open_snapshots(self) -> tuple[SnapshotLeased, ...]:
        """The records that restate what was put together and is not committed. They come before the end of the task, if it ended."""
        return tuple(
            SnapshotLeased(self.name, self.execution, one.snapshot_id, one.token, one.attempt, one.portions, one.settles, one.partial)
            for one in (*self.leases.values(), *self.shelved.values())
        )

    def failed_snapshots(self) -> tuple[SnapshotFailed, ...]:
        """The records that restate how often each of the `open_snapshots` failed."""
        return tuple(
            SnapshotFailed(self.name, self.execution, one.snapshot_id, one.failures, one.reason)
            for one in (*self.leases.values(), *self.shelved.values())
            if one.failures
        )

    def policy_state(self) -> bytes:
        """What `restore_policy` takes, behind the `open_snapshots`."""
        marks = {link: [mark.next_sequence, mark.next_row, mark.seen_sequence] for link, mark in self.marks.items()}
        return json.dumps(marks, separators=(",", ":")).encode()

    def restore_policy(self, state: bytes) -> None:
        """The marks are those of `policy_state`."""
        self.marks = {link: Mark(*numbers) for link, numbers in json.loads(state).items()}
