"""Those who are in the pipeline: a source that reads a file of its own, and programs that take snapshots and commit what they make of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from linkd.core import commits, publishing, runs
from linkd.core.commits import CommitRequest
from linkd.core.ids import request_fingerprint
from linkd.core.publishing import Maker
from linkd.core.tasks import End, Offer, Task
from linkd.errors import DeliveryFault, GenerationAbandoned, LeaseLost, NotAllowed
from linkd.model.records import SnapshotCommitted, SourceMoved
from linkd.model.values import Durability, Parent
from linkd.store.committer import Committed
from linkd.testing.simulation.dice import Dice
from linkd.testing.simulation.numbered_payloads import ROWS, numbered
from linkd.testing.simulation.outsiders import NewNumber, Publish, new_publish
from linkd.testing.simulation.simulated_home import SimulatedHome, stored
from linkd.testing.simulation.witness import Span, Told, Witness


@dataclass(slots=True)
class Source:
    """Reads a file that has so many lines, some at a time. Where it stands the home knows."""

    link: str
    lines: int
    witness: Witness
    new_number: NewNumber

    def step(self, home: SimulatedHome, dice: Dice, now_ns: int) -> None:
        link = home.ledger.links.get(self.link)
        generation = link.current if link is not None else None
        if generation is None or home.ledger.tasks["from:" + self.link].ended:
            return
        read = generation.source.rows_read if generation.source is not None else 0
        publish = new_publish(self.link, dice, self.new_number) if dice.below(5) else Publish(self.link, [], [], [])
        read += max(len(publish.numbers), 1)
        final = read >= self.lines
        moved = SourceMoved(self.link, generation.number, read.to_bytes(4, "big"), "digest", read, 0, final)
        maker = Maker("from:" + self.link, "digest")
        records = publishing.source_step(home.ledger, self.link, publish.drafts, moved, maker, now_ns)
        self.witness.submitted(self.link, publish.numbers)

        def answered(done: Committed | None, surely_not: bool) -> None:
            if done is not None:
                self.witness.told(stored(records, publish.numbers), durable=done.durability is Durability.FSYNC)
            elif surely_not:
                self.witness.failed(publish.numbers)

        home.admit(records, publish.payloads, answered)


@dataclass(slots=True)
class Working:
    """A snapshot that a program has, and the commit that it sent, if it did: it may send it again."""

    execution: int
    offer: Offer
    token: int
    publish: Publish | None = None


@dataclass(slots=True)
class Program:
    """A task with some replicas, each on a connection of its own."""

    name: str
    output: str
    witness: Witness
    new_number: NewNumber
    replicas: int = 2
    sessions: list[int] = field(default_factory=list)
    working: list[Working] = field(default_factory=list)

    def disconnected(self, home: SimulatedHome, new_session: Callable[[], int]) -> None:
        """There is a new home, or it began a run: the replicas connect again. What they work on they may still commit."""
        self.sessions = [new_session() for _ in range(self.replicas)]
        task = home.ledger.tasks.get(self.name)
        if task is not None:
            for session in list(task.holders.sessions):
                task.release(session)
            for session in self.sessions:
                task.holders.join(session, says_started=True)

    def fenced(self) -> None:
        """Another run began: its programs are others."""
        self.working.clear()

    def step(self, home: SimulatedHome, dice: Dice, now_ns: int, now_s: float) -> None:
        task = home.ledger.tasks.get(self.name)
        if task is None or task.execution == 0:
            return
        action = dice.below(16)
        session = dice.one_of(self.sessions)
        if action < 4 or not any(one.publish is None for one in self.working):
            self._take(home, task, session, now_s, now_ns)
        elif action < 12:
            self._commit(home, task, dice, now_ns)
        elif action == 12:
            self._repeat(home, task, dice)
        elif action == 13:
            for lease in list(task.leases.values()):
                if lease.session == session and task.holders.over(lease.snapshot_id, lease.token) is not None:
                    task.holders.fail(lease, "its lease was over")
                    home.admit([commits.failure(task, lease)])
        elif action == 14:
            task.release(session)
            task.holders.join(session, says_started=True)
        else:
            one = dice.one_of(self.working)
            given = task.holders.give_back(session, one.offer.snapshot_id, one.token, untried=False)
            if given is not None:
                task.holders.fail(given, "no")
                home.admit([commits.failure(task, given)])

    def _take(self, home: SimulatedHome, task: Task, session: int, now_s: float, now_ns: int) -> None:
        if not task.holders.may_take(session):
            task.holders.heard(max(task.holders._silent.values(), default=0))
            return
        decision = task.next_snapshot(home.ledger.links, follow=home.ledger.follows)
        if isinstance(decision, Offer):
            self._hand_out(home, task, decision, session, now_s)
        elif isinstance(decision, End) and not task.leases and not task.ended:
            self.witness.exhausted(task.name, task.execution, self._inputs(home, task))
            if records := runs.task_exited(home.ledger, task, now_ns):
                home.admit(records)

    def _inputs(self, home: SimulatedHome, task: Task) -> list[Span]:
        spans = []
        for name, number in task.inputs.items():
            generation = home.ledger.links[name].generations[number]
            spans.append(Span(name, number, generation.first_sequence, generation.end_sequence))
        return spans

    def _hand_out(self, home: SimulatedHome, task: Task, offer: Offer, session: int, now_s: float) -> None:
        record = commits.lease(home.ledger, task, offer)
        if not offer.recorded:
            home.admit([record])
            task.leases[offer.snapshot_id].session = session
            self._handed_out(home, task, offer, session, record.token, now_s)
            return

        def answered(done: Committed | None, surely_not: bool) -> None:
            lease = task.leases.get(offer.snapshot_id)
            if done is not None and not home.is_closing and session in self.sessions and lease is not None and lease.token == record.token:
                self._handed_out(home, task, offer, session, record.token, now_s)

        home.admit([record], (), answered, durable=True)
        task.leases[offer.snapshot_id].session = session

    def _handed_out(self, home: SimulatedHome, task: Task, offer: Offer, session: int, token: int, now_s: float) -> None:
        task.holders.start(session, offer.snapshot_id, token, now_s)
        self.working = [one for one in self.working if one.offer.snapshot_id != offer.snapshot_id or one.publish is not None][
            -_WORKING_MAX:
        ]
        self.working.append(Working(task.execution, offer, token))
        spans = spans_of(offer.portions)
        for span in spans:
            durable = home.terms(span.link).durability is Durability.FSYNC
            if span.first <= span.last and not task.shape.is_whole:
                self.witness.told(list(home.values(span.link, span.first, span.last)), durable=durable)
        self.witness.handed_snapshot(task.name, task.execution, offer.snapshot_id, token, spans)

    def _commit(self, home: SimulatedHome, task: Task, dice: Dice, now_ns: int) -> None:
        one = dice.one_of([one for one in self.working if one.publish is None])
        if one.publish is None:
            one.publish = Publish(self.output, [], [], [])
            for _ in range(1 + dice.below(2)):
                number = self.new_number()
                draft, payload = numbered(self.output, number, dice.one_of(ROWS))
                one.publish.numbers.append(number)
                one.publish.drafts.append(draft)
                one.publish.payloads.append(payload)
        self._send(home, task, one, one.publish, now_ns, gets_lost=dice.once_in(4))

    def _repeat(self, home: SimulatedHome, task: Task, dice: Dice) -> None:
        """The answer got lost: the same commit once more."""
        sent = [one for one in self.working if one.publish is not None]
        if sent:
            one = dice.one_of(sent)
            assert one.publish is not None
            self._send(home, task, one, one.publish, 0, gets_lost=False)

    def _send(self, home: SimulatedHome, task: Task, one: Working, publish: Publish, now_ns: int, *, gets_lost: bool) -> None:
        final = task.shape.is_whole
        fingerprint = request_fingerprint((draft.payload_xxh3 for draft in publish.drafts), final)
        snapshot = one.offer.snapshot_id
        try:
            earlier = commits.answered(task, snapshot, one.token, fingerprint)
            if earlier is not None:
                told, durable = _of_commit(earlier, publish.numbers), home.is_durable_when_acked([earlier])
                home.behind_all(lambda _done, _not: self._acked(one, told, durable, gets_lost))
                return
            request = CommitRequest(task.name, snapshot, one.token, publish.drafts, fingerprint, final)
            records = commits.commit(home.ledger, request, now_ns)
        except (LeaseLost, GenerationAbandoned, NotAllowed, DeliveryFault):
            if task.execution == one.execution:
                self.witness.refused(task.name, one.execution, snapshot, one.token)
            self.working.remove(one)
            return
        self.witness.submitted(publish.link, publish.numbers)
        spans, taken = spans_of(one.offer.portions), spans_of(one.offer.settles or one.offer.portions)
        self.witness.tried(task.name, one.execution, snapshot, one.token, spans, taken, publish.numbers)

        def answered(done: Committed | None, surely_not: bool) -> None:
            if done is not None:
                self._acked(one, stored(records, publish.numbers), done.durability is Durability.FSYNC, gets_lost)
            elif surely_not:
                self.witness.failed(publish.numbers)

        home.admit(records, publish.payloads, answered)

    def _acked(self, one: Working, told: list[Told], durable: bool, gets_lost: bool) -> None:
        if gets_lost:
            return
        self.witness.told(told, durable=durable)
        self.witness.committed(self.name, one.execution, one.offer.snapshot_id, durable=durable)


_WORKING_MAX = 8


def spans_of(portions: Sequence[Parent]) -> list[Span]:
    return [Span(one.link, one.generation, one.first_sequence, one.last_sequence) for one in portions]


def _of_commit(record: SnapshotCommitted, numbers: Sequence[int]) -> list[Told]:
    places = [(output, sequence) for output in record.outputs for sequence in range(output.first_sequence, output.last_sequence + 1)]
    return [
        Told(output.link, output.incarnation, sequence, output.generation, number)
        for (output, sequence), number in zip(places, numbers, strict=True)
    ]
