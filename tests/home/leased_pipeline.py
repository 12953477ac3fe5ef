"""`small_pipeline` with terms of its task `double`, served by a clock that is set forward by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from small_pipeline import PIPELINE

from linkd.core.dead_letters import DEAD_LETTER_TERMS, dead_link
from linkd.core.layout import Layout
from linkd.core.links import LinkShape
from linkd.model.terms import TaskTerms
from linkd.testing.clock import FakeClock
from linkd.testing.home import InProcessHome, running_home

LEASE_S = 10.0


def pipeline(**terms: Any) -> Layout:
    """`PIPELINE`, where `double` has these terms."""
    tasks = dict(PIPELINE.tasks)
    tasks["double"] = replace(tasks["double"], terms=TaskTerms(lease_s=LEASE_S, **terms))
    links = dict(PIPELINE.links)
    links[dead_link("double")] = LinkShape(dead_link("double"), "double", terms=DEAD_LETTER_TERMS)
    return replace(PIPELINE, links=links, tasks=tasks)


@asynccontextmanager
async def home_with(directory: Path, **terms: Any) -> AsyncIterator[tuple[InProcessHome, FakeClock]]:
    clock = FakeClock()
    async with running_home(directory / "state", layout=pipeline(**terms), clock=clock) as home:
        yield home, clock


def pass_time(home: InProcessHome, clock: FakeClock, seconds: float) -> None:
    clock.advance(seconds)
    home.home.deadlines.poke()
