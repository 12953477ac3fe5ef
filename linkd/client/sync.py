"""The synchronous face: the asyncio client's objects, one for one, with calls that wait. Public as `linkd`; nothing is decided here."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

from linkd.client import reading, session, snapshots
from linkd.client.content import Content, Held, Tabular
from linkd.client.description import Description
from linkd.client.lineage import Lineage
from linkd.client.loop_thread import LOOP_THREAD
from linkd.client.publishing import Ack
from linkd.client.readers import reader_of_link, reader_of_query
from linkd.client.snapshots import Snapshots as AsyncSnapshots
from linkd.client.states import OnState
from linkd.client.subscription import Start
from linkd.client.sync_artifacts import ArtifactCalls
from linkd.client.sync_publishing import Producer, Publisher
from linkd.client.sync_subscription import Subscription
from linkd.client.values import Input, Value
from linkd.client.waiting import iterated, iterated_ahead, shown
from linkd.model.values import Parent, Position

if TYPE_CHECKING:
    import pyarrow as pa


class Snapshot:
    """The values that one execution of a task sees. `with snap:` commits at the end, or takes nothing on an exception."""

    def __init__(self, inner: snapshots.Snapshot) -> None:
        self._inner = inner

    @property
    def id(self) -> str:
        """Of this snapshot, in hexadecimal: the same for every attempt."""
        return self._inner.id

    @property
    def attempt(self) -> int:
        """From 1: how often this snapshot was handed out and begun."""
        return self._inner.attempt

    @property
    def partial(self) -> bool:
        """A window in it was cut short by the end of its input: it holds less than the wiring asks for."""
        return self._inner.partial

    @property
    def portions(self) -> tuple[Parent, ...]:
        """What it holds of each input, as ranges of values: the lineage of all that is published in it."""
        return self._inner.portions

    @property
    def task(self) -> str:
        return self._inner.task

    @property
    def traceparent(self) -> str:
        """W3C Trace Context of the work on this snapshot, for spans of the program's own; empty without tracing."""
        return self._inner.traceparent

    @property
    def inputs(self) -> Mapping[str, Input]:
        """All inputs by the name of their link."""
        return self._inner.inputs

    def __getitem__(self, link: str) -> Input:
        """The input `link`, whatever the number of its values. Raises NotAllowed for one that the wiring does not name."""
        return self._inner[link]

    def publish(self, output: str, data: object, *, attributes: Mapping[str, str] | None = None) -> None:
        """Stages `data` for `output`: it exists with the commit at the end of the block, or not at all.

        `data` is what `Client.publish` takes. Raises NotAllowed for an output that the wiring does not name, SchemaMismatch, LeaseLost;
        SnapshotNotSettled outside the block.
        """
        LOOP_THREAD.run(self._inner.publish, output, data, attributes=attributes)

    def nack(self, delay_s: float = 0.0, reason: str = "") -> None:
        """Gives the snapshot back: nothing of it is taken, and it goes out again after `delay_s` seconds at the earliest.

        That is a failed attempt, for this `reason`: with `max_attempts` in the pipeline file the snapshot goes to the dead-letter link after so
        many of them. Inside the block or before it; what was published is dropped, and the end of the block does nothing. With `order: link`
        what comes next is this snapshot again, before anything newer. Raises SnapshotNotSettled if it is settled already.
        """
        LOOP_THREAD.run(self._inner.nack, delay_s, reason)

    def __enter__(self) -> Self:
        LOOP_THREAD.run(self._inner.__aenter__)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        LOOP_THREAD.run(self._inner.__aexit__, kind, error, trace)

    def __repr__(self) -> str:
        return repr(self._inner)


class Snapshots:
    """The snapshots of the client's task, one after the other, until no further one can come."""

    def __init__(self, inner: snapshots.Snapshots) -> None:
        self._inner = inner

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Snapshot:
        """The next snapshot. Raises SnapshotNotSettled if the one before was not worked on in its block; it is given back."""
        try:
            return Snapshot(LOOP_THREAD.run(self._inner.__anext__))
        except StopAsyncIteration:
            raise StopIteration from None

    def close(self) -> None:
        """Ends the iteration; what is on lease is offered to others."""
        LOOP_THREAD.run(self._inner.aclose)

    def __repr__(self) -> str:
        return repr(self._inner)


class Reading(Held):
    """The values of a link that are durable when it is iterated, or asked for as a whole; each use reads again.

    One that follows goes on with every value that becomes durable, also of later generations, until it is left: only iterate it.
    """

    __slots__ = ("_inner",)

    def __init__(self, inner: reading.Reading) -> None:
        self._inner = inner

    def _content(self) -> Content:
        return LOOP_THREAD.run(self._inner.content)

    def to_reader(self) -> pa.RecordBatchReader:
        """The rows as they come, in bounded memory: batches of one schema, value by value."""
        return reader_of_link(self._inner)

    def __iter__(self) -> Iterator[Value]:
        """The values one by one, fetched somewhat before they are asked for."""
        return iterated_ahead(self._inner.__aiter__(), lambda value: value.envelope.size_bytes)

    def _repr_html_(self) -> str:
        """For notebooks: the first rows, or why they cannot be had. Waits for `limits.NOTEBOOK_WAIT_S` at most."""
        return shown(repr(self), self._inner.html)

    def __repr__(self) -> str:
        return repr(self._inner)


class Result(Tabular):
    """The rows of one SELECT. It runs when they are first asked for, and then keeps them."""

    __slots__ = ("_inner",)

    def __init__(self, inner: reading.Result) -> None:
        self._inner = inner

    def _table(self, operation: str) -> pa.Table:
        return LOOP_THREAD.run(self._inner.to_table, operation)

    def _repr_html_(self) -> str:
        """For notebooks: the first rows, and how many there are. Runs the statement, but waits for `limits.NOTEBOOK_WAIT_S` at most."""
        return shown(repr(self), self._inner.html)

    def to_reader(self) -> pa.RecordBatchReader:
        """The rows as they come, in bounded memory; the query runs anew. Ctrl-C ends it."""
        return reader_of_query(self._inner)

    def __repr__(self) -> str:
        return repr(self._inner)


class Client(ArtifactCalls):
    """A program's way to the links of one pipeline; made by `connect`. Threads may share it.

    Every call raises ConnectionFailed where linkd went away and stayed away for `timeout_s`, SessionFenced where a newer run has begun, and
    ForkedClient in a forked child. Ctrl-C while a call waits cancels it.
    """

    def __init__(self, inner: session.Client) -> None:
        self._inner = inner

    @property
    def address(self) -> str:
        """Where the home listens: `unix:/path` or `host:port`."""
        return self._inner.address

    def publish(self, link: str, data: object, *, attributes: Mapping[str, str] | None = None) -> Ack:
        """Publishes `data` as one value (or as several that appear together, above 64 MiB), and returns when linkd has promised to keep it.

        `data` is anything with `__arrow_c_stream__` or `__arrow_c_array__` (frames of pandas and polars, Arrow tables), a dict of columns, a
        list of dicts, bytes, or a file or directory (`linkd.File(path)`, or what `put_artifact` gave). Bytes, files, and cells of text or bytes
        may have any size: what is too large for a value is an artifact that it names. Rows are brought to the link's schema; an unnamed pandas
        index is dropped.
        It happens once: if the answer gets lost it is sent again, under the same number. For outsiders: a task publishes through its
        snapshots. Raises NotAllowed, SchemaMismatch, LinkNotFound, ValueTooLarge; where linkd stays away for `timeout_s`, ConnectionFailed if
        it cannot have happened, and OutcomeUnknown if it may have.
        """
        return LOOP_THREAD.run(self._inner.publish, link, data, attributes=attributes)

    def producer(self, name: str) -> Producer:
        """Opens the producer `name`, which goes on counting its publishes where the last program that opened it stopped.

        That one is fenced: two programs under one name cannot both publish. Names have letters, digits, `_`, `-` and `.`.
        """
        return Producer(LOOP_THREAD.run(self._inner.producer, name))

    def publisher(self, link: str, *, columns: Sequence[str] | None = None) -> Publisher:
        """A flow of rows into `link`: `with client.publisher("events") as events: events.send({...})`.

        `columns` are those of rows without names, in their order; otherwise these are in the order of the link's columns.
        """
        return Publisher(self._inner.publisher(link, columns=columns))

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
        inner = self._inner.subscribe(
            link,
            group,
            follow,
            start=start,
            order=order,
            key=key,
            lease_s=lease_s,
            timeout_s=timeout_s,
            max_attempts=max_attempts,
            credit_bytes=credit_bytes,
        )
        return Subscription(inner)

    def seek(self, link: str, group: str, to: Start) -> int:
        """Moves the consumer group `group` of `link`, durably, and returns the sequence of the value that it gets next.

        `to` is what `start` is to `subscribe`. What the group's members have in hand is void: an ack of it raises LeaseLost. Raises
        LinkNotFound for a group that there is not, InvalidArgument for a place that is not kept.
        """
        return LOOP_THREAD.run(self._inner.seek, link, group, to)

    def snapshots(self, *, credit_bytes: int | None = None) -> Snapshots:
        """The snapshots of the client's task, each to be worked on in its block: `with snap:`.

        There is one such flow for a client: calling it again ends the one before, whose snapshots are handed out again.
        """
        return Snapshots(LOOP_THREAD.run(self._snapshots, credit_bytes))

    async def _snapshots(self, credit_bytes: int | None) -> AsyncSnapshots:
        """In the loop, for it may end an earlier flow, which only the loop may touch."""
        return self._inner.snapshots(credit_bytes=credit_bytes)

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
        return Reading(self._inner.read(link, generation=generation, first=first, last=last, last_values=last_values, follow=follow))

    def query(self, sql: str, *, timeout_s: float | None = None) -> Result:
        """One SELECT over links as they are when the result is first asked for."""
        return Result(self._inner.query(sql, timeout_s=timeout_s))

    def execute(self, sql: str, *, timeout_s: float | None = None) -> int:
        """One `INSERT INTO link [(columns)] SELECT ...`: the number of rows inserted, which are durable, all of them, when it returns.

        Raises QueryInvalid, SchemaMismatch, NotAllowed; OutcomeUnknown where the answer got lost.
        """
        return LOOP_THREAD.run(self._inner.execute, sql, timeout_s=timeout_s)

    def describe(self, link: str | None = None) -> Description:
        """What there is: links, tasks, groups, the newest run; or only what concerns `link`. Raises LinkNotFound."""
        return LOOP_THREAD.run(self._inner.describe, link)

    def observe(self, link: str | None = None) -> Iterator[Description]:
        """What there is now, and again whenever something changed, at most ten times a second; when the home goes away, at the next one."""
        return iterated(self._inner.observe(link))

    def seal(self, link: str) -> int:
        """Writes the end of the link's present generation (under `--open`), and returns the sequence of its last value."""
        return LOOP_THREAD.run(self._inner.seal, link)

    def trace(self, value: str | Value, *, forward: bool = False, limit: int | None = None, depth: int | None = None) -> Lineage:
        """Where a value comes from: `totals@42`, `totals@last`, `totals@2026-11-22T10:00`, the beginning of an id, or the value itself.

        With `forward`, what became of it. At most `limit` values, `depth` steps away, are told. Raises LinkNotFound.
        """
        return LOOP_THREAD.run(self._inner.trace, value, forward=forward, limit=limit, depth=depth)

    def close(self) -> None:
        """Ends everything that was begun over this client; leases are offered to others at once. May be called again."""
        LOOP_THREAD.run(self._inner.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _repr_html_(self) -> str:
        """For notebooks: the links, what they hold, and lags. Waits for `limits.NOTEBOOK_WAIT_S` at most; never raises."""
        return shown(repr(self), self._html)

    async def _html(self) -> str:
        return (await self._inner.describe())._repr_html_()

    def __repr__(self) -> str:
        return repr(self._inner)


def connect(
    target: str | os.PathLike[str] | None = None,
    *,
    task: str | None = None,
    token: str | None = None,
    timeout_s: float | None = None,
    on_state: OnState | None = None,
) -> Client:
    """See `linkd.connect`."""
    client = LOOP_THREAD.run(_connected, session.connect(target, task=task, token=token, timeout_s=timeout_s, on_state=on_state))
    LOOP_THREAD.keep(client)
    client._artifacts.wait = LOOP_THREAD.run
    return Client(client)


async def _connected(connecting: session.Connecting) -> session.Client:
    return await connecting
