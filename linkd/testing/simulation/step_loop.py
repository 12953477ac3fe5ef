"""An event loop that never waits: what is due runs when it is told to, work for threads at once."""

from __future__ import annotations

import asyncio
import contextvars
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, TypeVar, TypeVarTuple, Unpack

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class StepLoop(asyncio.AbstractEventLoop):
    """As much of a loop as futures and a store without threads need."""

    def __init__(self) -> None:
        self._ready: deque[tuple[contextvars.Context | None, Callable[..., object], tuple[Any, ...]]] = deque()

    def drain(self) -> None:
        """Runs what is due, and what becomes due by it."""
        ready = self._ready
        while ready:
            context, callback, arguments = ready.popleft()
            if context is None:
                callback(*arguments)
            else:
                context.run(callback, *arguments)

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """The result of a coroutine that waits for nothing but work for threads and what is due."""
        events._set_running_loop(self)
        try:
            while True:
                coroutine.send(None)
                self.drain()
        except StopIteration as done:
            result: T = done.value
            return result
        finally:
            events._set_running_loop(None)

    # -- asyncio.AbstractEventLoop --------------------------------------------------------------------------------------------------------

    def call_soon(self, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: contextvars.Context | None = None) -> asyncio.Handle:
        self._ready.append((context, callback, args))
        return _NEVER_CANCELLED

    def call_soon_threadsafe(
        self, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        return self.call_soon(callback, *args, context=context)

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def run_in_executor(self, executor: Executor | None, func: Callable[[Unpack[Ts]], T], *args: *Ts) -> asyncio.Future[T]:
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as problem:  # it is the caller's, as from any executor
            future.set_exception(problem)
        return future

    def get_debug(self) -> bool:
        return False

    def is_closed(self) -> bool:
        return False


class _NeverCancelled(asyncio.Handle):
    """What `call_soon` returns: nobody here takes anything back."""

    def __init__(self) -> None:
        """It stands for no callback of its own."""

    def __repr__(self) -> str:
        return "<a callback of a StepLoop>"


_NEVER_CANCELLED = _NeverCancelled()
