"""Answers come in the order in which they were put in line, each when it is due, whoever takes them."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from linkd.errors import Draining, StorageFailed
from linkd.faces.due_line import DueLine
from linkd.home.due import Due
from linkd.store.committer import Committed

WRITTEN = Committed(1, ())


def due(name: str) -> tuple[asyncio.Future[Committed], Due[str]]:
    """An answer, and the frame that it waits for."""
    frame: asyncio.Future[Committed] = asyncio.get_running_loop().create_future()
    return frame, Due(frame, partial(str, name))


async def taken(line: DueLine[str], into: list[str]) -> None:
    take = into.append
    async for name in line:
        take(name)


async def test_an_answer_waits_for_those_before_it() -> None:
    line, found = DueLine[str](), list[str]()
    (first, one), (second, two) = due("one"), due("two")
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        group.create_task(taken(line, found))
        for answer in (one, two, Due(None, partial(str, "three"))):
            await line.put(answer)
        second.set_result(WRITTEN)
        await asyncio.sleep(0)
        assert found == []
        first.set_result(WRITTEN)
        await line.join()
        assert found == ["one", "two", "three"]
        line.end()


async def test_who_takes_answers_at_once_gets_them_in_the_same_order_and_may_leave_them_to_the_iteration() -> None:
    at_once, found = list[str](), list[str]()
    open_to_all = True

    def take(answer: Due[str]) -> bool:
        if open_to_all:
            at_once.append(answer.take())
        return open_to_all

    line = DueLine[str](take)
    (first, one), (second, two) = due("one"), due("two")
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        group.create_task(taken(line, found))
        await asyncio.sleep(0)
        await line.put(one)
        await line.put(two)
        second.set_result(WRITTEN)
        first.set_result(WRITTEN)
        await line.join()
        assert (at_once, found) == (["one", "two"], [])
        open_to_all = False
        await line.put(Due(None, partial(str, "three")))
        await line.join()
        assert (at_once, found) == (["one", "two"], ["three"])
        line.end()


async def test_the_end_comes_behind_the_last_answer_and_the_first_end_counts() -> None:
    line, found = DueLine[str](), list[str]()
    frame, one = due("one")
    await line.put(one)
    line.end(Draining("for now"))
    line.end()
    reading = asyncio.create_task(taken(line, found))
    await asyncio.sleep(0)
    frame.set_result(WRITTEN)
    with pytest.raises(Draining):
        await asyncio.wait_for(reading, 10)
    assert found == ["one"]


async def test_what_could_not_be_written_is_no_answer() -> None:
    offered = list[str]()
    line = DueLine[str](lambda answer: bool(offered.append(answer.take())) or True)
    frame, one = due("one")
    reading = asyncio.create_task(taken(line, []))
    await asyncio.sleep(0)
    await line.put(one)
    frame.set_exception(StorageFailed("the disk is gone"))
    with pytest.raises(StorageFailed):
        await asyncio.wait_for(reading, 10)
    assert not offered


async def test_who_puts_too_many_in_line_waits_until_some_were_taken() -> None:
    line, found = DueLine[str](most=2), list[str]()
    (first, one), (_, two), (_, three) = due("one"), due("two"), due("three")
    await line.put(one)
    await line.put(two)
    putting = asyncio.create_task(line.put(three))
    await asyncio.sleep(0)
    assert not putting.done()
    reading = asyncio.create_task(taken(line, found))
    first.set_result(WRITTEN)
    await asyncio.wait_for(putting, 10)
    assert found == ["one"]
    reading.cancel()
    await asyncio.wait([reading])


async def test_an_awaited_answer_survives_the_waiter_and_is_given_when_it_is_due() -> None:
    frame, one = due("one")
    waiting = asyncio.ensure_future(_awaited(one))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert not frame.cancelled()
    frame.set_result(WRITTEN)
    assert await one == "one"


async def _awaited(answer: Due[str]) -> str:
    return await answer
