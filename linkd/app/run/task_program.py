"""One task of a run as processes: its attempts, each within its time, and what they print."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from linkd.app.run.lives import HomeLives
from linkd.app.run.processes import Child
from linkd.app.run.task_log import AttemptHeader, TaskLog
from linkd.core.durations import duration_text
from linkd.core.exit_codes import ending
from linkd.core.pipeline import TaskSpec
from linkd.limits import LAST_WORDS_MAX_S, OUTPUT_HELD_TOLD_AFTER_S, RETRY_BACKOFF_FIRST_S, RETRY_BACKOFF_MAX_S, TASK_TERM_GRACE_S
from linkd.model.frozen import frozen


@frozen()
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
    """Runs the program of a task until it succeeds, or has used up its attempts. `start` starts it, `say` is for the person.

    An attempt that failed when its home died, of which `lives` knows, does not count. Nor does one that failed with a snapshot, where those are
    tried a bounded number of times themselves: then `failures` asks how many attempts at them have failed so far.
    """

    spec: TaskSpec
    log: TaskLog
    run_number: int
    start: Callable[[], Awaitable[Child]]
    say: Callable[[str], None]
    held_told_after_s: float = OUTPUT_HELD_TOLD_AFTER_S
    lives: HomeLives | None = None
    failures: Callable[[], Awaitable[int]] | None = None
    is_bounded: bool = True
    """The task's timeout is for the whole attempt. A program that works as long as there is input has it for each snapshot (`overran`)."""
    _deadline: asyncio.Timeout | None = field(default=None, init=False)

    async def run(self) -> Attempt:
        """The last attempt. Raises OSError if there is no such program, StorageFailed if the log cannot be written.

        However it ends, also by being cancelled, nothing of the program is left, and what it printed is in the log.
        """
        attempts = self.spec.retries + 1
        wait_s = RETRY_BACKOFF_FIRST_S
        try:
            for number in range(1, attempts + 1):
                attempt = await self._counted(number)
                if attempt.succeeded or number == attempts:
                    break
                self.say(f"{self.spec.name} {attempt.ending}: attempt {number + 1} of {attempts} in {wait_s:g} s")
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, RETRY_BACKOFF_MAX_S)
        finally:
            self.log.close()
        return attempt

    def overran(self) -> None:
        """The program has worked on a snapshot for the whole timeout: ends it."""
        if self._deadline is not None:
            self._deadline.reschedule(0.0)
            self._deadline = None

    async def _counted(self, number: int) -> Attempt:
        """An attempt that its home outlived and that failed by itself, or that succeeded all the same."""
        while True:
            life = self.lives.number if self.lives is not None else 0
            failed_before = await self.failures() if self.failures is not None else 0
            self.log.begin(AttemptHeader(self.run_number, utc_now(), number))
            attempt = await self._attempt(number)
            if attempt.succeeded:
                return attempt
            if self.lives is not None and await self.lives.has_ended(life):
                continue
            if self.failures is None:
                return attempt
            await asyncio.sleep(RETRY_BACKOFF_FIRST_S)  # of a process that was killed the home learns by its connection
            if await self.failures() == failed_before:
                return attempt
            tried = self.spec.terms.max_attempts
            self.say(f"{self.spec.name} {attempt.ending}, with a snapshot that is tried {tried} times at most: started again")

    async def _attempt(self, number: int) -> Attempt:
        child = await self.start()
        timeout_s = None
        with contextlib.closing(child.process):
            try:
                async with asyncio.timeout(self.spec.timeout_s if self.is_bounded else None) as self._deadline:
                    await self._until_over(child)
            except TimeoutError:
                timeout_s = self.spec.timeout_s
            except ExceptionGroup as failures:
                raise failures.exceptions[0] from None  # only the log can fail
            finally:
                self._deadline = None
                await self._end(child)
        return Attempt(number, await child.process.wait(), timeout_s)

    async def _until_over(self, child: Child) -> None:
        """Until the program has exited and, if it has succeeded, whatever it started has closed its output."""
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(self._read(child), name=f"linkd output of {child.name}")
            if await child.process.wait() == 0 and not (await asyncio.wait((reading,), timeout=self.held_told_after_s))[0]:
                self.say(f"{child.name} exited with code 0, but something it started still has its output open: it is waited for")
                await asyncio.wait((reading,))
            reading.cancel()  # a program that has failed leaves nothing behind that could go on in its name, nor hold up the run

    async def _end(self, child: Child) -> None:
        """TERM, grace, KILL, to the whole group, while its last words are still read.

        The grace is for all of it: of a command line TERM ends the shell at once, and the program that has work to finish stands behind it.
        """
        try:
            if child.running:
                child.signal(signal.SIGTERM)
                await self._last_words(child, TASK_TERM_GRACE_S)
        finally:
            await child.end(0.0)
        await self._last_words(child, LAST_WORDS_MAX_S)

    async def _last_words(self, child: Child, wait_s: float) -> None:
        """Until it is gone and its output closed; or not, where something has left the group and keeps it open."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._read(child)
                await child.process.wait()

    async def _read(self, child: Child) -> None:
        assert child.process.stdout is not None
        await self.log.read(child.process.stdout)


def utc_now() -> str:
    """As the header of an attempt has it."""
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
