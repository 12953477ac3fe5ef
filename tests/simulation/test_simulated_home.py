"""A home with everybody around it, on a machine that fails: seeded histories, judged by what linkd promises.

What breaks something is told with its seed, made as short as it can be, and stays in `histories`. LINKD_SIMULATED_STEPS says how many steps are
taken in all (`make soak` takes millions), LINKD_SIMULATED_SEED which seed the others follow from: it is another one every day.
"""

from __future__ import annotations

import os
import time

import pytest
from figures import keep_figure
from histories import HISTORIES
from promises import Promises

from linkd.testing.simulation.life import play, report
from linkd.testing.simulation.shrinking import shortest
from linkd.testing.simulation.world import FAULTS, WEIGHTS, steps_of

STEPS_OF_A_HISTORY = 2_500
STEPS = int(os.environ.get("LINKD_SIMULATED_STEPS", "100000"))
FIXED = 10
ROTATING = int(os.environ.get("LINKD_SIMULATED_SEED", str(int(time.time()) // 86_400)))
PARTS = 8
"""Tests that share the steps, so that they run beside each other."""


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_every_promise_is_kept_through_any_history(part: int) -> None:
    histories = max(STEPS // STEPS_OF_A_HISTORY, 1)
    seeds = [seed if seed < FIXED else ROTATING * 1_000_000 + seed for seed in range(part, histories, PARTS)]
    broken = ""
    for seed in seeds:
        failure = play(steps_of(seed, STEPS_OF_A_HISTORY), Promises)
        if failure is not None:
            broken = report(seed, STEPS_OF_A_HISTORY, failure, Promises)
            break
    keep_figure("simulated steps", steps=0 if broken else len(seeds) * STEPS_OF_A_HISTORY, violations=int(bool(broken)))
    assert not broken, broken


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
