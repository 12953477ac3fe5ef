"""Blocking work that is cancelled has ended when the cancellation is seen."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Generator

import pytest
from linkd_adapters.steps import in_thread, steps


async def test_a_cancelled_call_ends_only_when_its_work_has() -> None:
    started, may_end, ended = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        started.set()
        may_end.wait()
        ended.set()

    call = asyncio.ensure_future(in_thread(work))
    await asyncio.to_thread(started.wait)
    call.cancel()
    await asyncio.wait([call], timeout=0.01)
    assert not call.done()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert ended.is_set()


async def test_work_that_fails_behind_a_cancellation_is_cancelled_all_the_same() -> None:
    may_end = threading.Event()

    def work() -> None:
        may_end.wait()
        raise ValueError("nobody waits for this any more")

    call = asyncio.ensure_future(in_thread(work))
    await asyncio.wait([call], timeout=0.01)
    call.cancel()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await call


async def test_closing_the_steps_closes_the_work() -> None:
    closed: list[str] = []

    def work() -> Generator[int, None, None]:
        try:
            yield 1
            yield 2
        finally:
            closed.append("closed")

    running = steps(work())
    assert await anext(running) == 1
    await running.aclose()
    assert closed == ["closed"]
    assert [step async for step in steps(work())] == [1, 2]
