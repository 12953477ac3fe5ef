"""The home of a pipeline's links: the ledger, the store behind it, and those who wait for either.

`Home.admit` is the only way to change anything: the records are applied to the ledger and handed to the store in one step without an await
between, so the journal has them in the order in which they were decided. What waits for the disk learns of it in the same order.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from linkd.core.checkpoint import keep, restored
from linkd.core.durability import EVERY_LINK, bulk_within_s, started, sync_within_s
from linkd.core.flow import Flow
from linkd.core.layout import Layout
from linkd.core.ledger import Ledger, no_link
from linkd.core.names import check_link_name
from linkd.core.publishing import open_link
from linkd.core.retention import FORGOTTEN
from linkd.core.rights import Identity, Rights
from linkd.device import Device, Nature, check_for_journal, device_of, tried
from linkd.errors import Draining, Error, InvalidArgument, StorageFailed
from linkd.home.artifacts import Artifacts
from linkd.home.budget import Budget
from linkd.home.changes import Changes, link_topic, task_topic
from linkd.home.clock import Clock
from linkd.home.damage import DamageControl
from linkd.home.deadlines import Deadlines
from linkd.home.disk import DiskBudget, counted
from linkd.home.flow import FlowControl, StoredSizes
from linkd.home.memo import Memo
from linkd.home.rates import Rates
from linkd.home.recent import KeptPayloads
from linkd.home.retention import Retention, Surroundings
from linkd.home.spans import Spans
from linkd.home.tokens import Tokens
from linkd.limits import (
    DRAIN_TIMEOUT_S,
    LINKS_MAX,
    MEMORY_BUDGET_BYTES,
    STAGED_IN_MEMORY_MAX_BYTES,
    STALL_AFTER_S,
)
from linkd.machine import boot_id
from linkd.model import records as said
from linkd.model.frozen import frozen
from linkd.model.records import Record, SnapshotCommitted, TaskBegan, TaskEnded
from linkd.model.terms import AT_ONCE_S, LinkTerms
from linkd.model.values import Durability
from linkd.store.committer import Committed, GroupCommitted
from linkd.store.staging import StagedPayload
from linkd.store.store import Store
from linkd.store.store_limits import StoreLimits
from linkd.telemetry.events import (
    CallRefused,
    GenerationBegan,
    GenerationEnded,
    GroupSynced,
    IncarnationBegan,
    Recovered,
    StorageFailedEvent,
    StorageFull,
    StorageVolatile,
    ValueDropped,
)
from linkd.telemetry.hub import Telemetry
from linkd.telemetry.tracing import Tracing

DEFAULT_TERMS = LinkTerms()
TOKEN_GAP_BYTES = 5
"""Of chance in the gap that a start leaves in the fencing tokens: two starts give the same ones once in 2**20 times, at worst."""


@frozen()
class Conduct:
    """How the present run is conducted, beyond what the journal has to know: see `home.conductor`, `home.memo`. Without `begun` no run is on here."""

    begun: bool = False
    open_places: frozenset[str] = frozenset()
    every_s: Mapping[str, float] = field(default_factory=dict)
    memo: Mapping[str, str] = field(default_factory=dict)
    checks_memo: bool = False


@dataclass(slots=True)
class Home:
    """One open directory. Made by `Home.open`, serves after `start`, ends with `stop_sessions` and `close`. Belongs to one event loop.

    `failed` are the tasks whose program ended in this run with a code other than 0.
    """

    layout: Layout
    directory: Path
    ledger: Ledger
    store: Store
    tokens: Tokens
    telemetry: Telemetry
    clock: Clock
    tracing: Tracing
    disk: DiskBudget
    artifacts: Artifacts
    changes: Changes = field(default_factory=Changes)
    memory: Budget = field(default_factory=lambda: Budget(MEMORY_BUDGET_BYTES))
    draining: bool = False
    paused: bool = False
    failure: str = ""
    conduct: Conduct = field(default_factory=Conduct)
    rates: Rates = field(default_factory=Rates)
    failed: set[str] = field(default_factory=set)
    _last: asyncio.Future[Committed] | None = None
    _sessions: int = 0
    connections: dict[str, int] = field(default_factory=dict)
    stall_timeout_s: float = STALL_AFTER_S
    kept: KeptPayloads = field(init=False)
    retention: Retention = field(init=False)
    damage: DamageControl = field(init=False)
    deadlines: Deadlines = field(init=False)
    flow: FlowControl = field(init=False)
    spans: Spans = field(init=False)
    memo: Memo = field(init=False)
    _timer: asyncio.Task[None] | None = None

    def __post_init__(self) -> None:
        self.kept = KeptPayloads(self.memory)
        terms = {name: shape.terms for name, shape in self.layout.links.items()}
        self.flow = FlowControl(self, Flow(self.ledger, terms, StoredSizes(self.store)), self.stall_timeout_s)
        self.deadlines = Deadlines(self.clock)
        self.spans = Spans(self.ledger, self.tracing, self.clock)
        self.memo = Memo(self)
        admit = functools.partial(self.admit, durable=False)
        self.damage = DamageControl(self.ledger, admit, self.clock, self.telemetry)
        self.retention = Retention(self.ledger, Surroundings(admit, self.terms, self.clock, self.deadlines, self.telemetry))
        self.disk.make_room = self._make_room

    @staticmethod
    def open(
        layout: Layout,
        directory: Path,
        telemetry: Telemetry,
        clock: Clock,
        tracing: Tracing,
        *,
        memory_bytes: int = MEMORY_BUDGET_BYTES,
        store_limits: StoreLimits | None = None,
        device: Device | None = None,
        disk_budget_bytes: int | None = None,
        stall_timeout_s: float = STALL_AFTER_S,
    ) -> Home:
        """Opens (or makes) the directory, takes its checkpoint and reads the journal behind it. Starts nothing. Raises StateDamaged, StateForeign.

        `device` is what the directory lies on; by default the system is asked, and the disk tried. Without `disk_budget_bytes` the volume says
        how much there is.
        """
        began = clock.monotonic_s()
        check_for_journal(directory, device or device_of(directory))
        directory.mkdir(parents=True, exist_ok=True)
        device = device or tried(directory)
        if volatile := device.nature is Nature.VOLATILE:
            telemetry.emit(StorageVolatile(path=str(directory), reason=device.why))
        memory, files = Budget(memory_bytes), counted(directory)
        disk = DiskBudget(directory, files, telemetry, clock, disk_budget_bytes)
        wanted = store_limits or StoreLimits()
        bounded = replace(wanted, queue_max_bytes=min(wanted.queue_max_bytes, memory_bytes // 4))
        store = Store.open(directory, files, limits=bounded, memory=memory.share(STAGED_IN_MEMORY_MAX_BYTES), volatile=volatile)
        artifacts = Artifacts.open(directory, telemetry, clock, disk)
        ledger = restored(store.kept, layout.tasks)
        frames = 0
        for _, records in store.replay():
            ledger.restore(records)
            artifacts.admitted(records)
            frames += 1
        artifacts.recovered(ledger, store)
        # Leases are handed out before their records are on disk: a token of one that was lost with a crash must not be given to another.
        ledger.last_token += 1 + int.from_bytes(clock.entropy(TOKEN_GAP_BYTES), "big")
        telemetry.emit(Recovered(frames=frames, cut_bytes=store.recovery.cut_bytes, seconds=clock.monotonic_s() - began))
        tokens = Tokens.of_directory(directory)
        parts = layout, directory, ledger, store, tokens, telemetry, clock, tracing, disk, artifacts
        return Home(*parts, memory=memory, stall_timeout_s=stall_timeout_s)

    def start(self, *, boot: str | None = None) -> None:
        """Starts the store's threads, and the timer. Called in the event loop. `boot` names the boot of the machine; by default it is asked."""
        loop = asyncio.get_running_loop()
        self._timer = loop.create_task(self.deadlines.run(), name="home deadlines")
        self.store.start(
            loop,
            keep=self.artifacts.before_checkpoint(lambda: keep(self.ledger)),
            on_group=self._synced,
            on_failure=self._failed,
            on_full=self._full,
            on_damage=self.damage.met,
        )
        self.artifacts.start(self.deadlines)
        self._begin(boot_id() if boot is None else boot)
        for group in self.ledger.groups.values():
            group.delay_anew(self.clock.monotonic_s())
        self.retention.look_at_all()

    def _begin(self, boot: str) -> None:
        """Links of which the tail may be lost begin a new incarnation, before anything else happens to them."""
        weak = [name for name, shape in self.layout.links.items() if shape.terms.durability is not Durability.FSYNC]
        if self.store.durability(AT_ONCE_S) is not Durability.FSYNC:
            weak = [EVERY_LINK]
        found = self.store.recovery
        volatile, now_ns = self.store.volatile_values(), self.clock.now_ns()
        records = started(self.ledger, boot=boot, clean=found.clean, voided=found.voided, weak=weak, now_ns=now_ns, volatile=volatile)
        if records:
            self.admit(records, durable=False)
        for one in (record for record in records if isinstance(record, said.LinkOpened)):
            self.telemetry.emit(IncarnationBegan(link=one.link, incarnation=one.incarnation, first_sequence=one.first_sequence))

    def stop_sessions(self) -> None:
        """Takes no new work from now on: deliveries end, calls in hand go on to their end."""
        self.draining = True
        self.changes.announce(["drain"])

    async def close(self, fold_within_s: float = DRAIN_TIMEOUT_S) -> None:
        """Closes the store behind what was admitted, and folds what it kept so far as there is time for it."""
        if self._timer is not None:
            self._timer.cancel()
            await asyncio.wait([self._timer])
        await self.memo.close(fold_within_s)
        await self.store.close(fold_within_s)
        await self.artifacts.close()

    def _make_room(self, missing_bytes: int) -> None:
        """The disk is nearly full."""
        self.store.shared.give_back()
        if self.retention.make_room(missing_bytes) < missing_bytes:
            self.artifacts.store.give_back_soon(missing_bytes)

    def _synced(self, group: GroupCommitted) -> None:
        if group.synced and self.telemetry.wants(GroupSynced):
            self.telemetry.emit(GroupSynced(frames=group.frames, size_bytes=group.size_bytes, sync_seconds=group.seconds))

    def _full(self, reason: str) -> None:
        self.disk.full = reason
        self.telemetry.emit(StorageFull(path=str(self.directory), reason=reason))
        self.changes.announce(["storage"])

    def _failed(self, error: StorageFailed) -> None:
        self.failure = self.failure or str(error)
        self.telemetry.emit(StorageFailedEvent(operation="commit", path=str(self.directory), error=str(error)))
        self.changes.announce(["storage"])

    # -- changing things ------------------------------------------------------------------------------------------------------------------

    def admit(
        self, records: Sequence[Record], payloads: Sequence[StagedPayload] = (), *, durable: bool = True
    ) -> asyncio.Future[Committed]:
        """Decided: hands the records to the store and applies them. The future is done when they are as durable as the strongest of the links they
        touch asks for, StorageFailed if they can't be.

        `await room()` before the decision. Raises, having changed nothing, ValueTooLarge, Overloaded, StorageFailed.
        """
        within_s = sync_within_s(records, self.terms)
        bulk_s = bulk_within_s(records, self.terms) if payloads and within_s == AT_ONCE_S else within_s
        future = self.store.append(records, payloads, durable=durable, sync_within_s=within_s, bulk_within_s=bulk_s)
        self.ledger.apply(records)
        self.flow.admitted(records)
        self.artifacts.admitted(records)
        future.add_done_callback(lambda done: self._settled(records, done))
        self._last = future
        return future

    def _settled(self, records: Sequence[Record], done: asyncio.Future[Committed]) -> None:
        if done.cancelled() or done.exception() is not None:
            error = None if done.cancelled() else done.exception()
            self.failure = self.failure or str(error or "the store was closed")
            self.changes.announce(["storage"])
            return
        topics = set(map(link_topic, self.ledger.durable(records)))
        self.flow.settled(records)
        self.rates.settled(records, self.clock.monotonic_s())
        self.retention.settled(records)
        self.artifacts.settled(records)
        for record in records:
            if isinstance(record, SnapshotCommitted | TaskBegan | TaskEnded):
                topics.add(task_topic(record.task))
            elif isinstance(record, said.GenerationEnded):
                topics.add(link_topic(record.link))
                self._tell_ended(record)
            elif isinstance(record, said.GenerationBegan):
                topics.add(link_topic(record.link))
                self.telemetry.emit(GenerationBegan(link=record.link, generation=record.generation))
            elif isinstance(record, said.Dropped) and record.reason != FORGOTTEN:
                values, reason = record.last_sequence - record.first_sequence + 1, record.reason.partition(" ")[0]
                self.telemetry.emit(ValueDropped(link=record.link, values=values, reason=reason))
        self.changes.announce(topics)

    def _tell_ended(self, record: said.GenerationEnded) -> None:
        generation = self.ledger.links[record.link].generations.get(record.generation)
        sealed, values = record.end is said.GenerationEnd.SEALED, generation.values if generation is not None else 0
        self.telemetry.emit(
            GenerationEnded(link=record.link, generation=record.generation, sealed=sealed, values=values, detail=record.reason)
        )

    def durability(self, records: Sequence[Record]) -> Durability:
        """What is true of a frame of these records when it is committed."""
        return self.store.durability(sync_within_s(records, self.terms))

    def terms(self, link: str) -> LinkTerms:
        """The terms of a link; those of one that the file does not name are the default ones."""
        return self.layout.links[link].terms if link in self.layout.links else DEFAULT_TERMS

    async def room(self, *, bulk: bool = False) -> None:
        """Returns when the store takes a frame, of large payloads if `bulk`: decide and `admit` before the next await. Raises StorageFailed."""
        await self.store.room(bulk=bulk)

    async def written(self, future: asyncio.Future[Committed]) -> Committed:
        """Waits for an admitted frame without letting the waiter's cancellation reach it."""
        return await asyncio.shield(future)

    async def barrier(self) -> None:
        """Returns when everything admitted so far is on disk."""
        if (last := self.unwritten()) is not None:
            await self.written(last)

    def unwritten(self) -> asyncio.Future[Committed] | None:
        """The frame that was admitted last, if it is not on disk yet."""
        return None if self._last is None or self._last.done() else self._last

    def check_open(self) -> None:
        """Raises Draining while shutting down. That the disk has refused the store says itself, when it is given something."""
        if self.draining:
            raise Draining("linkd is shutting down; connect again")

    def check_alive(self) -> None:
        """For one who waits. Raises Draining while shutting down, StorageFailed once the disk has refused: then nothing more will come."""
        self.check_open()
        if self.failure:
            raise StorageFailed(self.failure)

    # -- what everybody asks ---------------------------------------------------------------------------------------------------------------

    @property
    def rights(self) -> Rights:
        return self.layout.rights

    def identify(self, token: str) -> Identity:
        """Who shows this token ("" for nobody). Raises NotAllowed, SessionFenced."""
        return self.tokens.identify(token, self.ledger.epoch, self.layout.tasks)

    def new_epoch(self) -> None:
        """A run is about to begin: tokens of earlier ones are fenced from now on (durably with the record of the run)."""
        self.ledger.epoch += 1

    def new_session(self) -> int:
        """A number for a connection's stream, never used again in this process."""
        self._sessions += 1
        return self._sessions

    def check_link(self, name: str) -> None:
        """LinkNotFound, naming what there is, unless the pipeline has the link (perhaps with nothing in it yet)."""
        if name not in self.layout.links and name not in self.ledger.links:
            raise no_link(name, {*self.layout.links, *self.ledger.links})

    def notes(self) -> tuple[str, ...]:
        """What somebody who looks on should know, though the home works: that room is short, who waits for it, what was damaged."""
        return tuple(note for note in (self.disk.note(), *self.flow.waits(), *self.damage.notes) if note)

    def ready(self) -> str | None:
        """None when ready; else why not."""
        if self.failure:
            return f"storage failed: {self.failure}"
        return "draining" if self.draining else None

    @contextlib.contextmanager
    def audited(self, who: Identity, operation: str, link: str = "") -> Iterator[None]:
        """Around the question whether `who` may: a denial is told before it goes on its way."""
        try:
            yield
        except Error as error:
            self.telemetry.emit(CallRefused(task=who.name, operation=operation, link=link, reason=error.code, detail=str(error)))
            raise

    async def ensure_link(self, name: str) -> None:
        """Makes the link if it is not there yet and may be: under `--open` any good name, else an `in*` link that nothing was sent to."""
        if name in self.ledger.links:
            return
        if self.layout.anyone:
            check_link_name(name)
        elif name not in self.layout.open_links:
            return
        if len(self.ledger.links) >= LINKS_MAX:
            raise InvalidArgument(f"there are {LINKS_MAX:,} links already, and a home holds no more: {name} was not made")
        await self.room()
        if name not in self.ledger.links:
            shape = self.layout.links.get(name)
            declared = shape.declared if shape is not None else None
            self.admit(open_link(name, self.clock.now_ns(), declared), durable=False)

    @property
    def pid(self) -> int:
        return os.getpid()
