"""A home in miniature: `linkd.v1` over a real socket, out of the method table, with links in memory. A double for tests of the client.

It keeps what the protocol promises (order, leases, tokens, staging, idempotent commits) and can be told to refuse, to lose answers, or to
go away. What it was sent is kept for the tests to look at.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from linkd.errors import Error, LeaseLost, LinkNotFound, NotAllowed
from linkd.wire import methods
from linkd.wire.messages import ARROW, BYTES, ROWS
from linkd.wire.methods import Kind, Method
from linkd.wire.status import ERROR_KEY, TOKEN_KEY, status_name
from linkd.wire.v1 import links_pb2 as pb
from linkd.wire.v1 import value_pb2 as value_pb

CHUNK_BYTES = 1024
"""Small, so that ordinary test data travels in chunks."""


@dataclass(slots=True)
class Stored:
    envelope: Any
    format: int
    payload: bytes
    schema: bytes


@dataclass(slots=True)
class Offer:
    """A snapshot to be handed out: values of each input, or schemas where there are none.

    With `cut` the payloads are those of so many rows, from the first on, of larger values; the snapshot is then partial.
    """

    inputs: dict[str, list[Stored]]
    schemas: dict[str, bytes] = field(default_factory=dict)
    cut: tuple[int, int] | None = None
    snapshot_id: bytes = b""
    token: int = 0
    attempt: int = 0
    done: bool = False


class FakeHome:
    """Start it with `async with`. `fail_next[method]` holds errors to raise instead of serving the next calls of that method."""

    def __init__(self, socket: Path) -> None:
        self.address = f"unix:{socket}"
        self.links: dict[str, list[Stored]] = {}
        self.schemas: dict[str, bytes] = {}
        self.declared: set[str] = set()
        self.task = "clean"
        self.policies: dict[str, str] = {"flights": "each"}
        self.outputs: list[str] = ["flown", "cancelled"]
        self.offers: list[Offer] = []
        self.staged: dict[int, tuple[Any, bytes]] = {}
        self.commits: list[Any] = []
        self.committed: dict[bytes, Any] = {}
        self.released: list[tuple[bytes, str]] = []
        self.acked: list[int] = []
        self.nacked: list[tuple[int, int, str]] = []
        self.credits: list[int] = []
        self.tokens_seen: set[str] = set()
        self.fail_next: dict[str, list[Error]] = {}
        self.lose_answers = 0
        self.hold_acks: asyncio.Event | None = None
        self.publishes_waiting = 0
        self.query_answer = b""
        self.described = 0
        self._token = 0
        self._server: grpc.aio.Server | None = None

    async def __aenter__(self) -> FakeHome:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        serving = {
            methods.PUBLISH: self._publish,
            methods.SUBSCRIBE: self._subscribe,
            methods.SNAPSHOTS: self._snapshots,
            methods.COMMIT: self._commit,
            methods.READ: self._read,
            methods.QUERY: self._query,
            methods.DESCRIBE: self._describe,
            methods.SEAL: self._seal,
            methods.TRACE: self._trace,
        }
        handlers = {method.name: self._handler(method, behaviour) for method, behaviour in serving.items()}
        self._server = grpc.aio.server()
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(methods.LINKS, handlers),))
        self._server.add_insecure_port(self.address)
        await self._server.start()

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.stop(None)
            self._server = None

    def put(self, link: str, payload: bytes, *, schema: bytes = b"", form: int = ARROW, rows: int = 1) -> Stored:
        """A value at the end of `link`."""
        values = self.links.setdefault(link, [])
        sequence = len(values) + 1
        envelope = value_pb.Envelope(
            id=sequence.to_bytes(16, "big"),
            link=link,
            position=value_pb.Position(incarnation=1, sequence=sequence),
            generation=1,
            rows=rows,
            size_bytes=len(payload),
        )
        stored = Stored(envelope, form, payload, schema)
        values.append(stored)
        return stored

    def offer(self, **inputs: list[Stored]) -> Offer:
        """A snapshot of these inputs, to be handed out next."""
        offer = Offer(dict(inputs), snapshot_id=len(self.offers).to_bytes(16, "big"))
        self.offers.append(offer)
        return offer

    def _handler(self, method: Method, behaviour: Callable[..., Any]) -> Any:
        make = {
            Kind.UNARY_UNARY: grpc.unary_unary_rpc_method_handler,
            Kind.UNARY_STREAM: grpc.unary_stream_rpc_method_handler,
            Kind.STREAM_STREAM: grpc.stream_stream_rpc_method_handler,
        }[method.kind]
        guarded = self._guarded_call if method.kind is Kind.UNARY_UNARY else self._guarded_stream
        return make(guarded(method, behaviour), method.decode_request, lambda message: message.SerializeToString())

    def _guarded_call(self, method: Method, behaviour: Callable[..., Awaitable[Any]]) -> Any:
        async def serve(request: Any, context: Any) -> Any:
            try:
                self._admit(method, context)
                return await behaviour(request, context)
            except Error as error:
                await _refuse(context, error)

        return serve

    def _guarded_stream(self, method: Method, behaviour: Callable[..., AsyncIterator[Any]]) -> Any:
        async def serve(request: Any, context: Any) -> AsyncIterator[Any]:
            try:
                self._admit(method, context)
                async for response in behaviour(request, context):
                    yield response
            except Error as error:
                await _refuse(context, error)

        return serve

    def _admit(self, method: Method, context: Any) -> None:
        self.tokens_seen.update(value for key, value in context.invocation_metadata() if key == TOKEN_KEY)
        waiting = self.fail_next.get(method.name)
        if waiting:
            raise waiting.pop(0)

    # -- publish ----------------------------------------------------------------------------------------------------------------------

    async def _publish(self, requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
        schemas: dict[str, bytes] = {}
        group: list[tuple[Any, bytes]] = []
        acked = 0
        header: Any = None
        payload = bytearray()
        async for request in requests:
            if request.WhichOneof("message") == "value":
                header, payload = request.value, bytearray(request.value.data)
                if header.schema:
                    schemas[header.link] = header.schema
            else:
                payload += request.chunk
            if len(payload) < header.payload_bytes:
                continue
            group.append((header, bytes(payload)))
            acked += 1
            if header.more:
                continue
            response = self._store(group, schemas)
            group = []
            self.publishes_waiting += 1
            if self.hold_acks is not None:
                await self.hold_acks.wait()
            response.acked = acked
            yield response

    def _store(self, group: list[tuple[Any, bytes]], schemas: dict[str, bytes]) -> Any:
        link = group[0][0].link
        if link == "forbidden":
            raise NotAllowed("forbidden is written by the pipeline itself")
        if group[0][0].HasField("stage"):
            staged = []
            for header, payload in group:
                number = len(self.staged) + 1
                self.staged[number] = (header, payload)
                staged.append(pb.Staged(staged_id=number, payload_xxh3=number * 7))
            return pb.PublishResponse(staged=staged, link=link)
        schema = schemas.get(link, b"")
        stored = [self.put(link, payload, schema=schema, form=header.format) for header, payload in group]
        if schema:
            self.schemas[link] = schema
        return pb.PublishResponse(
            link=link,
            first=stored[0].envelope.position,
            last=stored[-1].envelope.position,
            durability=value_pb.FSYNC,
            place="home",
            rows=len(stored),
            generation=1,
        )

    # -- subscribe --------------------------------------------------------------------------------------------------------------------

    async def _subscribe(self, requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
        opening = (await anext(requests)).open
        if opening.link not in self.links:
            raise LinkNotFound(f"there is no link {opening.link}")
        out: asyncio.Queue[Any] = asyncio.Queue()
        outstanding = {stored.envelope.position.sequence for stored in self.links[opening.link]}
        for stored in self.links[opening.link]:
            for message in _value_messages(pb.SubscribeResponse, stored, token=100 + stored.envelope.position.sequence):
                out.put_nowait(message)

        async def take() -> None:
            async for request in requests:
                kind = request.WhichOneof("message")
                if kind == "credit_bytes":
                    self.credits.append(request.credit_bytes)
                    continue
                settled = request.ack if kind == "ack" else request.nack
                if kind == "ack":
                    self.acked.append(settled.position.sequence)
                else:
                    self.nacked.append((settled.position.sequence, settled.delay_ms, settled.reason))
                outstanding.discard(settled.position.sequence)
                out.put_nowait(pb.SubscribeResponse(ack_done=pb.AckDone(position=settled.position)))
                if not outstanding and not opening.follow:
                    out.put_nowait(pb.SubscribeResponse(end=pb.EndOfLink(generation=1)))

        if not outstanding:
            out.put_nowait(pb.SubscribeResponse(end=pb.EndOfLink(generation=1)))
        taking = asyncio.create_task(take())
        try:
            while True:
                message = await out.get()
                yield message
                if message.WhichOneof("message") == "end":
                    return
        finally:
            taking.cancel()

    # -- snapshots --------------------------------------------------------------------------------------------------------------------

    async def _snapshots(self, requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
        await anext(requests)
        yield pb.SnapshotsResponse(
            opened=pb.SnapshotsOpened(
                task=self.task,
                inputs=[pb.TaskInput(link=link, policy=policy, generation=1) for link, policy in self.policies.items()],
                outputs=[
                    pb.LinkSchema(link=link, schema=self.schemas.get(link, b""), declared=link in self.declared) for link in self.outputs
                ],
            )
        )
        changed = asyncio.Event()
        taking = asyncio.create_task(self._take_releases(requests, changed))
        handed: set[bytes] = set()
        try:
            while not all(offer.done for offer in self.offers):
                for offer in self.offers:
                    if offer.done or offer.snapshot_id in handed:
                        continue
                    handed.add(offer.snapshot_id)
                    for message in self._hand_out(offer):
                        yield message
                changed.clear()
                if all(offer.done for offer in self.offers):
                    break
                waiting = asyncio.create_task(changed.wait())
                await asyncio.wait([waiting], timeout=0.02)
                waiting.cancel()
            yield pb.SnapshotsResponse(end=pb.SnapshotsEnd(reason="sealed"))
        finally:
            taking.cancel()

    def _hand_out(self, offer: Offer) -> list[Any]:
        self._token += 1
        offer.token = self._token
        offer.attempt += 1
        place = {"snapshot_id": offer.snapshot_id, "token": offer.token, "attempt": offer.attempt}
        messages = [pb.SnapshotsResponse(begin=pb.SnapshotBegin(**place))]
        first, end = offer.cut or (0, 0)
        portions = []
        for link, values in offer.inputs.items():
            for stored in values:
                messages += _value_messages(pb.SnapshotsResponse, stored, input=link, first_row=first, end_row=end)
                number = stored.envelope.position.sequence
                portions.append(value_pb.Portion(link=link, first_sequence=number, last_sequence=number, first_row=first, end_row=end))
        schemas = [pb.LinkSchema(link=link, schema=schema) for link, schema in offer.schemas.items()]
        ready = pb.SnapshotReady(**place, inputs=schemas, portions=portions, partial=offer.cut is not None)
        messages.append(pb.SnapshotsResponse(ready=ready))
        return messages

    async def _take_releases(self, requests: AsyncIterator[Any], changed: asyncio.Event) -> None:
        async for request in requests:
            if request.WhichOneof("message") == "credit_bytes":
                self.credits.append(request.credit_bytes)
            else:
                self.released.append((request.release.snapshot_id, request.release.reason))
                changed.set()

    async def _commit(self, request: Any, context: Any) -> Any:
        self.commits.append(request)
        known = self.committed.get(request.snapshot_id)
        if known is not None:
            known.repeated = True
            return known
        offer = next(offer for offer in self.offers if offer.snapshot_id == request.snapshot_id)
        if offer.token != request.token:
            raise LeaseLost("the snapshot was handed out again")
        for staged in request.staged:
            header, payload = self.staged[staged.staged_id]
            self.put(header.link, payload, schema=header.schema, form=header.format)
        offer.done = True
        self.committed[request.snapshot_id] = pb.CommitResponse(durability=value_pb.FSYNC, place="home")
        if self.lose_answers:
            self.lose_answers -= 1
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the answer was lost")
        return self.committed[request.snapshot_id]

    # -- looking ----------------------------------------------------------------------------------------------------------------------

    async def _read(self, request: Any, context: Any) -> AsyncIterator[Any]:
        if request.link not in self.links and request.link not in self.schemas:
            raise LinkNotFound(f"there is no link {request.link}")
        yield pb.ReadResponse(opened=pb.ReadOpened(link=request.link, generation=1, schema=self.schemas.get(request.link, b"")))
        values = self.links.get(request.link, [])[max(0, request.first_sequence - 1) : request.last_sequence or None]
        for stored in values[-request.last_values :]:
            for message in _value_messages(pb.ReadResponse, stored):
                yield message

    async def _query(self, request: Any, context: Any) -> AsyncIterator[Any]:
        for start in range(0, len(self.query_answer), CHUNK_BYTES):
            yield pb.QueryResponse(data=self.query_answer[start : start + CHUNK_BYTES])

    async def _describe(self, request: Any, context: Any) -> Any:
        self.described += 1
        names = [request.link] if request.link else sorted({*self.links, *self.schemas})
        if not {*self.links, *self.schemas}.issuperset(names):
            raise LinkNotFound(f"there is no link {request.link}")
        links = [
            pb.LinkInfo(name=name, schema=self.schemas.get(name, b""), declared=name in self.declared, open=name != "forbidden")
            for name in names
        ]
        return pb.DescribeResponse(pipeline="flights", version="0.1", transport="grpc", links=links, pid=1)

    async def _seal(self, request: Any, context: Any) -> Any:
        return pb.SealResponse(generation=1, last_sequence=len(self.links.get(request.link, [])))

    async def _trace(self, request: Any, context: Any) -> Any:
        stored = self.links["flown"][-1]
        return pb.TraceResponse(ancestors=[pb.Ancestor(envelope=stored.envelope, depth=0)], cut=True)


def _value_messages(response: Any, stored: Stored, **fields: Any) -> list[Any]:
    first, rest = stored.payload[:CHUNK_BYTES], stored.payload[CHUNK_BYTES:]
    value = value_pb.Value(
        envelope=stored.envelope,
        format=stored.format,
        payload_bytes=len(stored.payload),
        schema=stored.schema,
        data=first,
        attempt=1,
        **fields,
    )
    chunks = [rest[start : start + CHUNK_BYTES] for start in range(0, len(rest), CHUNK_BYTES)]
    return [response(value=value), *(response(chunk=chunk) for chunk in chunks)]


async def _refuse(context: Any, error: Error) -> None:
    context.set_trailing_metadata(((ERROR_KEY, error.code),))
    await context.abort(grpc.StatusCode[status_name(error)], str(error))


__all__ = ["ARROW", "BYTES", "ROWS", "FakeHome", "Offer", "Stored"]
