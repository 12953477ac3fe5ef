"""The event loop behind the synchronous face: one daemon thread for the process, started by the first call.

A thread of its own is what lets the synchronous face work where a loop runs already (notebooks) and from any number of threads.
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import threading
import weakref
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Generic, ParamSpec, TypeVar

from linkd.client.process import FORK_GUARD
from linkd.client.session import Client
from linkd.errors import ConnectionFailed, Error, InternalFault, InvalidArgument
from linkd.limits import CLIENT_CLOSE_TIMEOUT_S, INTERRUPT_NOTICE_S

P = ParamSpec("P")
T = TypeVar("T")


class Call(Generic[T]):
    """One operation in the loop, which the thread that waits for it may abandon at any instant, also before it has begun."""

    def __init__(self, loop: asyncio.AbstractEventLoop, operation: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self._loop = loop
        self._operation = operation
        self._result: concurrent.futures.Future[T] = concurrent.futures.Future()
        self._task: asyncio.Task[None] | None = None
        self._abandoned = False

    def begin(self) -> None:
        """In the loop."""
        if not self._abandoned:
            self._task = self._loop.create_task(self._run())
            self._task.add_done_callback(self._done)

    def abandon(self) -> None:
        """In the loop: cancels the operation, or sees to it that it does not begin."""
        self._abandoned = True
        if self._task is not None:
            self._task.cancel()

    def wait(self) -> T:
        """Waits for as long as it takes, in turns: a signal that arrives while CPython is on its way into a wait does not end that wait."""
        while True:
            try:
                return self._result.result(INTERRUPT_NOTICE_S)
            except TimeoutError:
                if self._result.done():
                    return self._result.result()

    async def _run(self) -> None:
        """Tells the result by itself: a callback would come one turn of the loop later."""
        self._result.set_result(await self._operation())

    def _done(self, task: asyncio.Task[None]) -> None:
        error = concurrent.futures.CancelledError() if task.cancelled() else task.exception()
        if error is not None:
            trace = error.__traceback__
            self._result.set_exception(
                error.with_traceback(trace.tb_next if trace is not None else None)
            )  # `_run` would keep the error by it


class LoopThread:
    """Runs operations of the asyncio client for threads that wait. Nothing is started before the first of them."""

    def __init__(self) -> None:
        self._starting = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._clients: weakref.WeakSet[Client] = weakref.WeakSet()
        self._stopped = False

    @property
    def can_wait(self) -> bool:
        """Whether this thread may wait for the loop: it turns, and this is another thread."""
        return self._loop is not None and not self._stopped and threading.current_thread() is not self._thread

    def run(self, operation: Callable[P, Coroutine[Any, Any, T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """Awaits `operation(*args)` in the loop and gives its result or raises its error.

        An interrupt (Ctrl-C) cancels it and goes on to the caller. Raises ForkedClient in a forked child. The traceback of an error that
        linkd raises on purpose leads to the caller's line, and not on through the loop; that of a defect shows where it is.
        """
        loop = self._running()
        if threading.current_thread() is self._thread:
            raise InvalidArgument("linkd was called from its own event loop, which would wait for itself: use linkd.aio there")
        call = Call(loop, partial(operation, *args, **kwargs))
        try:
            loop.call_soon_threadsafe(call.begin)
            return call.wait()
        except BaseException as error:
            told = self._told(error, call)
            if told is None:
                raise
            raise told from told.__cause__

    def _told(self, error: BaseException, call: Call[Any]) -> Error | None:
        """What the thread that waited is told in place of this error, without where it comes from; None: the error itself."""
        if isinstance(error, concurrent.futures.CancelledError):
            return ConnectionFailed("the client was closed while a call was waiting: connect again")
        if isinstance(error, Error):
            return None if isinstance(error, InternalFault) else error.with_traceback(None)
        self.soon(call.abandon)
        return None

    def soon(self, action: Callable[[], object]) -> None:
        """Has `action` called in the loop, and does not wait. Nothing if the loop is gone: then so is what it would act on."""
        loop = self._loop
        if loop is None or self._stopped or not FORK_GUARD.is_ours:
            return
        loop.call_soon_threadsafe(action)

    def keep(self, client: Client) -> None:
        """Closes `client` when the interpreter ends, if nobody did before."""
        self._clients.add(client)

    def _running(self) -> asyncio.AbstractEventLoop:
        FORK_GUARD.check()
        with self._starting:
            if self._stopped:
                raise ConnectionFailed("the interpreter is ending, and its connections to linkd have ended")
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._loop.run_forever, name="linkd event loop", daemon=True)
                self._thread.start()
                atexit.register(self._stop)
            return self._loop

    def _stop(self) -> None:
        """At the interpreter's end: an orderly goodbye, within a deadline, so that an exit never hangs."""
        loop, thread = self._loop, self._thread
        if loop is None or thread is None or not FORK_GUARD.is_ours:
            return
        goodbye = asyncio.run_coroutine_threadsafe(self._close_clients(), loop)
        concurrent.futures.wait([goodbye], timeout=CLIENT_CLOSE_TIMEOUT_S)
        self._stopped = True
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=CLIENT_CLOSE_TIMEOUT_S)
        if not thread.is_alive():
            loop.close()

    async def _close_clients(self) -> None:
        await asyncio.gather(*(client.close() for client in list(self._clients)), return_exceptions=True)
        # gRPC has tasks of its own that end behind its calls; the loop must not stop over them.
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        if rest:
            _, pending = await asyncio.wait(rest, timeout=CLIENT_CLOSE_TIMEOUT_S / 2)
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)


LOOP_THREAD = LoopThread()
"""The one of this process."""
