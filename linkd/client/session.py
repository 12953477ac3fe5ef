"""The client: one connection to a home, and everything a program can do over it. The asyncio original, public as `linkd.aio`."""

from __future__ import annotations

import contextlib
import math
import os
import weakref
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from linkd.client.artifacts import ArtifactCalls, ArtifactRoad
from linkd.client.background import Background
from linkd.client.calls import Connection, Patience
from linkd.client.description import Description, describe
from linkd.client.discovery import dial_for
from linkd.client.lineage import Lineage, lineage
from linkd.client.process import FORK_GUARD
from linkd.client.publish_stream import PublishStream
from linkd.client.publisher import Publisher
from linkd.client.publishing import Ack, LinkSchemas, Outlet, Producer
from linkd.client.reading import Extent, Reading, Result, inserted
from linkd.client.snapshots import Snapshots
from linkd.client.states import OnState
from linkd.client.subscription import Start, Subscription, start_text, subscription_opening
from linkd.client.values import Value
from linkd.errors import ConnectionFailed, ConnectionFault, Draining, Error, InvalidArgument, NotAllowed, SessionFenced
from linkd.limits import CONNECT_TIMEOUT_S, CREDIT_BYTES, CREDIT_MAX_BYTES
from linkd.model.records import TaskKind
from linkd.model.values import Position
from linkd.model.values import Producer as Numbers
from linkd.wire.methods import ATTEND, DESCRIBE, OBSERVE, OPEN_PRODUCER, SEAL, SEEK, TRACE
from linkd.wire.v1 import links_pb2 as pb


class Client(ArtifactCalls):
    """A program's way to the links of one pipeline; made by `connect`. Its calls may be made from any task of its event loop.

    Every call raises ConnectionFailed where linkd went away and stayed away for `timeout_s`, SessionFenced where a newer run has begun, and
    ForkedClient in a forked child. Cancelling a call cancels it at linkd too.
    """

    def __init__(self, connection: Connection, *, task: str = "") -> None:
        self._connection = connection
        self._task = task
        self._background = Background()
        self._artifacts = connection.road = ArtifactRoad(connection, self._background)
        self._schemas = LinkSchemas(connection)
        self._outlet = Outlet(connection, self._background, self._schemas)
        self._stage = PublishStream(connection, self._background, "linkd stage")
        self._snapshots: Snapshots | None = None
        self._open: weakref.WeakSet[Subscription] = weakref.WeakSet()
        self._publishers: weakref.WeakSet[Publisher | Outlet] = weakref.WeakSet()
        self._attending = Patience(math.inf)  # of one that answers: one that ends every connection at once is come back to ever more rarely
        connection.on_renewed = self._begin_to_attend
        self._begin_to_attend()

    @property
    def address(self) -> str:
        """Where the home listens: `unix:/path` or `host:port`."""
        return self._connection.address

    async def publish(self, link: str, data: object, *, attributes: Mapping[str, str] | None = None) -> Ack:
        """Publishes `data` as one value (or as several that appear together, above 64 MiB), and returns when linkd has promised to keep it.

        `data` is anything with `__arrow_c_stream__` or `__arrow_c_array__` (frames of pandas and polars, Arrow tables), a dict of columns, a
        list of dicts, bytes, or a file or directory (`linkd.File(path)`, or what `put_artifact` gave). Bytes, files, and cells of text or bytes
        may have any size: what is too large for a value is an artifact that it names. Rows are brought to the link's schema; an unnamed pandas
        index is dropped.
        It happens once: if the answer gets lost it is sent again, under the same number. For outsiders: a task publishes through its
        snapshots. Raises NotAllowed, SchemaMismatch, LinkNotFound, ValueTooLarge; where linkd stays away for `timeout_s`, ConnectionFailed if
        it cannot have happened, and OutcomeUnknown if it may have.
        """
        return await self._outlet.publish(link, data, attributes)

    async def producer(self, name: str) -> Producer:
        """Opens the producer `name`, which goes on counting its publishes where the last program that opened it stopped.

        That one is fenced: two programs under one name cannot both publish. Names have letters, digits, `_`, `-` and `.`.
        """
        request = pb.OpenProducerRequest(id=name)
        opened = await self._connection.retry(lambda: self._connection.call(OPEN_PRODUCER, request))
        numbers = Numbers(name, opened.epoch, opened.next_sequence - 1)
        outlet = Outlet(self._connection, self._background, self._schemas, producer=numbers)
        self._publishers.add(outlet)
        return Producer(outlet, name, opened.epoch)

    def publisher(self, link: str, *, columns: Sequence[str] | None = None) -> Publisher:
        """A flow of rows into `link`: `async with client.publisher("events") as events: await events.send({...})`.

        `columns` are those of rows without names, in their order; otherwise these are in the order of the link's columns.
        """
        FORK_GUARD.check()
        publisher = Publisher(self._connection, self._background, self._schemas, link, columns)
        self._publishers.add(publisher)
        return publisher

    def subscribe(
        self,
        link: str,
        group: str,
        follow: bool = False,
        *,
        start: Start | None = None,
        order: str | None = None,
        key: str | None = None,
        lease_s: float | None = None,
        timeout_s: float | None = None,
        max_attempts: int | None = None,
        credit_bytes: int | None = None,
    ) -> Subscription:
        """The values of `link` for the consumer group `group`, each to be acked. Ends at the seal of the generation; `follow` goes on past it.

        A group that is new begins at `start`: `earliest` (also if nothing is said), `latest`, a sequence or Position, or a time (ISO 8601 or
        datetime, UTC without an offset): then with the first value created then or later.
        What its members agree on is said when it is made, and may be left out by all others; who asks for something else is refused.
        `order`: `link`, one value behind the other through any redelivery, to one member while others stand by; `key`, the same for the values
        that have the same in the column `key`, slot by slot; `none`, to whoever is free. A value that is not settled within `lease_s` (30 s)
        goes to another member; this process renews it while the program has it, for at most `timeout_s` (an hour). One that failed
        `max_attempts` times goes to the link `LINK.dead`; without, it is tried for ever. `credit_bytes` bounds what is fetched ahead (8 MiB).
        """
        FORK_GUARD.check()
        opening = subscription_opening(
            link,
            group,
            follow=follow,
            credit_bytes=_credit(credit_bytes),
            start=start,
            order=order,
            key=key,
            lease_s=lease_s,
            timeout_s=timeout_s,
            max_attempts=max_attempts,
        )
        subscription = Subscription(self._connection, self._background, opening)
        self._open.add(subscription)
        return subscription

    async def seek(self, link: str, group: str, to: Start) -> int:
        """Moves the consumer group `group` of `link`, durably, and returns the sequence of the value that it gets next.

        `to` is what `start` is to `subscribe`. What the group's members have in hand is void: an ack of it raises LeaseLost. Raises
        LinkNotFound for a group that there is not, InvalidArgument for a place that is not kept.
        """
        request = pb.SeekRequest(group=group, link=link, to=start_text(to))
        answer = await self._connection.retry(lambda: self._connection.call(SEEK, request))
        next_sequence: int = answer.next_sequence
        return next_sequence

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

    async def execute(self, sql: str, *, timeout_s: float | None = None) -> int:
        """One `INSERT INTO link [(columns)] SELECT ...`: the number of rows inserted, which are durable, all of them, when it returns.

        Raises QueryInvalid, SchemaMismatch, NotAllowed; OutcomeUnknown where the answer got lost.
        """
        FORK_GUARD.check()
        return await inserted(self._connection, sql, timeout_s)

    async def describe(self, link: str | None = None) -> Description:
        """What there is: links, tasks, groups, the newest run; or only what concerns `link`. Raises LinkNotFound."""
        request = pb.DescribeRequest(link=link or "")
        return describe(await self._connection.retry(lambda: self._connection.call(DESCRIBE, request)))

    async def observe(self, link: str | None = None) -> AsyncGenerator[Description, None]:
        """What there is now, and again whenever something changed, at most ten times a second; when the home goes away, at the next one."""
        request = pb.DescribeRequest(link=link or "")
        patience = Patience(self._connection.flow_timeout_s)
        while True:
            seen = self._connection.epoch
            try:
                async with self._connection.receive(OBSERVE, request) as stream:
                    while (answer := await stream.read()) is not None:
                        patience = Patience(self._connection.flow_timeout_s)
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
        """Lets a home that was started for readers know that there is one, for as long as this channel lasts; then sees to the next one.

        Where looking for the home would start one, that is left to whoever needs it.
        """
        connection = self._connection
        seen = connection.epoch
        failure: Error = ConnectionFailed("linkd ended the connection")
        try:
            async with connection.receive(ATTEND, pb.AttendRequest()) as stream:
                while (message := await stream.read()) is not None:
                    self._attending = Patience(math.inf)
                    if message.state == pb.DRAINING:
                        connection.drains()
        except (SessionFenced, NotAllowed) as error:
            connection.is_refused(error)
            return
        except ConnectionFault as error:
            failure = error
        except Error:
            return  # the home is one that does not ask for it: whoever calls next learns what matters
        if connection.starts_homes:
            connection.is_away(seen, failure)
            return
        with contextlib.suppress(Error):  # whoever calls next learns it
            await connection.recover(self._attending, seen, failure)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<linkd client{' of task ' + self._task if self._task else ''} at {self.address}>"


class Connecting:
    """A connection to be made: await it, or enter it with `async with`."""

    def __init__(
        self,
        target: str | os.PathLike[str] | None,
        task: str | None,
        token: str | None,
        timeout_s: float | None,
        on_state: OnState | None,
    ) -> None:
        self._target = target
        self._task = task
        self._token = token
        self._timeout_s = timeout_s
        self._on_state = on_state
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
        timeout_s = self._timeout_s
        if timeout_s is not None and not timeout_s > 0:
            raise InvalidArgument(f"timeout_s is {timeout_s}: it must be above 0")
        dial = dial_for(self._target, self._task, self._token, os.environ, Path.cwd())
        connection = Connection(
            dial,
            CONNECT_TIMEOUT_S if timeout_s is None else timeout_s,
            flow_timeout_s=math.inf if timeout_s is None else timeout_s,
            on_state=self._on_state,
        )
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
    timeout_s: float | None = None,
    on_state: OnState | None = None,
) -> Connecting:
    """Connects to linkd: `client = await connect(...)`, or `async with connect(...) as client:`.

    Without a target: what the environment says (as linkd sets it for tasks), else the one pipeline file here or in a parent. Else a pipeline
    file, its directory, `unix:PATH`, `HOST:PORT` or `tls:HOST:PORT`. A pipeline that is not running is opened for as long as it has clients.
    `task` takes the place of that task: its token is read from the state directory. `timeout_s` bounds connecting, and how long anything is
    tried again while linkd is away; without it connecting and single calls are tried for 30 s, and what goes on (iterations, publishers) for
    ever. `on_state` is called with a StateChange in the client's event loop. Raises ConnectionFailed, InvalidArgument, MissingExtra,
    ForkedClient.
    """
    return Connecting(target, task, token, timeout_s, on_state)


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
