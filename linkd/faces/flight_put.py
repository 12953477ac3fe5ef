"""DoPut into a link: appended value by value, or as its next generation."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from linkd.errors import Error, InvalidArgument
from linkd.faces.call import Call
from linkd.faces.due_line import DueLine
from linkd.faces.flight_uploads import Upload, UploadedBatch
from linkd.faces.laying import Laying
from linkd.faces.links import LinksService
from linkd.home.intake import ARROW, Incoming
from linkd.home.published import PublishAck
from linkd.home.publishing import PublishSession
from linkd.limits import FLIGHT_ACKS_KEPT, FLIGHT_REFUSED_WAIT_S, PUBLISH_WINDOW_VALUES
from linkd.wire.flight import put_result
from linkd.wire.flight_tickets import LinkAsked

Tell = Callable[[PublishAck], None]
"""Takes each ack as it is due."""


@dataclass(slots=True)
class Written:
    """What an upload has come to."""

    link: str
    generation: int = 0
    rows: int = 0
    batches: int = 0
    first: int = 0
    last: int = 0

    def add(self, ack: PublishAck) -> None:
        self.generation = ack.generation or self.generation
        self.rows += ack.rows
        self.batches += ack.values
        if ack.first is not None and ack.last is not None:
            self.first = self.first or ack.first.sequence
            self.last = ack.last.sequence


async def serve(links: LinksService, call: Call, asked: LinkAsked, upload: Upload, write: Callable[[bytes], Awaitable[None]]) -> None:
    """The whole call: takes the upload and answers it. Raises as `append`, and InvalidArgument for a descriptor that names values."""
    if asked.generation or not asked.is_whole:
        raise InvalidArgument(f"{asked.link}: what is written comes behind all there is: leave out `generation`, `since` and `until`")
    if asked.rows is not None and not asked.replace:
        raise InvalidArgument(f"{asked.link}: what is appended is kept as it comes, however many rows that are: leave out `rows`")
    results = PutResults(asked.link, write)
    async with asyncio.TaskGroup() as group:
        answering = group.create_task(results.send(), name="linkd flight put: answer")
        try:
            if asked.replace:
                await publish_whole(links, call, asked.link, upload, results.tell, replaces=True, rows=asked.rows)
            else:
                await append(links, call, asked.link, upload, results.tell)
        except (Error, ExceptionGroup):
            # gRPC has no way to end a call in the middle of a write, but to break it off without a word.
            results.complete()
            await asyncio.wait((answering,), timeout=FLIGHT_REFUSED_WAIT_S)
            raise
        results.complete()


async def append(links: LinksService, call: Call, link: str, upload: Upload, tell: Tell | None = None) -> Written:
    """Publishes each batch by itself; returns when all of them are durable. One that is refused ends it: those before it stay, and are told.

    Raises NotAllowed, LinkNotFound, SchemaMismatch, InvalidArgument, ValueTooLarge, Draining, StorageFailed.
    """
    session = PublishSession(links.home, links.staged, call.who, call.traceparent)
    laying = Laying(links.home, session)
    acks: DueLine[PublishAck] = DueLine(most=PUBLISH_WINDOW_VALUES)
    written = Written(link)
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_take(upload, link, session, laying, acks), name="linkd flight put: take")
            async for ack in acks:
                written.add(ack)
                if tell is not None:
                    tell(ack)
    finally:
        session.close()
        laying.close()
    return written


async def publish_whole(
    links: LinksService,
    call: Call,
    link: str,
    upload: Upload,
    tell: Tell | None = None,
    *,
    replaces: bool,
    rows: int | None = None,
    check: Callable[[], None] | None = None,
) -> Written:
    """Publishes all batches at once, of which there may be none; returns when they are durable. Readers see all of them then, and none before.

    With `replaces` they are the next generation of the link, sealed. Raises as `append`, with nothing done; so does an upload that has not as
    many `rows` as were said, and `check`, which looks at the link when nothing comes between.
    """
    session = PublishSession(links.home, links.staged, call.who, call.traceparent, replaces, check=check)
    written, came, came_rows = Written(link), 0, 0
    try:
        async with aclosing(upload.batches()) as batches:
            async for batch in batches:
                session.taken = batch.memory
                await session.add(_incoming(link, upload, batch), more=True)
                came += 1
                came_rows += batch.rows
        if rows not in (None, came_rows):
            raise InvalidArgument(f"{link}: {came_rows:,} rows came, and it is to be replaced by {rows:,}: the upload broke off")
        if not came:
            await session.add(_without_rows(link, upload), more=True)
        ack = await (await session.complete(link))
    finally:
        session.close()
    written.add(ack)
    if tell is not None:
        tell(ack)
    return written


async def _take(upload: Upload, link: str, session: PublishSession, laying: Laying, acks: DueLine[PublishAck]) -> None:
    """Takes batches until the client has no more, or one is refused: the refusal comes behind the acks of those before it."""
    end: Error | None = None
    came = 0
    try:
        async with aclosing(upload.batches()) as batches:
            async for batch in batches:
                came += 1
                session.taken = batch.memory
                incoming = await laying.laid(_incoming(link, upload, batch))
                if incoming.placed is not None:
                    batch.memory.give()  # it lies in a file now
                ack = session.add_at_once(incoming) or await session.add(incoming)
                batch.memory.give()
                assert ack is not None  # one by one, each is the last of its publish
                await acks.put(ack)
        if not came:
            ack = await session.add(_without_rows(link, upload))
            assert ack is not None
            await acks.put(ack)
    except Error as error:
        end = error
    acks.end(end)


def _without_rows(link: str, upload: Upload) -> Incoming:
    """A schema is all that came: a value without rows, so that the link has it. Raises InvalidArgument if nothing came at all."""
    if not upload.schema:
        raise InvalidArgument(f"{link}: a DoPut sent neither schema nor batches")
    return Incoming(link, ARROW, (upload.schema,))


def _incoming(link: str, upload: Upload, batch: UploadedBatch) -> Incoming:
    return Incoming(link, ARROW, batch.parts, upload.schema)


@dataclass(slots=True)
class PutResults:
    """Answers a client that may read them or not: none of them ever holds up what it uploads."""

    link: str
    write: Callable[[bytes], Awaitable[None]]
    _waiting: deque[bytes] = field(default_factory=deque)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _acked: int = 0
    _whole: bool = False

    def tell(self, ack: PublishAck) -> None:
        """Puts an ack in line. If too many wait already it takes the place of the last one, for it says what that one says and more."""
        self._acked += ack.values
        if len(self._waiting) >= FLIGHT_ACKS_KEPT:
            self._waiting.pop()
        self._waiting.append(put_result(_ack_json(self.link, ack, self._acked)))
        self._changed.set()

    def complete(self) -> None:
        """Nothing more will be told."""
        self._whole = True
        self._changed.set()

    async def send(self) -> None:
        """Writes what is told, as the client takes it; returns when it is complete."""
        while True:
            while self._waiting:
                await self.write(self._waiting.popleft())
            if self._whole:
                return
            self._changed.clear()
            await self._changed.wait()


def _ack_json(link: str, ack: PublishAck, acked: int) -> bytes:
    said: dict[str, Any] = {"link": link, "generation": ack.generation}
    if ack.first is not None and ack.last is not None:
        said |= {"first": ack.first.sequence, "last": ack.last.sequence}
    said |= {"rows": ack.rows, "durability": str(ack.durability), "acked": acked}
    if ack.dropped:
        said["dropped"] = True
    return json.dumps(said, separators=(",", ":")).encode()
