"""Whoever watches a topic is woken by what happens on it, by a time, and by nothing else."""

from __future__ import annotations

import asyncio

from linkd.home.changes import ANY, Changes


async def test_a_change_between_looking_and_waiting_is_not_missed_and_is_told_once() -> None:
    changes = Changes()
    with changes.watch("link a", "drain") as watch, changes.watch(ANY) as onlooker:
        changes.announce(["link b"])
        assert not await watch.wait(0.0)
        changes.announce(["link a", "drain"])
        assert await watch.wait(0.0)
        assert not await watch.wait(0.0)
        assert await onlooker.wait(0.0)


async def test_a_watch_that_was_left_hears_nothing() -> None:
    changes = Changes()
    with changes.watch("link a") as watch:
        pass
    changes.announce(["link a"])
    assert not await watch.wait(0.0)


async def test_whoever_knows_of_a_change_already_is_not_woken_by_it() -> None:
    changes = Changes()
    with changes.watch("link a") as mine, changes.watch("link a") as other:
        changes.announce(["link a"], but=mine)
        assert (await mine.wait(0.0), await other.wait(0.0)) == (False, True)


async def test_a_watch_is_woken_at_the_earliest_time_that_was_asked_for() -> None:
    changes = Changes()
    with changes.watch("link a") as watch:
        for seconds in (3600.0, 0.001, 1800.0):
            watch.poke_within(seconds)
        async with asyncio.timeout(10):
            assert await watch.wait()
        watch.poke_within(3600.0)
        assert not await watch.wait(0.0)
