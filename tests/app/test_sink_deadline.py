"""A sink that does not come back from writing is given up, by name."""

from __future__ import annotations

import asyncio

import pytest

from linkd.app.sinks import in_time
from linkd.errors import TaskFailed


async def _hangs() -> None:
    await asyncio.Event().wait()


async def _refuses() -> None:
    raise TimeoutError("of the file server's own")


async def test_a_step_that_hangs_names_its_link_and_what_to_do() -> None:
    with pytest.raises(
        TaskFailed, match=r"^totals: its sink did not come back from writing for 0\.01 s .*links\.totals\.to` .* run again$"
    ):
        await in_time(_hangs(), "totals", 0.01)


async def test_an_error_of_the_sink_is_its_own() -> None:
    with pytest.raises(TimeoutError, match="of the file server's own"):
        await in_time(_refuses(), "totals", 10.0)
