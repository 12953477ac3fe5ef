"""What a process that runs queries does with its pipe: one statement after the other, until its input ends. What is said stands in `pipe`."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from linkd.client.calls import Endpoint
from linkd.errors import EXIT_INTERRUPTED, Error, InternalFault, QueryInvalid, every_error
from linkd.limits import QUERY_PIECE_BYTES
from linkd.query.answering import Answering, Call, parameters_in
from linkd.query.diagnosis import OUT_OF_MEMORY_HINT
from linkd.query.engine import Database
from linkd.query.pipe import cut, parsed, read_frame, said
from linkd.wire.lane import FrameKind, frame

_WRITTEN_AT_ONCE = 1024
"""Parts of one write: of more the kernel takes none."""


async def serve(told: dict[str, Any], directory: Path, database: Database, output: int) -> None:
    """Until standard input ends. `told` is what the home said first, `directory` what the process has on disk, `output` its standard output."""
    answering = Answering(Endpoint(told["endpoint"], told["token"]), database, directory, told["spill_bytes"], told["catalog"])
    await Serving(answering, output).serve()


class Serving:
    """The pipe, and the statement in hand."""

    def __init__(self, answering: Answering, output: int) -> None:
        self._answering = answering
        self._output = output
        self._parameters: list[bytes] = []
        self._asked: asyncio.Future[dict[str, Any]] | None = None
        self._foreseen: tuple[Any, Any] = None, None
        self._running: asyncio.Task[None] | None = None

    async def serve(self) -> None:
        reader = await _standard_input()
        async with asyncio.TaskGroup() as group:
            while (found := await read_frame(reader)) is not None:
                self._take(*found, group)
            if self._running is not None:
                os._exit(EXIT_INTERRUPTED)  # the home has gone, and DuckDB may not end soon; what is on disk goes with the next process

    def _take(self, kind: FrameKind, content: bytes, group: asyncio.TaskGroup) -> None:
        if kind is FrameKind.MESSAGE:
            self._parameters.append(content)
        elif kind is FrameKind.DONE:
            if self._running is not None:
                self._running.cancel()
        elif self._asked is not None:
            self._asked.set_result(parsed(content))
        else:
            parameters, self._parameters = b"".join(self._parameters), []
            self._running = group.create_task(self._run(parsed(content), parameters), name="linkd query")

    async def _run(self, told: dict[str, Any], parameters: bytes) -> None:
        try:
            call = Call(told["operation"], told["sql"], told["timeout_s"], told["traceparent"], parameters_in(parameters))
            self._foreseen = told.get("question"), told.get("answer")
            async with asyncio.timeout(call.timeout_s):
                outcome = await self._answering.answer(call, self._ask, self._write)
        except TimeoutError:
            outcome = _told(QueryInvalid(f"the query was stopped: it took longer than {told['timeout_s']:g} s"))
        except Error as error:
            outcome = _told(error)
        except asyncio.CancelledError:
            outcome = {"rows": 0, "links": []}
        except MemoryError:
            outcome = _told(QueryInvalid(f"the query is too large: {OUT_OF_MEMORY_HINT}"))
        except Exception as error:
            print(f"a query failed for a reason of linkd's own: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
            outcome = _told(InternalFault(f"linkd failed while running a query ({type(error).__name__}): please report it"))
        self._running, self._asked = None, None
        _write_all(self._output, said(FrameKind.STATUS, outcome))

    async def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        expected, answer = self._foreseen
        if question != expected:
            answer = await self._answer(question)
        if "code" in answer:
            raise every_error()[answer["code"]](answer["message"])
        told: dict[str, Any] = answer
        return told

    async def _answer(self, question: dict[str, Any]) -> dict[str, Any]:
        self._asked = asyncio.get_running_loop().create_future()
        _write_all(self._output, said(FrameKind.CALL, question))
        try:
            return await self._asked
        finally:
            self._asked = None

    def _write(self, messages: Sequence[memoryview]) -> None:
        _write_all(self._output, *(part for message in messages for part in (*cut(message), frame(FrameKind.DONE))))


async def _standard_input() -> asyncio.StreamReader:
    reader = asyncio.StreamReader(QUERY_PIECE_BYTES)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer)
    return reader


def _write_all(descriptor: int, *parts: bytes | memoryview) -> None:
    """In as few writes as the pipe has room for: each of them wakes up who reads."""
    rest = [memoryview(part) for part in parts]
    while rest:
        written = os.writev(descriptor, rest[:_WRITTEN_AT_ONCE])
        while rest and written >= len(rest[0]):
            written -= len(rest.pop(0))
        if written:
            rest[0] = rest[0][written:]


def _told(error: Error) -> dict[str, Any]:
    return {"code": error.code, "message": error.message}
