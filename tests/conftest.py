"""How all tests run: the same examples every time, so that a run that passed passes again; `make soak` looks for new ones."""

from __future__ import annotations

import atexit
import gc
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from linkd.limits import GC_THRESHOLD

if TYPE_CHECKING:
    from distribution import Distribution
    from xdist.remote import Producer

settings.register_profile("test", deadline=None, derandomize=True, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("soak", deadline=None, max_examples=2_000, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("LINKD_HYPOTHESIS", "test"))

gc.set_threshold(GC_THRESHOLD)
"""As a home has it; with Python's own a tenth of all tests' time is looking at modules that stay."""


def pytest_collection() -> None:
    """Modules and thousands of tests stay to the end: looking among them for what is gone is a quarter of the time that collecting takes."""
    gc.disable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes seconds is begun first: at the end nobody waits for it beside an idle core."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Distribution | None:
    if config.getvalue("dist") != "loadgroup":
        return None
    from distribution import Distribution

    return Distribution(config, log)


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()
    atexit.register(gc.unfreeze)


@pytest.fixture
def memory_path() -> Iterator[Path]:
    """As `tmp_path`, in memory where there is such a place: for the index of a store whose files are simulated, of which nobody tests the disk."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="linkd-test-", dir=memory if memory.is_dir() else None) as directory:
        yield Path(directory)
