"""A home without connections: a ledger over a store in step mode. What is admitted waits until `sync`, as it does while a disk is slow."""

from __future__ import annotations

import asyncio
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from linkd.core import expiry, holds, retention
from linkd.core.checkpoint import keep, restored
from linkd.core.durability import started, sync_within_s
from linkd.core.flow import Flow
from linkd.core.ledger import Ledger
from linkd.core.links import LinkShape
from linkd.core.steady_clock import SteadyClock
from linkd.core.tasks import TaskShape
from linkd.errors import Draining, Overloaded, StorageFailed
from linkd.home.flow import StoredSizes
from linkd.model.records import Dropped, HoldPlaced, HoldReleased, Record, ValueStored
from linkd.model.terms import AT_ONCE_S, LinkTerms, OnFull
from linkd.model.values import Durability, PlaceKind
from linkd.store.committer import Committed
from linkd.store.store import Store
from linkd.store.store_limits import StoreLimits
from linkd.testing.clock import FakeClock
from linkd.testing.faulty_files import FaultyFiles
from linkd.testing.simulation.numbered_payloads import number_of
from linkd.testing.simulation.step_loop import StepLoop
from linkd.testing.simulation.witness import Told, Witness

DIRECTORY = Path("/home")
LIMITS = StoreLimits(
    inline_payload_max_bytes=300,
    frame_inline_max_bytes=600,
    group_max_bytes=10_000,
    journal_file_max_bytes=40 * 1024,
    preallocate_bytes=8 * 1024,
    journal_files_kept=1,
    checkpoint_frames=40,
    checkpoint_at_close_frames=10,
    segment_file_max_bytes=8 * 1024,
    segment_roll_min_bytes=2 * 1024,
    catalog_batch_values=20,
    catalog_tail_max_values=40,
    open_files_max=3,
)
"""So small that every roll-over happens some times in a thousand steps."""
SURELY_NOT = "known only after"
"""What an error does not say where it is certain that nothing was stored."""

Answer = Callable[[Committed | None, bool], None]
"""Called with what was committed, or None and whether it surely was not."""


@dataclass(slots=True)
class Machine:
    """What outlives a home: the disk, the index beside it, the clocks, and how often the machine was switched on."""

    catalog: Path
    files: FaultyFiles = field(default_factory=FaultyFiles)
    clock: FakeClock = field(default_factory=FakeClock)
    boots: int = 1


class SimulatedHome:
    """One life of a home, from opening its directory to its end. Raises what `Store.open` does."""

    def __init__(
        self, machine: Machine, links: Sequence[LinkShape], tasks: Mapping[str, TaskShape], loop: StepLoop, witness: Witness
    ) -> None:
        self._machine = machine
        self._links = {shape.name: shape for shape in links}
        self._loop = loop
        self._witness = witness
        self.failure = ""
        self._over = False
        self.is_closing = False
        """Nothing is handed out any more."""
        self._last: asyncio.Future[Committed] | None = None
        self.store = Store.open(DIRECTORY, machine.files, limits=LIMITS, catalog_path=machine.catalog, now_s=machine.clock.monotonic_s)
        try:
            self.ledger: Ledger = restored(self.store.kept, tasks)
            for _, records in self.store.replay():
                self.ledger.restore(records)
        except BaseException:
            self.abandon()
            raise
        self.ledger.last_token += 1 + int.from_bytes(machine.clock.entropy(5), "big")
        newest_ns = max((link.last_created_at_ns for link in self.ledger.links.values()), default=0)
        self.flow = Flow(self.ledger, {shape.name: shape.terms for shape in links}, StoredSizes(self.store))
        self._steady = SteadyClock.at_start(machine.clock.now_ns(), machine.clock.monotonic_s(), newest_ns)

    def start(self) -> None:
        """As `Home.start`: links that may have lost their tail begin a new incarnation."""
        self.store.start(self._loop, thread=False, keep=lambda: keep(self.ledger), on_failure=self._failed)
        weak = [name for name, shape in self._links.items() if shape.terms.durability is not Durability.FSYNC]
        found = self.store.recovery
        now_ns, boot = self._machine.clock.now_ns(), f"boot {self._machine.boots}"
        records = started(self.ledger, boot=boot, clean=found.clean, voided=found.voided, weak=weak, now_ns=now_ns)
        if records:
            self.admit(records)

    def terms(self, link: str) -> LinkTerms:
        shape = self._links.get(link)
        return shape.terms if shape is not None else LinkTerms()

    def is_durable_when_acked(self, records: Sequence[Record]) -> bool:
        """Whether the ack of these says that they survive power loss."""
        return sync_within_s(records, self.terms) == AT_ONCE_S

    # -- writing --------------------------------------------------------------------------------------------------------------------------

    def admit(
        self, records: Sequence[Record], payloads: Sequence[bytes] = (), answer: Answer | None = None, *, durable: bool = False
    ) -> None:
        """As `Home.admit`. Raises, having changed nothing, StorageFailed, Overloaded."""
        drops = [record for record in records if isinstance(record, Dropped)]
        for record in drops:
            self._witness.dropping(record.link, record.generation, record.first_sequence, record.last_sequence)
        within_s = AT_ONCE_S if durable else sync_within_s(records, self.terms)
        future = self.store.append(records, payloads, sync_within_s=within_s)
        self.ledger.apply(records)
        self.flow.admitted(records)
        future.add_done_callback(lambda done: self._settled(records, drops, done, answer))
        self._last = future

    def relief(self, link: str, size_bytes: int) -> tuple[Sequence[Dropped], bool]:
        """What is to be dropped so that so much fits into the link, and whether it is the publish itself, by the terms of the link.

        Raises Overloaded where whoever publishes has to come again: as `home.flow`, in which it may wait for that.
        """
        found = self.flow.full({link: size_bytes})
        on_full = self.terms(link).on_full
        if not found:
            return (), False
        if on_full is OnFull.DROP_NEWEST:
            return (), True
        drops = self.flow.drops(found[0], size_bytes, self._machine.clock.now_ns()) if on_full is OnFull.DROP_OLDEST else ()
        if not drops:
            raise Overloaded(str(found[0]))
        return drops, False

    def behind_all(self, answer: Answer) -> None:
        """Answers when everything that was admitted so far is durable, as it is by now if nothing waits."""
        if self._last is None or (self._last.done() and not self.failure):
            answer(None, False)
        else:
            self._last.add_done_callback(lambda done: None if self._over or done.exception() else answer(None, False))

    def _settled(self, records: Sequence[Record], drops: Sequence[Dropped], done: asyncio.Future[Committed], answer: Answer | None) -> None:
        problem = done.exception()
        if self._over:
            return
        if problem is not None:
            self.failure = self.failure or str(problem)
            if answer is not None:
                answer(None, SURELY_NOT not in str(problem))
            return
        self.ledger.durable(records)
        self.flow.settled(records)
        for record in drops:
            self._witness.dropped(record.link, record.generation, record.first_sequence, record.last_sequence)
        if answer is not None:
            answer(done.result(), False)

    def _failed(self, error: StorageFailed) -> None:
        self.failure = self.failure or str(error)

    def sync(self) -> None:
        """The disk takes what waits."""
        self.store.commit_waiting()
        self._loop.drain()

    def tidy(self) -> None:
        """What is due beside the commits: freeing, checkpoints, recycling. None of it while the disk is full."""
        self.sync()
        if not self.failure and not self.store.full:
            self.store.tidy()
            self._loop.drain()

    def hold(self, name: str, link: str, generation: int, first: int, last: int, until_ns: int) -> None:
        """Places a hold; in the place of another one of that name. Raises as `holds.place` does."""
        [placed] = holds.place(self.ledger, HoldPlaced(name, link, generation, first, last, until_ns), self._machine.clock.now_ns())
        self._witness.let_go(name)

        def answered(done: Committed | None, surely_not: bool) -> None:
            if done is not None and self.ledger.holds.get(name) is placed:  # else it was let go before it was durable
                self._witness.held(name, link, first, last)

        self.admit([placed], (), answered)

    def release(self, records: Sequence[HoldReleased]) -> None:
        for record in records:
            self._witness.let_go(record.name)
        if records:
            self.admit(records)

    def retain(self) -> None:
        """Drops what may go: generations, and values beyond what their link retains. What was held long enough goes with the next look."""
        clock, ledger = self._machine.clock, self.ledger
        self._steady.look(clock.now_ns(), clock.monotonic_s())
        now_ns = clock.now_ns()
        held = ledger.holds.values()
        if records := retention.drops(ledger, list(ledger.links), {(one.link, one.generation) for one in held}, now_ns=now_ns):
            self.admit(records)
        for name in ledger.links:
            terms = self.terms(name)
            if terms.retain is not None:
                moment = expiry.Moment(now_ns, self._steady.credible_ns)
                first_held = min((one.first_sequence for one in held if one.link == name), default=math.inf)
                if records := expiry.expired(ledger, name, terms.retain, moment, first_held).records:
                    self.admit(records)
        if records := expiry.forgotten(ledger, now_ns):
            self.admit(records)
        if self._steady.credible_ns is not None:
            self.release(holds.over(ledger, now_ns))

    # -- reading --------------------------------------------------------------------------------------------------------------------------

    def values(self, link: str, first: int = 1, last: int | None = None) -> Iterator[Told]:
        """What a reader gets: the values that are there, with what their rows say."""
        known = self.ledger.links[link]
        for envelope, place in self.store.values(link, first, min(last or known.durable_sequence, known.durable_sequence)):
            sequence = envelope.position.sequence
            if envelope.generation not in known.generations or known.there_from(sequence) != sequence:
                continue
            assert place.kind is not PlaceKind.DROPPED, f"{envelope.name} has no place, and nobody dropped it"
            _, body = self._loop.run(self.store.read_payload(envelope, place))
            yield Told(link, envelope.position.incarnation, sequence, envelope.generation, number_of(body))

    # -- its end --------------------------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """A clean stop."""
        self.is_closing = True
        self._loop.run(self.store.close())
        self._loop.drain()

    @property
    def closed_well(self) -> bool:
        """Whether `close` left everything on disk, with its seal."""
        committer = self.store._committer
        return not (self.failure or self.store.full or committer._failure)

    def abandon(self) -> None:
        """Lets go of what a process has open, and of nothing else: its disk does nothing any more."""
        for operation in ("write", "sync", "truncate", "create", "rename", "delete"):
            self._machine.files.refuse(operation, "this process has ended")
        self._over = True
        self._loop.run(self.store.close())
        self._loop.drain()


def numbers_in_segments(files: FaultyFiles, link: str) -> list[list[int]]:
    """What the rows of each segment of a link say, to somebody who knows Arrow and nothing of linkd."""
    found = []
    directory = DIRECTORY / "segments" / link
    for name in files.list(directory):
        content = files.open(directory / name).pread(files.size(directory / name), 0)
        rows = [row for batch in pa.ipc.open_stream(content) for row in batch.column(0).to_pylist()]
        found.append([number for number, _ in itertools.groupby(rows)])
    return found


def stored(records: Sequence[Record], numbers: Sequence[int]) -> list[Told]:
    """The values of a frame as its ack tells of them."""
    envelopes = [record.envelope for record in records if isinstance(record, ValueStored)]
    return [
        Told(one.link, one.position.incarnation, one.position.sequence, one.generation, number)
        for one, number in zip(envelopes, numbers, strict=True)
    ]


REFUSED = (StorageFailed, Overloaded, Draining)
"""What a home that cannot write now says to everybody."""
