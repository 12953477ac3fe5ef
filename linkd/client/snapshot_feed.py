"""One Snapshots stream: snapshots come in the background, ahead of the program, within the credit it has given.

A snapshot is on lease from the moment the program gets it. This process renews that until the snapshot is settled, in the background: so a
program that works is told from a process that hangs, and the task's timeout bounds a program that hangs.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from linkd.client.background import Background
from linkd.client.calls import Connection
from linkd.client.extras import preferred_format
from linkd.client.inbox import Inbox
from linkd.client.outbox import Outbox
from linkd.client.payloads import Arrived, Assembler
from linkd.client.publishing import KnownSchema
from linkd.errors import ConnectionFailed, Error, InternalFault
from linkd.limits import LEASE_RENEWED_EVERY, LEASE_S
from linkd.model.frozen import frozen
from linkd.wire.methods import SNAPSHOTS
from linkd.wire.v1 import links_pb2 as pb

_WHOLE = "whole"


@dataclass(slots=True)
class TaskContext:
    """The task whose snapshots these are. `outputs` is kept up to date by the commits of the client."""

    task: str
    inputs: Mapping[str, str]
    outputs: dict[str, KnownSchema]

    @staticmethod
    def of(opened: Any) -> TaskContext:
        return TaskContext(
            opened.task,
            {item.link: item.policy for item in opened.inputs},
            {item.link: KnownSchema(item.schema, item.declared) for item in opened.outputs},
        )


@frozen()
class ArrivedSnapshot:
    """A complete snapshot. `portions` are messages; `held_bytes` is the credit to be given back when it is handed over."""

    context: TaskContext
    snapshot_id: bytes
    token: int
    attempt: int
    traceparent: str
    values: Mapping[str, Sequence[Arrived]]
    schemas: Mapping[str, bytes]
    portions: Sequence[Any] = ()
    partial: bool = False
    held_bytes: int = 0
    lost: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when linkd says that the lease is over while the program works."""


@dataclass(slots=True)
class _Assembly:
    values: dict[str, list[Arrived]] = field(default_factory=lambda: defaultdict(list))
    held_bytes: int = 0


@frozen()
class _Working:
    """A snapshot that the program has, by the loop's clock since when."""

    snapshot: ArrivedSnapshot
    since_s: float


class SnapshotFeed:
    """Receives until the end, an error, or `close`. `inbox` has the complete snapshots."""

    def __init__(self, connection: Connection, background: Background, *, credit_bytes: int, task: str, prefetch: int = 0) -> None:
        self.inbox: Inbox[ArrivedSnapshot] = Inbox()
        self._credit_bytes = credit_bytes
        self._context: TaskContext | None = None
        self._assembler = Assembler()
        self._assembly = _Assembly()
        self._lease_s = 0.0
        self._working: dict[bytes, _Working] = {}
        self._began = asyncio.Event()
        self._releasing: dict[tuple[bytes, int], asyncio.Future[None]] = {}
        self._stream = connection.stream(SNAPSHOTS)
        self._outbox = Outbox(self._stream, background, "linkd snapshots")
        opening = pb.SnapshotsOpen(
            credit_bytes=credit_bytes,
            format=preferred_format(),  # type: ignore[arg-type]  # an open enum
            prefetch=prefetch,
            task=task,
            says_started=True,
        )
        self._outbox.post(pb.SnapshotsRequest(open=opening))
        self._renewing = background.spawn("linkd snapshots renewal", self._renew())
        background.spawn("linkd snapshots reader", self._receive())

    def take(self) -> ArrivedSnapshot:
        """The next snapshot, which goes to the program: its lease begins, and as much may come again."""
        snapshot = self.inbox.take()
        if self._lease_s:
            self._working[snapshot.snapshot_id] = _Working(snapshot, asyncio.get_running_loop().time())
            self._began.set()
            started = pb.SnapshotToken(snapshot_id=snapshot.snapshot_id, token=snapshot.token)
            self._outbox.post(pb.SnapshotsRequest(started=started))
        self._give_back(snapshot.held_bytes)
        return snapshot

    def settled(self, snapshot: ArrivedSnapshot) -> None:
        """The program is through with the snapshot."""
        self._working.pop(snapshot.snapshot_id, None)

    def release(
        self, snapshot: ArrivedSnapshot, reason: str, *, delay_s: float = 0.0, untried: bool = False
    ) -> asyncio.Future[None] | None:
        """Gives the snapshot back untouched. If the stream is gone, so is the lease.

        The future is done when the home has taken it; until then the program gets no other one, for those behind it may have to go back, too.
        """
        self.settled(snapshot)
        release = pb.SnapshotRelease(
            snapshot_id=snapshot.snapshot_id, token=snapshot.token, reason=reason, delay_ms=round(delay_s * 1000), untried=untried
        )
        self._outbox.post(pb.SnapshotsRequest(release=release))
        if not self._lease_s or self.inbox.closed:
            return None
        self.inbox.hold()
        taken = self._releasing[snapshot.snapshot_id, snapshot.token] = asyncio.get_running_loop().create_future()
        return taken

    def close(self) -> None:
        """Ends the stream: what is on lease over it is offered to others."""
        self._renewing.cancel()
        self._stream.cancel()

    async def _renew(self) -> None:
        """Says that the process is at work, as long as its program has a snapshot that it has not settled."""
        while True:
            await self._began.wait()
            await asyncio.sleep((self._lease_s or LEASE_S) * LEASE_RENEWED_EVERY)
            if not self._working:
                self._began.clear()
            for snapshot_id, working in self._working.items():
                self._outbox.post(pb.SnapshotsRequest(renew=pb.SnapshotToken(snapshot_id=snapshot_id, token=working.snapshot.token)))

    async def _receive(self) -> None:
        try:
            while (message := await self._stream.read()) is not None:
                if message.WhichOneof("message") == "end":
                    self.inbox.end()
                    return
                self._take(message)
            self.inbox.fail(ConnectionFailed("linkd ended the stream of snapshots without saying that it was the end"))
        except Error as error:
            self.inbox.fail(error)
        finally:
            if not self.inbox.closed:
                self.inbox.fail(ConnectionFailed("this client is closed: connect again"))
            for taken in self._releasing.values():
                _done(taken)  # what was on lease over this stream goes back with it
            self._renewing.cancel()
            self._outbox.close()
            self._stream.cancel()

    def _take(self, message: Any) -> None:
        kind = message.WhichOneof("message")
        if kind == "chunk" or kind == "value":
            self._arrived(self._assembler.take(message))
        elif kind == "ready":
            self._ready(message.ready)
        elif kind in ("begin", "void"):  # what came of one that is not ready is void
            self._give_back(self._assembly.held_bytes)
            self._assembly = _Assembly()
        elif kind == "recall":
            self._recalled(message.recall.snapshot_id, message.recall.token)
        elif kind == "released":
            taken = self._releasing.pop((message.released.snapshot_id, message.released.token), None)
            if taken is not None:
                self.inbox.let_go()
                _done(taken)
        elif kind == "opened":
            self._context = TaskContext.of(message.opened)
            self._lease_s = message.opened.lease_ms / 1000

    def _arrived(self, value: Arrived | None) -> None:
        if value is None:
            return
        self._assembly.values[value.header.input or value.header.envelope.link].append(value)
        held_bytes = self._assembly.held_bytes + value.size_bytes
        # A whole input is held by the program in any case; of others a snapshot larger than the credit must be able to complete.
        if self._is_whole() or (not self.inbox and held_bytes >= self._credit_bytes):
            self._give_back(held_bytes)
            held_bytes = 0
        self._assembly.held_bytes = held_bytes

    def _is_whole(self) -> bool:
        return self._context is not None and _WHOLE in self._context.inputs.values()

    def _ready(self, ready: Any) -> None:
        if self._context is None:
            raise InternalFault("linkd sent a snapshot before it had said whose")
        assembly, self._assembly = self._assembly, _Assembly()
        schemas = {item.link: item.schema for item in ready.inputs}
        self.inbox.put(
            ArrivedSnapshot(
                self._context,
                ready.snapshot_id,
                ready.token,
                ready.attempt,
                ready.traceparent,
                dict(assembly.values),
                schemas,
                ready.portions,
                ready.partial,
                assembly.held_bytes,
            )
        )

    def _recalled(self, snapshot_id: bytes, token: int) -> None:
        """A snapshot that the program has not seen goes back; it has room for as much. One that it has had for a while is lost."""
        working = self._working.get(snapshot_id)
        if working is not None and working.snapshot.token == token:
            if asyncio.get_running_loop().time() - working.since_s >= self._lease_s * LEASE_RENEWED_EVERY:
                working.snapshot.lost.set()
            return
        for snapshot in self.inbox.drop(lambda one: one.snapshot_id == snapshot_id and one.token == token):
            release = pb.SnapshotRelease(snapshot_id=snapshot_id, token=token, untried=True)
            self._outbox.post(pb.SnapshotsRequest(release=release))
            self._give_back(snapshot.held_bytes)

    def _give_back(self, size_bytes: int) -> None:
        if size_bytes:
            self._outbox.post(pb.SnapshotsRequest(credit_bytes=size_bytes))


def _done(taken: asyncio.Future[None]) -> None:
    if not taken.done():
        taken.set_result(None)
