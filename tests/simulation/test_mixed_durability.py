"""A commit whose input and output have durabilities of their own, through losses of power at every call: it is there with all its parts, or not."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from linkd.core import commits, publishing, runs
from linkd.core.commits import CommitRequest
from linkd.core.durability import sync_within_s
from linkd.core.links import LinkShape
from linkd.core.publishing import Maker
from linkd.core.runs import RunPlan
from linkd.core.tasks import Offer, TaskShape
from linkd.errors import Error
from linkd.model.records import TaskKind
from linkd.model.terms import LinkTerms, durability_of
from linkd.model.values import Durability
from linkd.store.committer import Committed
from linkd.testing.faulty_files import FaultyFiles
from linkd.testing.simulation.numbered_payloads import numbered
from linkd.testing.simulation.simulated_home import Machine, SimulatedHome
from linkd.testing.simulation.step_loop import StepLoop
from linkd.testing.simulation.witness import Witness

TASKS = {"relay": TaskShape("relay", TaskKind.RUN, (("taken", "each"),), ("made",))}
STRENGTH = (Durability.MEMORY, Durability.INTERVAL, Durability.FSYNC)
INLINE, BULK = 1, 60
"""Rows of a value that lies in the journal, and of one that lies in a segment."""
SEEDS = 2
CALLS = 10
"""More calls to the file system than a commit takes."""


class Deaf:
    """A witness of nothing."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: None


@dataclass(frozen=True, slots=True)
class Case:
    taken: Durability
    made: Durability
    rows: int

    @property
    def links(self) -> tuple[LinkShape, ...]:
        terms = {"taken": self.taken, "made": self.made}
        return tuple(LinkShape(name, "relay" if name == "made" else "", terms=LinkTerms(one)) for name, one in terms.items())

    @property
    def strongest(self) -> Durability:
        return max(self.taken, self.made, key=STRENGTH.index)


class Machines:
    """Opens homes on disks as they were left."""

    def __init__(self, directory: Path, case: Case) -> None:
        self._names = (directory / f"{number}.db" for number in itertools.count())
        self._case = case

    def home(self, files: FaultyFiles, boots: int) -> SimulatedHome:
        machine = Machine(next(self._names), files, boots=boots)
        loop = StepLoop()  # type: ignore[abstract]  # as much of a loop as is asked for
        home = SimulatedHome(machine, self._case.links, TASKS, loop, cast("Witness", Deaf()))
        home.start()
        home.sync()
        return home


def every_case() -> Iterator[Case]:
    for (taken, made), rows in itertools.product(itertools.permutations(STRENGTH, 2), (INLINE, BULK)):
        yield Case(taken, made, rows)


def publish_and_lease(home: SimulatedHome, case: Case) -> tuple[Offer, int]:
    """One value that a run takes, which is handed out."""
    home.ledger.epoch = 1
    home.admit(runs.begin(home.ledger, RunPlan("run", 1, True, "", case.links, list(TASKS.values()), follow=True), 1))
    draft, payload = numbered("taken", 1, case.rows)
    home.admit(publishing.publish(home.ledger, [draft], Maker(), 2, bytes(10)), [payload])
    home.sync()
    task = home.ledger.tasks["relay"]
    offer = task.next_snapshot(home.ledger.links)
    assert isinstance(offer, Offer)
    record = commits.lease(home.ledger, task, offer)
    home.admit([record])
    return offer, record.token


def commit(home: SimulatedHome, case: Case, offer: Offer, token: int) -> list[Committed]:
    """Commits one value for it; what it was told, if it was, when the disk has had its time."""
    draft, payload = numbered("made", 2, case.rows)
    records = commits.commit(home.ledger, CommitRequest("relay", offer.snapshot_id, token, [draft], 0), 3)
    assert durability_of(sync_within_s(records, home.terms)) is case.strongest
    told: list[Committed] = []
    home.admit(records, [payload], lambda done, _: told.append(done) if done is not None else None)
    home.sync()
    return told


def parts(home: SimulatedHome) -> tuple[int, int, bool]:
    """How many values of the input are there, how many of them are done, and whether what was made is there."""
    taken, made = (len(list(home.values(link))) if link in home.ledger.links else 0 for link in ("taken", "made"))
    task = home.ledger.tasks.get("relay")
    cursor = task.cursors.get("taken") if task is not None else None
    done = cursor.done_sequence if cursor is not None else 0
    assert task is None or bool(task.committed) == bool(made)
    return taken, done, bool(made)


@pytest.mark.parametrize("case", list(every_case()), ids=str)
def test_a_commit_is_lost_or_kept_with_all_its_parts(memory_path: Path, case: Case) -> None:
    machines = Machines(memory_path, case)
    kept = set()
    for calls in range(CALLS):
        files = FaultyFiles()
        home = machines.home(files, 1)
        offer, token = publish_and_lease(home, case)
        files.cut_power_after(calls)
        try:
            told = commit(home, case, offer, token)
        except Error:
            told = []
        durable = [one for one in told if one.durability is Durability.FSYNC]
        for seed in range(SEEDS):
            after = machines.home(files.crash(seed), 2)
            taken, done, made = parts(after)
            assert bool(done) == made, (calls, seed)
            assert done <= taken or not made, (calls, seed)
            assert made or not durable, (calls, seed)
            kept.add(made)
            after.abandon()
        home.abandon()
    assert False in kept
    assert True in kept or case.strongest is not Durability.FSYNC
