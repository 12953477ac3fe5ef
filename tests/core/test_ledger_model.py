"""Random lives of a home, as pure decisions: publishes, sources, leases, commits of every kind, runs, crashes.

What is checked against is not the ledger's own idea: values are listed by hand as they are admitted, portions as they are committed, and a
crash is what it is on disk: everything behind the last durable frame is gone, and the rest is read again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from linkd.core import commits, publishing, retention, runs
from linkd.core.checkpoint import keep, restored
from linkd.core.commits import CommitRequest
from linkd.core.cursor import Cursor
from linkd.core.group_leases import GroupOffer
from linkd.core.ids import request_fingerprint
from linkd.core.ledger import Ledger
from linkd.core.links import LinkShape
from linkd.core.publishing import Draft, Maker
from linkd.core.runs import RunPlan
from linkd.core.tasks import End, Offer, Task, TaskShape
from linkd.errors import Conflict, DeliveryFault, InvalidArgument, LeaseLost, NotAllowed
from linkd.model.records import (
    GroupLeased,
    GroupMoved,
    GroupOpened,
    ProducerOpened,
    Record,
    SnapshotCommitted,
    SnapshotLeased,
    SourceMoved,
    TaskKind,
    ValueStored,
)
from linkd.model.values import Position, Producer
from linkd.wire.checkpoints import decode_piece, encode_piece

LINKS = (LinkShape("numbers", ""), LinkShape("names", "from:names"), LinkShape("doubled", "double"), LinkShape("total", "sum_up"))
TASKS = {
    shape.name: shape
    for shape in (
        TaskShape("from:names", TaskKind.SOURCE, (), ("names",)),
        TaskShape("double", TaskKind.RUN, (("numbers", "each"),), ("doubled",)),
        TaskShape("sum_up", TaskKind.RUN, (("doubled", "whole"), ("names", "whole")), ("total",)),
        TaskShape("to:total", TaskKind.SINK, (("total", "whole"),), ()),
    )
}
PROGRAMS = ("double", "sum_up", "to:total")
GROUP = ("group", "numbers")
SCHEMA = b"schema"


@dataclass(slots=True)
class Handed:
    """A snapshot or a value that somebody holds, or held."""

    task: str
    execution: int
    offer: Offer
    token: int


@dataclass(slots=True)
class Settled:
    """A commit that was accepted."""

    handed: Handed
    fingerprint: int
    outputs: Any


@dataclass(slots=True)
class Disk:
    """Frames in order, what the ledger was behind each of them, and how many are durable."""

    frames: list[tuple[Record, ...]] = field(default_factory=list)
    states: list[Any] = field(default_factory=lambda: [told(Ledger(shapes=TASKS))])
    durable: int = 0


def told(ledger: Ledger) -> Any:
    """All of a ledger that records decide; connections are none of it, nor is what is durable, nor the gap a start leaves in the tokens."""
    links = {
        name: (
            link.incarnation,
            link.next_sequence,
            link.newest,
            {
                number: (g.first_sequence, g.last_sequence, g.state, g.sealed_sequence, g.values, g.rows, g.schema_id, g.inputs, g.source)
                for number, g in link.generations.items()
            },
            dict(link.remembered),
        )
        for name, link in ledger.links.items()
    }
    tasks = {
        name: (
            task.execution,
            dict(task.inputs),
            dict(task.outputs),
            task.ended,
            task.commits,
            {link: cursor.copy() for link, cursor in task.cursors.items()},
            {link: (mark.next_sequence, mark.next_row, mark.seen_sequence) for link, mark in task.marks.items()},
            {key: (lease.token, lease.attempt, lease.portions) for key, lease in (*task.leases.items(), *task.shelved.items())},
            dict(task.committed),
        )
        for name, task in ledger.tasks.items()
    }
    groups = {
        key: (
            group.generation,
            group.cursor.copy(),
            group.handed_sequence,
            {sequence: lease.token for sequence, lease in group.leases.items()},
        )
        for key, group in ledger.groups.items()
    }
    producers = [(name, known.epoch, known.last_sequence, tuple(known.answers)) for name, known in ledger.producers.known.items()]
    return links, tasks, groups, dict(ledger.executions), ledger.run, ledger.run_outcome, producers


def through_bytes(ledger: Ledger) -> Ledger:
    """The ledger that a start makes of a checkpoint of this one."""
    return restored(decode_piece(encode_piece(keep(ledger))), TASKS)


class HomeLife(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.disk = Disk()
        self.ledger = Ledger(shapes=TASKS)
        self.payloads = 0
        self.handed: list[Handed] = []
        self.settled: list[Settled] = []
        self.sessions = 0

    # -- the edge, by hand ----------------------------------------------------------------------------------------------------------------

    def admit(self, records: Sequence[Record]) -> None:
        self.ledger.apply(records)
        self.disk.frames.append(tuple(records))
        self.disk.states.append(told(self.ledger))

    def drafts(self, link: str, count: int) -> list[Draft]:
        made = []
        for _ in range(count):
            self.payloads += 1
            made.append(Draft(link, 1, 100, SCHEMA, SCHEMA, self.payloads))
        return made

    @initialize()
    def first_run(self) -> None:
        self.begin_run(fresh=True)

    @rule(count=st.integers(1, 4))
    def sync(self, count: int) -> None:
        for frame in self.disk.frames[self.disk.durable : self.disk.durable + count]:
            self.ledger.durable(frame)
            self.disk.durable += 1

    @rule()
    def drop(self) -> None:
        """What may go goes, at once and in one step."""
        if records := retention.drops(self.ledger, list(self.ledger.links)):
            self.admit(records)
        assert retention.drops(self.ledger, list(self.ledger.links)) == []

    @rule()
    def restate(self) -> None:
        """A checkpoint that is made now says all that the ledger knows."""
        assert told(through_bytes(self.ledger)) == told(self.ledger)

    @rule(data=st.data())
    def crash(self, data: st.DataObject) -> None:
        """Frames behind the last sync are gone. The next run goes on, under a new epoch.

        Whether all frames are read again or those behind a checkpoint is the same.
        """
        del self.disk.frames[self.disk.durable :]
        del self.disk.states[self.disk.durable + 1 :]
        covered = data.draw(st.integers(0, len(self.disk.frames)))
        self.ledger, again = Ledger(shapes=TASKS), Ledger(shapes=TASKS)
        for index, frame in enumerate(self.disk.frames):
            if index == covered:
                again = through_bytes(again)
            self.ledger.restore(frame)
            again.restore(frame)
        assert again == self.ledger
        assert told(self.ledger) == self.disk.states[-1]
        self.ledger.last_token += 1000
        kept = {(task.name, key) for task in self.ledger.tasks.values() for key in task.committed}
        self.settled = [one for one in self.settled if (one.handed.task, one.handed.offer.snapshot_id) in kept]
        self.handed.clear()
        self.begin_run(fresh=self.ledger.run is None)

    # -- runs, outsiders, sources -----------------------------------------------------------------------------------------------------------

    def begin_run(self, *, fresh: bool) -> None:
        self.ledger.epoch += 1
        plan = RunPlan(f"run {self.ledger.epoch}", self.ledger.epoch, fresh, "", LINKS, list(TASKS.values()))
        self.admit(runs.begin(self.ledger, plan, 0))
        assert runs.begin(self.ledger, plan, 0) == []

    @rule()
    def begin_afresh(self) -> None:
        self.begin_run(fresh=True)

    @rule(count=st.integers(1, 3), name=st.sampled_from(["", "~one", "~two", "sensor"]))
    def append(self, count: int, name: str) -> None:
        drafts, producers = self.drafts("numbers", count), self.ledger.producers
        if name == "sensor" and name not in producers.known:
            self.admit([ProducerOpened(name, producers.next_epoch(name))])
        epoch = producers.known[name].epoch if name in producers.known else 1
        maker = Maker(producer=Producer(name, epoch, producers.next_sequence(name), count) if name else Producer())
        self.admit(publishing.publish(self.ledger, drafts, maker, 0, b"".join(d.payload_xxh3.to_bytes(10, "big") for d in drafts)))

    @rule(count=st.integers(0, 2), final=st.booleans())
    def read_source(self, count: int, final: bool) -> None:
        generation = self.ledger.links["names"].current
        assert generation is not None
        before = generation.source.rows_read if generation.source is not None else 0
        moved = SourceMoved("names", generation.number, (before + 1).to_bytes(4, "big"), "digest", before + 1, 0, final)
        maker = Maker("from:names")
        if self.ledger.tasks["from:names"].ended:
            with pytest.raises(NotAllowed):
                publishing.source_step(self.ledger, "names", self.drafts("names", count), moved, maker, 0)
            return
        self.admit(publishing.source_step(self.ledger, "names", self.drafts("names", count), moved, maker, 0))
        with pytest.raises((InvalidArgument, NotAllowed)):
            publishing.source_step(self.ledger, "names", self.drafts("names", count), moved, maker, 0)

    # -- tasks ------------------------------------------------------------------------------------------------------------------------------

    @rule(name=st.sampled_from(PROGRAMS))
    def hand_out(self, name: str) -> None:
        task = self.ledger.tasks[name]
        decision = task.next_snapshot(self.ledger.links)
        if isinstance(decision, Offer):
            self.lease(task, decision)
        elif isinstance(decision, End):
            self.check_complete(task)

    def lease(self, task: Task, offer: Offer) -> Handed:
        durable = self.values(self.disk.frames[: self.disk.durable])
        for portion in offer.portions:
            assert all((portion.link, n) in durable for n in range(portion.first_sequence, portion.last_sequence + 1))
        token = self.ledger.last_token + 1
        self.admit([commits.lease(self.ledger, task, offer)])
        self.sessions += 1
        task.leases[offer.snapshot_id].session = self.sessions
        self.handed.append(handed := Handed(task.name, task.execution, offer, token))
        return handed

    @precondition(lambda self: self.sessions)
    @rule(data=st.data())
    def disconnect(self, data: st.DataObject) -> None:
        session = data.draw(st.integers(1, self.sessions))
        for task in self.ledger.tasks.values():
            task.release(session)

    @precondition(lambda self: self.handed)
    @rule(data=st.data(), count=st.integers(0, 3), final=st.booleans())
    def commit(self, data: st.DataObject, count: int, final: bool) -> None:
        handed = data.draw(st.sampled_from(self.handed))
        shape = TASKS[handed.task]
        drafts = self.drafts(shape.outputs[0], count) if shape.outputs else []
        self.commit_one(handed, drafts, final=final and shape.is_whole)

    def commit_one(self, handed: Handed, drafts: Sequence[Draft], *, final: bool) -> bool:
        task = self.ledger.tasks[handed.task]
        lease = task.leases.get(handed.offer.snapshot_id)
        good = lease is not None and lease.token == handed.token
        fingerprint = request_fingerprint((draft.payload_xxh3 for draft in drafts), final)
        request = CommitRequest(handed.task, handed.offer.snapshot_id, handed.token, drafts, fingerprint, final)
        if not good:
            self.refused_or_repeated(task, request)
            return False
        assert commits.answered(task, request.snapshot_id, request.token, fingerprint) is None
        assert handed.execution == task.execution
        try:
            records = commits.commit(self.ledger, request, 0)
        except DeliveryFault as error:
            raise AssertionError("a good token was refused") from error
        self.admit(records)
        record = task.committed[request.snapshot_id]
        self.settled.append(Settled(handed, fingerprint, record.outputs))
        return True

    def refused_or_repeated(self, task: Task, request: CommitRequest) -> None:
        """A commit whose token is not good changes nothing: it is refused, or the very one that was accepted."""
        before = told(self.ledger)
        try:
            record = commits.answered(task, request.snapshot_id, request.token, request.fingerprint)
        except (LeaseLost, Conflict):
            record = None
        else:
            if record is None:
                with pytest.raises(LeaseLost):
                    commits.commit(self.ledger, request, 0)
        assert record is None or (record.token, record.request_xxh3) == (request.token, request.fingerprint)
        assert told(self.ledger) == before

    @precondition(lambda self: self.settled)
    @rule(data=st.data())
    def repeat_a_commit(self, data: st.DataObject) -> None:
        one = data.draw(st.sampled_from(self.settled))
        task = self.ledger.tasks[one.handed.task]
        if task.execution != one.handed.execution:
            return
        record = commits.answered(task, one.handed.offer.snapshot_id, one.handed.token, one.fingerprint)
        assert record is not None
        assert record.outputs == one.outputs
        with pytest.raises(Conflict):
            commits.answered(task, one.handed.offer.snapshot_id, one.handed.token, one.fingerprint ^ 1)
        with pytest.raises(LeaseLost):
            commits.answered(task, one.handed.offer.snapshot_id, one.handed.token + 1, one.fingerprint)

    @rule(name=st.sampled_from(("double", "sum_up")))
    def program_exits(self, name: str) -> None:
        if records := runs.task_exited(self.ledger, self.ledger.tasks[name], 0):
            self.admit(records)
        assert runs.task_exited(self.ledger, self.ledger.tasks[name], 0) == []

    # -- a consumer group --------------------------------------------------------------------------------------------------------------------

    @rule()
    def group_takes(self) -> None:
        group = self.ledger.groups.get(GROUP)
        if group is None:
            self.admit([GroupOpened(*GROUP, 1, 1, 0)])
            return
        if not group.members:
            group.join(1)
        offer = group.next_value(1, self.ledger.links["numbers"], 0.0)
        if isinstance(offer, GroupOffer):
            assert ("numbers", offer.sequence) in self.values(self.disk.frames[: self.disk.durable])
            assert not group.cursor.is_done(offer.sequence)
            self.admit([GroupLeased(*GROUP, Position(1, offer.sequence), self.ledger.last_token + 1, offer.attempt)])
            group.hold(offer.sequence, 1)

    @rule(data=st.data())
    def group_settles(self, data: st.DataObject) -> None:
        group = self.ledger.groups.get(GROUP)
        if group is None or not group.leases:
            return
        sequence = data.draw(st.sampled_from(sorted(group.leases)))
        if data.draw(st.booleans()):
            recalled = group.give_back(sequence, 0.0)
            if recalled:
                group.released(1, recalled)
            return
        if data.draw(st.booleans()):
            self.admit([GroupMoved(*GROUP, 1, 1, 0, 0, settled=((sequence, sequence),))])
            assert sequence not in group.leases
            return
        after = group.cursor.copy()
        after.settle(sequence, sequence)
        self.admit([GroupMoved(*GROUP, 1, 1, after.done_sequence, after.done_sequence + 1, after.ranges_ahead())])
        assert sequence not in group.leases

    # -- what must always hold ----------------------------------------------------------------------------------------------------------------

    def values(self, frames: Sequence[Sequence[Record]]) -> dict[tuple[str, int], ValueStored]:
        stored = [record for frame in frames for record in frame if isinstance(record, ValueStored)]
        return {(record.envelope.link, record.envelope.position.sequence): record for record in stored}

    @invariant()
    def every_value_once_and_sequences_without_a_gap(self) -> None:
        stored = [record.envelope for frame in self.disk.frames for record in frame if isinstance(record, ValueStored)]
        assert len({envelope.id for envelope in stored}) == len(stored)
        assert len({envelope.payload_xxh3 for envelope in stored}) == len(stored)
        sequences: dict[str, list[int]] = defaultdict(list)
        for envelope in stored:
            sequences[envelope.link].append(envelope.position.sequence)
        for found in sequences.values():
            assert found == list(range(1, len(found) + 1))

    @invariant()
    def every_portion_is_done_once_in_an_execution(self) -> None:
        done: dict[tuple[str, int, str], Cursor] = {}
        for task, execution, portions in self.committed():
            for portion in portions:
                for n in range(portion.first_sequence, portion.last_sequence + 1):
                    cursor = done.setdefault((task, execution, portion.link), Cursor(0))
                    assert not cursor.is_done(n)
                    cursor.settle(n, n)

    @invariant()
    def tokens_only_grow(self) -> None:
        tokens = [record.token for frame in self.disk.frames for record in frame if isinstance(record, GroupLeased | SnapshotLeased)]
        assert tokens == sorted(set(tokens))
        assert self.ledger.last_token >= max(tokens, default=0)

    def committed(self) -> list[tuple[str, int, Any]]:
        found = []
        for frame in self.disk.frames:
            found += [(record.task, record.execution, record.portions) for record in frame if isinstance(record, SnapshotCommitted)]
        return found

    def check_complete(self, task: Task) -> None:
        """A task that was not stopped has done all of its inputs, as far as they were sealed."""
        if task.name != "double" or task.ended:
            return
        generation = self.ledger.links["numbers"].generations[1]
        done = {
            n for name, execution, portions in self.committed() if (name, execution) == ("double", task.execution) for n in span(portions)
        }
        assert done == set(range(1, (generation.sealed_sequence or 0) + 1))

    def teardown(self) -> None:
        """Whatever happened, an orderly run then completes with every value done."""
        if self.ledger.run is None:
            return
        self.begin_run(fresh=True)
        self.sync(len(self.disk.frames))
        task = self.ledger.tasks["double"]
        while not isinstance(offer := task.next_snapshot(self.ledger.links), End):
            assert isinstance(offer, Offer)
            assert self.commit_one(self.lease(task, offer), self.drafts("doubled", 1), final=False)
        self.check_complete(task)
        doubled = self.ledger.links["doubled"].current
        assert doubled is not None
        assert doubled.values == self.ledger.links["numbers"].generations[1].values
        assert not task.unread(self.ledger.links)["numbers"]


def span(portions: Any) -> list[int]:
    return [n for portion in portions for n in range(portion.first_sequence, portion.last_sequence + 1)]


TestHomeLife = HomeLife.TestCase
TestHomeLife.settings = settings(stateful_step_count=40)
