"""A process that runs queries, seen from the home: started for one caller, it runs one statement after the other, with that caller's rights.

What is said between the two stands at the head of `pipe`. It is in a process group of its own, the kernel's first choice when memory is short,
and killed when a statement that nobody wants any more does not end by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from linkd.errors import Error, InternalFault, QueryInvalid, every_error
from linkd.limits import QUERY_CANCEL_TIMEOUT_S, QUERY_END_TIMEOUT_S, QUERY_PIECE_BYTES
from linkd.query.pipe import cut, parsed, read_frame, said
from linkd.wire.lane import FrameKind, frame

Answer = Callable[[Mapping[str, Any]], dict[str, Any]]
"""Answers a question of the process. Raises errors of the tree."""


@dataclass(slots=True, eq=False)
class ChildProcess:
    """`start` it. Statements do not overlap; `is_usable` says whether it takes another one."""

    process: Process
    is_usable: bool = True
    outcome: dict[str, Any] = field(default_factory=dict)
    """What it told of the statement that ended last."""

    @staticmethod
    async def start(hello: dict[str, Any]) -> ChildProcess:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "linkd.query.child",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=QUERY_PIECE_BYTES,
            start_new_session=True,
            env={name: value for name, value in os.environ.items() if not name.startswith("LINKD_")},
        )
        child = ChildProcess(process)
        child._write(said(FrameKind.CALL, hello))
        return child

    async def run(self, call: dict[str, Any], parameters: bytes, answer: Answer) -> AsyncGenerator[bytes, None]:
        """The Arrow messages of one statement; `outcome` is set behind the last. Raises what the process does, InternalFault if it dies.

        Closing it early ends the statement. A statement that takes `QUERY_END_TIMEOUT_S` longer than its own time is ended with its process.
        """
        ended = False
        try:
            for part in cut(memoryview(parameters)):
                self._write(part)
            self._write(said(FrameKind.CALL, call))
            async with contextlib.aclosing(self._messages(answer, call["timeout_s"] + QUERY_END_TIMEOUT_S)) as messages:
                async for message in messages:
                    yield message
            ended = True
        except Error:
            ended = True
            raise
        finally:
            if not ended:
                await self._end()

    def close(self) -> None:
        """It is not needed any more: it goes at once, whatever it does."""
        self.is_usable = False
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)

    async def closed(self) -> None:
        """`close`, and returns when it has gone."""
        self.close()
        await self.process.wait()

    async def _messages(self, answer: Answer, within_s: float) -> AsyncGenerator[bytes, None]:
        message: list[bytes] = []
        while True:
            kind, content = await self._frame(within_s)
            if kind is FrameKind.MESSAGE:
                message.append(content)
            elif kind is FrameKind.DONE:
                whole, message = message[0] if len(message) == 1 else b"".join(message), []
                yield whole
            elif kind is FrameKind.CALL:
                self._write(said(FrameKind.CALL, answered(answer, parsed(content))))
            else:
                self.outcome = parsed(content)
                if "code" in self.outcome:
                    raise _error(self.outcome)
                return

    async def _frame(self, within_s: float) -> tuple[FrameKind, bytes]:
        """The next frame. The time is for the process; how long whoever asked takes for what came is not counted."""
        assert self.process.stdout is not None
        try:
            async with asyncio.timeout(within_s):
                found = await read_frame(self.process.stdout)
        except TimeoutError:
            await self.closed()
            raise QueryInvalid(
                f"the query was stopped: it took longer than {within_s:g} s, and its process was ended with it; other queries are not touched"
            ) from None
        if found is None:
            self.is_usable = False
            code = await self.process.wait()
            what = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
            raise InternalFault(f"the process that ran the query ended with {what}; other queries and the links are not touched")
        return found

    async def _end(self) -> None:
        """The statement is not wanted any more. What does not end by itself is killed."""
        self._write(frame(FrameKind.DONE))
        self.is_usable = False
        try:
            async with asyncio.timeout(QUERY_CANCEL_TIMEOUT_S):
                while (await self._frame(QUERY_CANCEL_TIMEOUT_S))[0] is not FrameKind.STATUS:
                    pass
            self.is_usable = True
        except (TimeoutError, Error):
            await self.closed()
        finally:
            if not self.is_usable:
                self.close()

    def _write(self, data: bytes | memoryview) -> None:
        assert self.process.stdin is not None
        if not self.process.stdin.is_closing():  # of one that died the end of its output tells
            self.process.stdin.write(data)


def answered(answer: Answer, question: Mapping[str, Any]) -> dict[str, Any]:
    """The answer as it is told: an error is one too."""
    try:
        return answer(question)
    except Error as error:
        return {"code": error.code, "message": error.message}


def _error(told: dict[str, Any]) -> Error:
    kind = every_error().get(told["code"], InternalFault)
    return kind(told["message"])
