"""The service `linkd.v1.Artifacts` (proto/linkd/v1/artifacts.proto)."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol, runtime_checkable

from linkd.core.artifacts import part_of
from linkd.core.rights import Identity
from linkd.errors import Draining, Error, InvalidArgument
from linkd.faces.call import Context, call_of, translated
from linkd.home.artifacts import Upload
from linkd.home.home import Home
from linkd.limits import ARTIFACT_PACKED_MAX_BYTES, ARTIFACT_PUT_WINDOW, ARTIFACTS_STAT_MAX, INLINE_PAYLOAD_MAX_BYTES
from linkd.model.artifacts import ArtifactKept
from linkd.model.frozen import frozen
from linkd.store.artifacts.incoming import IncomingArtifact
from linkd.store.artifacts.off_loop import off_loop
from linkd.store.files import open_descriptor
from linkd.wire.chunks import ChunkMessage
from linkd.wire.v1 import artifacts_pb2 as pb


@runtime_checkable
class ByPlace(Context, Protocol):
    """A context whose road carries descriptors: that of the lane."""

    async def write_with_descriptor(self, message: Any, descriptor: int) -> None: ...


@frozen()
class ArtifactsService:
    """The operations on artifacts, for one home."""

    home: Home

    async def put(self, requests: AsyncIterator[pb.PutArtifactRequest], context: Context) -> None:
        async with translated(context):
            who = call_of(self.home, context).who
            with self.home.audited(who, "put_artifact"):
                self.home.rights.put_artifact(who)
            stream = _PutStream(self.home, who, context)
            try:
                async with asyncio.TaskGroup() as group:
                    taking = group.create_task(stream.take(requests, group), name="linkd put artifact: take")
                    draining = group.create_task(_end_by_drain(self.home, taking, stream), name="linkd put artifact: drain")
                    try:
                        await stream.answer()
                    finally:
                        draining.cancel()
                        taking.cancel()
            finally:
                stream.close()

    async def get(self, request: pb.GetArtifactRequest, context: Context) -> None:
        async with translated(context):
            who = call_of(self.home, context).who
            with self.home.audited(who, "get_artifact"):
                self.home.rights.get_artifact(who)
            self.home.check_open()
            artifacts = self.home.artifacts
            kept = artifacts.store.need(request.digest)
            start, end = part_of(kept.size_bytes, request.start, request.end if request.HasField("end") else None)
            path = artifacts.store.path_of(kept.digest) if request.by_place else None
            if path is not None and isinstance(context, ByPlace):
                found = pb.ArtifactFound(artifact=_message(kept), placed=True)
                descriptor = open_descriptor(path, writable=False)
                await context.write_with_descriptor(pb.GetArtifactResponse(found=found), descriptor)
            else:
                await context.write(pb.GetArtifactResponse(found=pb.ArtifactFound(artifact=_message(kept))))
                async with aclosing(artifacts.store.read(kept.digest, start, end)) as pieces:
                    async for piece in pieces:
                        await context.write(ChunkMessage(pb.GetArtifactResponse, (piece,)))
            artifacts.was_read(end - start)

    async def stat(self, request: pb.StatArtifactsRequest, context: Context) -> pb.StatArtifactsResponse:
        async with translated(context):
            who = call_of(self.home, context).who
            with self.home.audited(who, "get_artifact"):
                self.home.rights.get_artifact(who)
            if len(request.digests) > ARTIFACTS_STAT_MAX:
                raise InvalidArgument(f"{len(request.digests):,} artifacts were asked for at once; ask for {ARTIFACTS_STAT_MAX:,} at most")
            store = self.home.artifacts.store
            found = [kept for digest in request.digests if (kept := store.find(digest)) is not None]
            for kept in found:
                store.touch(kept.digest)
            return pb.StatArtifactsResponse(found=[_message(kept) for kept in found])
        raise AssertionError("unreachable: `translated` aborts the call")


Answer = pb.PutArtifactResponse | ArtifactKept | int | Error
"""A response, or what one tells; the descriptor that comes with one that something was granted; or what the artifact is refused with."""


@dataclass(slots=True)
class _PutStream:
    """One call: artifacts come one behind the other, and are answered in their order, some of them at once."""

    home: Home
    who: Identity
    context: Context
    _answers: asyncio.Queue[asyncio.Future[Answer] | asyncio.Future[ArtifactKept] | Error | None] = field(
        default_factory=lambda: asyncio.Queue(ARTIFACT_PUT_WINDOW)
    )

    async def take(self, requests: AsyncIterator[pb.PutArtifactRequest], group: asyncio.TaskGroup) -> None:
        """Until the client has no more, or one is refused: the refusal comes behind the answers to those before it."""
        end: Error | None = None
        try:
            async for request in requests:
                if request.WhichOneof("message") != "begin":
                    raise InvalidArgument("a stream of artifacts sent bytes that belong to none: each begins with `begin`")
                self.home.check_open()
                await self._one(request.begin, requests, group)
        except _BrokeOffError:
            end = InvalidArgument("an artifact was not put to its end: it goes on where it stood by its upload id")
        except Error as error:
            end = error
        await self._answers.put(end)

    async def drained(self) -> None:
        """The home goes, and nothing more is taken."""
        await self._answers.put(Draining("linkd is shutting down; connect again"))

    async def answer(self) -> None:
        """Writes the answers. Raises what the client is refused with."""
        while (due := await self._answers.get()) is not None:
            if isinstance(due, Error):
                raise due
            answer = due.result() if due.done() else await asyncio.shield(due)  # what is being written goes on without who waits
            if isinstance(answer, Error):
                raise answer
            if isinstance(answer, ArtifactKept):
                answer = pb.PutArtifactResponse(kept=_message(answer))
            if isinstance(answer, int):
                assert isinstance(self.context, ByPlace)
                await self.context.write_with_descriptor(pb.PutArtifactResponse(granted=pb.PutGranted()), answer)
            else:
                await self.context.write(answer)

    def close(self) -> None:
        """The stream is gone: descriptors that were not given away are closed."""
        while not self._answers.empty():
            due = self._answers.get_nowait()
            if not isinstance(due, asyncio.Future) or not due.done() or due.cancelled() or due.exception() is not None:
                continue
            if isinstance(granted := due.result(), int):
                os.close(granted)

    async def _one(self, begin: pb.PutBegin, requests: AsyncIterator[pb.PutArtifactRequest], group: asyncio.TaskGroup) -> None:
        artifacts = self.home.artifacts
        if (kept := self._at_once(begin)) is not None:
            await self._answers.put(kept)
            return
        asked = Upload(None if begin.unsized else begin.size_bytes, begin.digest, begin.directory, begin.upload_id, begin.resume)
        with artifacts.uploading():
            incoming = await artifacts.begin(self.who, asked)
            try:
                if begin.resume:
                    await self._say(pb.PutArtifactResponse(held=incoming.held_bytes))
                if begin.by_place:
                    await self._by_place(incoming, requests)
                else:
                    await self._bytes(begin, incoming, requests)
            except InvalidArgument:
                artifacts.store.drop(incoming)
                raise
            except BaseException:
                artifacts.broke_off(self.who, asked, incoming)
                raise
        keeping = group.create_task(self._kept(incoming, asked), name="linkd put artifact: keep")
        await self._answers.put(keeping)

    def _at_once(self, begin: pb.PutBegin) -> asyncio.Future[ArtifactKept] | None:
        """A small artifact that this message has all of, and nothing beside it, before the next await; None for anything else."""
        data = begin.data
        is_plain = not (begin.digest or begin.directory or begin.upload_id or begin.resume or begin.unsized or begin.by_place)
        if not is_plain or len(data) != begin.size_bytes or len(data) > ARTIFACT_PACKED_MAX_BYTES:
            return None
        return self.home.artifacts.keep_at_once(data)

    async def _kept(self, incoming: IncomingArtifact, asked: Upload) -> Answer:
        try:
            return pb.PutArtifactResponse(kept=_message(await self.home.artifacts.keep(incoming, asked)))
        except Error as error:
            return error

    async def _say(self, answer: Answer) -> None:
        due: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        due.set_result(answer)
        await self._answers.put(due)

    async def _bytes(self, begin: pb.PutBegin, incoming: IncomingArtifact, requests: AsyncIterator[Any]) -> None:
        """All of it, as it comes."""
        await self._write(incoming, begin.data)
        while not incoming.is_exact or incoming.held_bytes < incoming.size_bytes:
            request = await anext(requests, None)
            kind = request.WhichOneof("message") if request is not None else None
            if kind == "end" and not incoming.is_exact:
                return
            if kind is None and begin.upload_id:
                raise _BrokeOffError
            if kind != "chunk" or request is None:
                raise InvalidArgument(f"{incoming.held_bytes:,} bytes of an artifact came, and then something else than its next ones")
            await self._write(incoming, request.chunk)

    async def _write(self, incoming: IncomingArtifact, data: bytes | memoryview) -> None:
        await self.home.artifacts.store.grow(incoming, len(data))
        if len(data) <= INLINE_PAYLOAD_MAX_BYTES:
            incoming.write(data)
        else:
            await off_loop(partial(incoming.write, data))

    async def _by_place(self, incoming: IncomingArtifact, requests: AsyncIterator[Any]) -> None:
        """The client writes it, and says how far it is; linkd reads behind it."""
        if not isinstance(self.context, ByPlace) or not incoming.is_exact:
            raise InvalidArgument("an artifact is put by place over the lane only, and if its size is known")
        path = await off_loop(incoming.place)
        await self._say(open_descriptor(path, writable=True))
        while incoming.held_bytes < incoming.size_bytes:
            request = await anext(requests, None)
            if request is None or request.WhichOneof("message") != "written":
                raise InvalidArgument(f"{incoming.held_bytes:,} bytes of an artifact were written, and then something else was said")
            await off_loop(partial(incoming.written, request.written))


class _BrokeOffError(Exception):
    """The client went away in the middle of an artifact."""


async def _end_by_drain(home: Home, taking: asyncio.Task[None], stream: _PutStream) -> None:
    """A stream on which nothing comes must not hold up the home."""
    with home.changes.watch("drain") as watch:
        if not home.draining:
            await watch.wait()
    if taking.cancel():
        await stream.drained()


def _message(kept: ArtifactKept) -> pb.Artifact:
    return pb.Artifact(digest=kept.digest, size_bytes=kept.size_bytes, directory=kept.is_directory)
