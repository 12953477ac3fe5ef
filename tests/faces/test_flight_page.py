"""The page on Flight is true: its programs run at a home and print what it shows."""

from __future__ import annotations

import asyncio
import doctest
import re
from pathlib import Path

from linkd.testing.home import running_home

PAGE = (Path(__file__).parents[2] / "docs/flight.md").read_text(encoding="utf-8")


async def test_the_programs_of_the_page_on_flight_print_what_it_shows(tmp_path: Path) -> None:
    examples = "\n".join(re.findall(r"^```pycon\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE))

    def run(endpoint: str) -> list[str]:
        told: list[str] = []
        test = doctest.DocTestParser().get_doctest(examples, {"endpoint": endpoint}, "flight.md", None, 0)
        results = doctest.DocTestRunner().run(test, out=told.append)
        assert results.attempted > 20
        return told

    async with running_home(tmp_path / "state", supervised=False) as home:
        assert await asyncio.to_thread(run, home.endpoint) == []
