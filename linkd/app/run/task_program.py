"""One task of a run as processes: its attempts, each within its time, and what they print."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from linkd.app.run.processes import Child, ending
from linkd.app.run.task_log import AttemptHeader, TaskLog
from linkd.core.durations import duration_text
from linkd.core.pipeline import TaskSpec
from linkd.limits import RETRY_BACKOFF_FIRST_S, RETRY_BACKOFF_MAX_S, TASK_TERM_GRACE_S


@dataclass(frozen=True, slots=True)
class Attempt:
    """How an attempt ended; `number` counts from 1. One that ran out of its time has failed, whatever its exit code."""

    number: int
    code: int
    timeout_s: float | None = None

    @property
    def succeeded(self) -> bool:
        return self.code == 0 and self.timeout_s is None

    @property
    def ending(self) -> str:
        """In words that go on from the task's name."""
        if self.timeout_s is not None:
            return f"took longer than its timeout of {duration_text(self.timeout_s)} and was ended"
        return ending(self.code)


@dataclass(slots=True)
class TaskProgram:
    """Runs the program of a task until it succeeds, or has used up its attempts. `start` starts it, `say` is for the person."""

    spec: TaskSpec
    log: TaskLog
    run_number: int
    start: Callable[[], Awaitable[Child]]
    say: Callable[[str], None]

    async def run(self) -> Attempt:
        """The last attempt. Raises OSError if there is no such program, StorageFailed if the log cannot be written.

        However it ends, also by being cancelled, nothing of the program is left, and what it printed is in the log.
        """
        attempts = self.spec.retries + 1
        wait_s = RETRY_BACKOFF_FIRST_S
        try:
            for number in range(1, attempts + 1):
                self.log.begin(AttemptHeader(self.run_number, utc_now(), number))
                attempt = await self._attempt(number)
                if attempt.succeeded or number == attempts:
                    break
                self.say(f"{self.spec.name} {attempt.ending}: attempt {number + 1} of {attempts} in {wait_s:g} s")
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, RETRY_BACKOFF_MAX_S)
        finally:
            self.log.close()
        return attempt

    async def _attempt(self, number: int) -> Attempt:
        child = await self.start()
        timeout_s = None
        try:
            async with asyncio.timeout(self.spec.timeout_s):
                await self._until_over(child)
        except TimeoutError:
            timeout_s = self.spec.timeout_s
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None  # only the log can fail
        finally:
            await self._end(child)
        return Attempt(number, await child.process.wait(), timeout_s)

    async def _until_over(self, child: Child) -> None:
        """Until the program has exited, and whatever it started has closed its output."""
        async with asyncio.TaskGroup() as group:
            group.create_task(_clear_if_failed(child), name=f"linkd exit of {child.name}")
            await self._read(child)

    async def _end(self, child: Child) -> None:
        """TERM, grace, KILL, to the whole group, while its last words are still read."""
        async with asyncio.TaskGroup() as group:
            group.create_task(child.end(TASK_TERM_GRACE_S if child.running else 0.0), name=f"linkd end {child.name}")
            with contextlib.suppress(TimeoutError):  # something left the group and keeps the output open: not ours to wait for
                async with asyncio.timeout(TASK_TERM_GRACE_S + 1.0):
                    await self._read(child)

    async def _read(self, child: Child) -> None:
        assert child.process.stdout is not None
        await self.log.read(child.process.stdout)


def utc_now() -> str:
    """As the header of an attempt has it."""
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"


async def _clear_if_failed(child: Child) -> None:
    """A program that has failed leaves nothing behind that could go on in its name."""
    if await child.process.wait() != 0:
        child.signal(signal.SIGKILL)
