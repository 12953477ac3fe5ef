"""What a thread iterates over while the loop receives the next items."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator

import pytest

from linkd.client.loop_thread import LOOP_THREAD
from linkd.client.process import FORK_GUARD
from linkd.client.waiting import iterated_ahead
from linkd.errors import ConnectionFailed
from linkd.limits import ITERATED_AHEAD_BYTES, ITERATED_AHEAD_VALUES


class Stream:
    """Numbers, up to `last`, and then `end`. `given` is how many were asked for; `at` is set when there are so many."""

    def __init__(self, last: int, end: Exception | None = None) -> None:
        self.last = last
        self.end = end
        self.given = 0
        self.is_closed = threading.Event()
        self.reached: dict[int, threading.Event] = {number: threading.Event() for number in range(last + 1)}

    async def items(self) -> AsyncGenerator[int, None]:
        try:
            while self.given < self.last:
                self.given += 1
                self.reached[self.given].set()
                yield self.given
                await asyncio.sleep(0)
            if self.end is not None:
                raise self.end
        finally:
            self.is_closed.set()

    def wait_for(self, given: int) -> None:
        assert self.reached[given].wait(5)


@pytest.fixture(autouse=True)
def _connected() -> None:
    """As a program is that has something to iterate over."""
    FORK_GUARD.enter()


def small(item: int) -> int:
    return 1


@pytest.mark.parametrize("last", [0, 1, ITERATED_AHEAD_VALUES, 200])
def test_all_items_come_in_their_order(last: int) -> None:
    stream = Stream(last)
    assert list(iterated_ahead(stream.items(), small)) == list(range(1, last + 1))
    assert stream.is_closed.is_set()


def test_an_error_comes_behind_the_items_before_it() -> None:
    stream, got = Stream(3, ConnectionFailed("linkd went away")), []
    with pytest.raises(ConnectionFailed, match="went away") as told:
        for item in iterated_ahead(stream.items(), small):
            got.append(item)  # noqa: PERF402 - what came before the error is looked at
    assert got == [1, 2, 3]
    assert told.value.__cause__ is None


@pytest.mark.parametrize(
    ("size_bytes", "most"), [(1, ITERATED_AHEAD_VALUES), (-(-ITERATED_AHEAD_BYTES // 3), 3), (ITERATED_AHEAD_BYTES, 1)]
)
def test_so_many_are_received_ahead_and_no_more_before_half_of_them_are_taken(size_bytes: int, most: int) -> None:
    stream = Stream(40)
    items = iterated_ahead(stream.items(), lambda _: size_bytes)
    assert next(items) == 1
    held = 1 + most
    stream.wait_for(held)
    LOOP_THREAD.run(asyncio.sleep, 0)
    assert stream.given == held
    for _ in range(most - most // 2):
        next(items)
    stream.wait_for(held + 1)
    assert list(items) == list(range(2 + most - most // 2, 41))


def test_who_leaves_ends_the_stream_and_what_came_is_let_go_of() -> None:
    stream = Stream(40)
    for item in iterated_ahead(stream.items(), small):
        assert item == 1
        break
    assert stream.is_closed.wait(5)
    assert stream.given <= 2 + ITERATED_AHEAD_VALUES


def test_an_error_does_not_keep_the_call_that_it_ended() -> None:
    async def refuse() -> None:
        raise ValueError("a defect")

    with pytest.raises(ValueError, match="a defect") as told:
        LOOP_THREAD.run(refuse)
    trace, names = told.value.__traceback__, []
    while trace is not None:
        names.append(trace.tb_frame.f_code.co_name)
        trace = trace.tb_next
    assert names[-1] == "refuse"
    assert "_run" not in names
