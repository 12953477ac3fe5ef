"""The page on SQL is true: its programs run at a home and print what it shows."""

from __future__ import annotations

import asyncio
import doctest
import re
from pathlib import Path

from linkd.limits import GIB, QUERIES_MAX, QUERIES_WAITING_MAX, QUERY_MEMORY_MAX_BYTES, QUERY_TIMEOUT_S
from linkd.testing.home import running_home

PAGE = (Path(__file__).parents[1] / "docs/sql.md").read_text(encoding="utf-8")


async def test_the_programs_of_the_page_on_sql_print_what_it_shows(tmp_path: Path) -> None:
    examples = "\n".join(re.findall(r"^```pycon\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE))

    def run(endpoint: str) -> list[str]:
        told: list[str] = []
        test = doctest.DocTestParser().get_doctest(examples, {"endpoint": endpoint}, "sql.md", None, 0)
        results = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=told.append, clear_globs=False)
        test.globs["client"].close()
        assert results.attempted > 8
        return told

    async with running_home(tmp_path / "state", supervised=False) as home:
        assert await asyncio.to_thread(run, home.endpoint) == []


def test_the_bounds_that_it_names_are_those_that_hold() -> None:
    for bound in (
        f"most {QUERIES_MAX} run at once, {QUERIES_WAITING_MAX} wait",
        f"{QUERY_MEMORY_MAX_BYTES // GIB} GiB of memory",
        f"{QUERY_TIMEOUT_S / 60:.0f} minutes",
    ):
        assert bound in " ".join(PAGE.split())
