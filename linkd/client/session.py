"""The client: one connection to a home, and everything a program can do over it. The asyncio original, public as `linkd.aio`."""

from __future__ import annotations

import os
import weakref
from collections.abc import AsyncGenerator, Generator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from linkd.client.background import Background
from linkd.client.calls import Connection, Patience
from linkd.client.description import Description, describe
from linkd.client.discovery import dial_for
from linkd.client.lineage import Lineage, lineage
from linkd.client.process import FORK_GUARD
from linkd.client.publish_stream import PublishStream
from linkd.client.publishing import Ack, LinkSchemas, Outlet, Publisher
from linkd.client.reading import Extent, Reading, Result
from linkd.client.snapshots import Snapshots
from linkd.client.subscription import Subscription
from linkd.client.values import Value
from linkd.errors import ConnectionFailed, Draining, Error, InvalidArgument
from linkd.limits import CONNECT_TIMEOUT_S, CREDIT_BYTES, CREDIT_MAX_BYTES, GROUP_NAME_MAX_CHARS
from linkd.model.records import TaskKind
from linkd.model.values import Position
from linkd.wire.methods import ATTEND, DESCRIBE, OBSERVE, SEAL, TRACE
from linkd.wire.v1 import links_pb2 as pb


class Client:
    """A program's way to the links of one pipeline; made by `connect`. Its calls may be made from any task of its event loop.

    Every call raises ConnectionFailed where linkd went away and stayed away for `timeout_s`, SessionFenced where a newer run has begun, and
    ForkedClient in a forked child. Cancelling a call cancels it at linkd too.
    """

    def __init__(self, connection: Connection, *, task: str = "") -> None:
        self._connection = connection
        self._task = task
        self._background = Background()
        self._schemas = LinkSchemas(connection)
        self._outlet = Outlet(connection, self._background, self._schemas)
        self._stage = PublishStream(connection, self._background, "linkd stage")
        self._snapshots: Snapshots | None = None
        self._open: weakref.WeakSet[Subscription] = weakref.WeakSet()
        self._publishers: weakref.WeakSet[Publisher] = weakref.WeakSet()
        connection.on_renewed = self._begin_to_attend
        self._begin_to_attend()

    @property
    def address(self) -> str:
        """Where the home listens: `unix:/path` or `host:port`."""
        return self._connection.address

    async def publish(self, link: str, data: object, *, attributes: Mapping[str, str] | None = None) -> Ack:
        """Publishes `data` as one value (or as several that appear together, above 64 MiB), and returns when linkd has promised to keep it.

        `data` is anything with `__arrow_c_stream__` or `__arrow_c_array__` (frames of pandas and polars, Arrow tables), a dict of columns, a
        list of dicts, or bytes. It is brought to the link's schema; an unnamed pandas index is dropped.
        For outsiders: a task publishes through its snapshots. Raises NotAllowed, SchemaMismatch, LinkNotFound, ValueTooLarge, and
        OutcomeUnknown where the connection broke before the ack.
        """
        return await self._outlet.publish(link, data, attributes)

    def publisher(self, link: str) -> Publisher:
        """A flow of rows into `link`: `async with client.publisher("events") as events: await events.send({...})`."""
        FORK_GUARD.check()
        publisher = Publisher(self._connection, self._background, self._schemas, link)
        self._publishers.add(publisher)
        return publisher

    def subscribe(self, link: str, group: str, follow: bool = False, *, credit_bytes: int | None = None) -> Subscription:
        """The values of `link` for the consumer group `group`, each to be acked; a new group starts at the earliest value.

        Ends at the seal of the generation; `follow` goes on past it. `credit_bytes` bounds what is fetched ahead (8 MiB).
        """
        FORK_GUARD.check()
        if not group or len(group) > GROUP_NAME_MAX_CHARS:
            raise InvalidArgument(
                f"a consumer group needs a name of 1 to {GROUP_NAME_MAX_CHARS} characters; to look without one: read({link!r})"
            )
        subscription = Subscription(self._connection, self._background, link, group, follow=follow, credit_bytes=_credit(credit_bytes))
        self._open.add(subscription)
        return subscription

    def snapshots(self, *, credit_bytes: int | None = None) -> Snapshots:
        """The snapshots of the client's task, each to be worked on in its block: `async with snap:`.

        There is one such flow for a client: calling it again ends the one before, whose snapshots are handed out again.
        """
        FORK_GUARD.check()
        if self._snapshots is not None:
            self._snapshots.close()
        self._snapshots = Snapshots(self._connection, self._background, self._stage, credit_bytes=_credit(credit_bytes), task=self._task)
        return self._snapshots

    def read(
        self,
        link: str,
        *,
        generation: int | None = None,
        first: int | Position | None = None,
        last: int | Position | None = None,
        last_values: int | None = None,
        follow: bool = False,
    ) -> Reading:
        """What `link` holds when it is asked for, without a group and holding nothing back.

        Of the newest sealed generation, or the growing one while none is sealed; `first` and `last` are sequences, both included.
        With `follow` of the newest generation, and then whatever becomes durable, also of later ones, until the iteration is left.
        """
        FORK_GUARD.check()
        extent = Extent(
            link,
            generation=_number("generation", generation),
            first=_sequence("first", first),
            last=_sequence("last", last),
            last_values=_number("last_values", last_values),
            follow=follow,
        )
        return Reading(self._connection, extent)

    def query(self, sql: str, *, timeout_s: float | None = None) -> Result:
        """One SELECT over links as they are when the result is first asked for."""
        FORK_GUARD.check()
        return Result(self._connection, sql, timeout_s)

    async def describe(self, link: str | None = None) -> Description:
        """What there is: links, tasks, groups, the newest run; or only what concerns `link`. Raises LinkNotFound."""
        request = pb.DescribeRequest(link=link or "")
        return describe(await self._connection.retry(lambda: self._connection.call(DESCRIBE, request)))

    async def observe(self, link: str | None = None) -> AsyncGenerator[Description, None]:
        """What there is now, and again whenever something changed, at most ten times a second; when the home goes away, at the next one."""
        request = pb.DescribeRequest(link=link or "")
        patience = Patience(self._connection.timeout_s)
        while True:
            seen = self._connection.epoch
            try:
                async with self._connection.receive(OBSERVE, request) as stream:
                    while (answer := await stream.read()) is not None:
                        patience = Patience(self._connection.timeout_s)
                        yield describe(answer)
            except (ConnectionFailed, Draining) as error:
                await self._connection.recover(patience, seen, error)

    async def seal(self, link: str) -> int:
        """Writes the end of the link's present generation (under `--open`), and returns the sequence of its last value."""
        request = pb.SealRequest(link=link)
        answer = await self._connection.retry(lambda: self._connection.call(SEAL, request))
        self._schemas.forget(link)
        last_sequence: int = answer.last_sequence
        return last_sequence

    async def trace(self, value: str | Value, *, forward: bool = False, limit: int | None = None, depth: int | None = None) -> Lineage:
        """Where a value comes from: `totals@42`, `totals@last`, `totals@2026-11-22T10:00`, the beginning of an id, or the value itself.

        With `forward`, what became of it. At most `limit` values, `depth` steps away, are told. Raises LinkNotFound.
        """
        request = pb.TraceRequest(
            value=value if isinstance(value, str) else value.envelope.id.hex(),
            limit=_number("limit", limit),
            forward=forward,
            depth=_number("depth", depth),
        )
        return lineage(await self._connection.retry(lambda: self._connection.call(TRACE, request)))

    async def close(self) -> None:
        """Ends everything that was begun over this client; leases are offered to others at once. May be called again."""
        if self._snapshots is not None:
            self._snapshots.close()
        for subscription in list(self._open):
            subscription.close()
        for publisher in list(self._publishers):
            await publisher.close()
        await self._outlet.close()
        await self._stage.close()
        await self._connection.close()
        await self._background.close()

    def _begin_to_attend(self) -> None:
        self._background.spawn("linkd attend", self._attend())

    async def _attend(self) -> None:
        """Lets a home that was started for readers know that there is one, for as long as this channel lasts."""
        try:
            async with self._connection.receive(ATTEND, pb.AttendRequest()) as stream:
                while await stream.read() is not None:
                    continue
        except Error:
            return  # the home went away, or is one that does not ask for it: whoever calls next learns what matters

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<linkd client{' of task ' + self._task if self._task else ''} at {self.address}>"


class Connecting:
    """A connection to be made: await it, or enter it with `async with`."""

    def __init__(self, target: str | os.PathLike[str] | None, task: str | None, token: str | None, timeout_s: float) -> None:
        self._target = target
        self._task = task
        self._token = token
        self._timeout_s = timeout_s
        self._client: Client | None = None

    def __await__(self) -> Generator[Any, None, Client]:
        return self._connect().__await__()

    async def __aenter__(self) -> Client:
        self._client = await self._connect()
        return self._client

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._client is not None:
            await self._client.close()

    async def _connect(self) -> Client:
        FORK_GUARD.check()
        if not self._timeout_s > 0:
            raise InvalidArgument(f"timeout_s is {self._timeout_s}: it must be above 0")
        dial = dial_for(self._target, self._task, self._token, os.environ, Path.cwd())
        connection = Connection(dial, self._timeout_s)
        await connection.open()
        client = Client(connection, task=self._task or "")
        if self._task is not None and self._token is None:
            try:
                await _check_place(client, self._task)
            except BaseException:
                await client.close()
                raise
        return client


def connect(
    target: str | os.PathLike[str] | None = None,
    *,
    task: str | None = None,
    token: str | None = None,
    timeout_s: float = CONNECT_TIMEOUT_S,
) -> Connecting:
    """Connects to linkd: `client = await connect(...)`, or `async with connect(...) as client:`.

    Without a target: what the environment says (as linkd sets it for tasks), else the one pipeline file here or in a parent. Else a pipeline
    file, its directory, `unix:PATH` or `HOST:PORT`. A pipeline that is not running is opened for as long as it has clients.
    `task` takes the place of that task: its token is read from the state directory. `timeout_s` bounds connecting, and how long calls are
    tried again while linkd is away. Raises ConnectionFailed, InvalidArgument, MissingExtra, ForkedClient.
    """
    return Connecting(target, task, token, timeout_s)


async def _check_place(client: Client, task: str) -> None:
    """The place of a SELECT is linkd's own, although it has a token as programs have. Raises InvalidArgument."""
    tasks = (await client.describe()).tasks
    if any(each.name == task and each.kind != TaskKind.RUN for each in tasks):
        programs = [each.name for each in tasks if each.kind == TaskKind.RUN]
        raise InvalidArgument(
            f"there is no program of a task {task} whose place could be taken: linkd runs it itself (programs: {', '.join(programs) or 'none'})"
        )


def _credit(credit_bytes: int | None) -> int:
    if credit_bytes is None:
        return CREDIT_BYTES
    if not 0 < credit_bytes <= CREDIT_MAX_BYTES:
        raise InvalidArgument(f"credit_bytes is {credit_bytes:,}: it must be between 1 and {CREDIT_MAX_BYTES:,}")
    return credit_bytes


def _sequence(name: str, place: int | Position | None) -> int:
    return _number(name, place.sequence if isinstance(place, Position) else place)


def _number(name: str, number: int | None) -> int:
    """The wire's form of an optional number that counts from 1."""
    if number is None:
        return 0
    if number < 1:
        raise InvalidArgument(f"{name} is {number}: it counts from 1")
    return number
