"""A whole history: a world that takes the steps of a seed, or any others, until it is over or a promise is broken."""

from __future__ import annotations

import tempfile
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from linkd.model.frozen import frozen
from linkd.testing.simulation.shrinking import shortest
from linkd.testing.simulation.witness import Witness
from linkd.testing.simulation.world import Step, World, steps_of

_MEMORY = Path("/dev/shm")
"""Where the index lies, if there is such a place: it is a real file, and nothing here tests the disk under it."""


@frozen()
class Failure:
    """What went wrong at which step (the last one: when everything was looked at in the end)."""

    index: int
    kind: str
    text: str
    trace: str


def play(steps: Sequence[Step], new_witness: Callable[[], Witness]) -> Failure | None:
    """Takes the steps in a new world. None if every promise was kept."""
    with tempfile.TemporaryDirectory(prefix="linkd-simulation-", dir=_MEMORY if _MEMORY.is_dir() else None) as directory:
        world = World(Path(directory) / "catalog.db", new_witness())
        taken = 0
        try:
            for step in steps:
                world.take(step)
                taken += 1
            world.finish()
        except Exception as problem:  # whatever it is: the judge's, or a defect's
            world.close()
            kind = f"{type(problem).__name__} {str(problem).partition(':')[0]}"[:120]
            return Failure(taken, kind, str(problem), traceback.format_exc(limit=-6))
        return None


def report(seed: int, count: int, failure: Failure, new_witness: Callable[[], Witness]) -> str:
    """For people: the seed, what broke, and the shortest history that was found to break the same."""

    def breaks(steps: Sequence[Step]) -> bool:
        found = play(steps, new_witness)
        return found is not None and found.kind == failure.kind

    steps = steps_of(seed, count)[: failure.index + 1]
    least = shortest(steps, breaks) if breaks(steps) else steps
    lines = [f"seed {seed} breaks at step {failure.index}: {failure.text}", failure.trace, f"{len(least)} steps are enough:"]
    return "\n".join([*lines, *(f"    {step!r}," for step in least)])
