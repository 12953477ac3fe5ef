"""A home with everybody around it, on a machine that fails: seeded histories, judged by what linkd promises.

A seed that broke something stays in `SEEDS`, or its shortest history in `HISTORIES`. LINKD_SIMULATED_STEPS says how many steps are taken in
all (`make soak` takes millions), LINKD_SIMULATED_SEED which seed the others follow from: it is another one every day.
Rerun one: pytest tests/simulation/test_simulated_home.py -k seed-17
"""

from __future__ import annotations

import os
import time

import pytest
from figures import keep_figure
from promises import Promises

from linkd.testing.simulation.life import play, report
from linkd.testing.simulation.shrinking import shortest
from linkd.testing.simulation.world import FAULTS, WEIGHTS, Step, steps_of

STEPS_OF_A_HISTORY = 2_500
STEPS = int(os.environ.get("LINKD_SIMULATED_STEPS", "100000"))
FIXED = 10
ROTATING = int(os.environ.get("LINKD_SIMULATED_SEED", str(int(time.time()) // 86_400)))
PARTS = 4
"""Tests that share the steps, so that they run beside each other."""

SEEDS = (20780000300, 20780000459, 20780000510)
"""What a window that slides still held was dropped, because the window before had settled it."""

HISTORIES: dict[str, list[Step]] = {
    "a commit of weak links that power takes away": [
        ("publish", 5621533117146250303),
        ("publish", 6389508558093465949),
        ("publish", 15097683437974104026),
        ("tidy", 11517876016018003499),
        ("work", 4131644858277357606),
        ("work", 13407318095392114950),
        ("work", 17919318238889000878),
        ("work", 2407139402364996658),
        ("sync", 6116148909745718014),
        ("lose_power", 3633773573310865494),
    ],
}


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_every_promise_is_kept_through_any_history(part: int) -> None:
    histories = max(STEPS // STEPS_OF_A_HISTORY, 1)
    seeds = [seed if seed < FIXED else ROTATING * 1_000_000 + seed for seed in range(part, histories, PARTS)]
    for seed in seeds:
        failure = play(steps_of(seed, STEPS_OF_A_HISTORY), Promises)
        if failure is not None:
            keep_figure("simulated steps", steps=0, violations=1)
            pytest.fail(report(seed, STEPS_OF_A_HISTORY, failure, Promises))
    keep_figure("simulated steps", steps=len(seeds) * STEPS_OF_A_HISTORY, violations=0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_a_seed_that_broke_something_holds(seed: int) -> None:
    failure = play(steps_of(seed, STEPS_OF_A_HISTORY), Promises)
    assert failure is None, failure


@pytest.mark.parametrize("name", HISTORIES)
def test_what_broke_once_holds(name: str) -> None:
    failure = play(HISTORIES[name], Promises)
    assert failure is None, failure


def test_a_seed_is_always_the_same_history() -> None:
    assert steps_of(5, 50) == steps_of(5, 50) != steps_of(6, 50)
    assert {name for name, _ in steps_of(5, 5_000)} == {*WEIGHTS, *FAULTS}


def test_a_history_is_shrunk_to_what_breaks() -> None:
    steps = [("step", number) for number in range(100)]
    assert shortest(steps, lambda some: {("step", 17), ("step", 80)} <= set(some)) == [("step", 17), ("step", 80)]
