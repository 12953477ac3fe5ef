"""How often what is linkd's own is started again, and which programs have failed only because their home had died."""

from __future__ import annotations

import asyncio

import pytest

from linkd.app.run.lives import HomeLives, Restarts
from linkd.errors import ConnectionFailed
from linkd.limits import RESTARTS_MAX, RESTARTS_WITHIN_S


def test_so_many_deaths_within_a_minute_are_mended_and_no_more() -> None:
    now_s = 100.0
    restarts = Restarts(lambda: now_s)
    assert [restarts.allowed() for _ in range(RESTARTS_MAX + 1)] == [True] * RESTARTS_MAX + [False]
    now_s += RESTARTS_WITHIN_S
    assert restarts.allowed()


async def test_a_life_that_goes_on_has_not_ended() -> None:
    asked: list[None] = []

    async def ask() -> None:
        asked.append(None)

    lives = HomeLives(1, ask)
    assert not await lives.has_ended(lives.number)
    assert asked == [None]


async def test_an_end_is_told_when_the_next_life_has_begun() -> None:
    async def ask() -> None:
        raise ConnectionFailed("linkd went away")

    lives = HomeLives(1, ask)
    first = lives.number
    lives.end()
    waiting = asyncio.create_task(lives.has_ended(first))
    await asyncio.sleep(0)
    assert not waiting.done()
    lives.begin()
    assert await waiting
    assert not await lives.has_ended(lives.number)


@pytest.mark.parametrize("noticed", [True, False])
async def test_an_end_that_was_not_noticed_yet_is_found_by_asking(noticed: bool) -> None:
    answer = asyncio.Event()
    lives = HomeLives(1, answer.wait)
    waiting = asyncio.create_task(lives.has_ended(1))
    await asyncio.sleep(0)
    if noticed:
        lives.end()
        lives.begin()
    answer.set()
    assert await waiting is noticed
