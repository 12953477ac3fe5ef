"""The page on SQL clients is true: what it shows is printed, and the bounds that it names are those there are."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest
from served_home import ServedHome

from linkd.limits import PREPARED_STATEMENT_IDLE_S, PREPARED_STATEMENTS_MAX, STATEMENT_PARAMETERS_MAX_BYTES

PAGE = (Path(__file__).parents[2] / "docs/sql-clients.md").read_text(encoding="utf-8")
pytestmark = pytest.mark.xdist_group("adbc")


def test_the_examples_of_the_page_on_sql_clients_print_what_it_shows(sql_home: ServedHome) -> None:
    examples = "\n".join(re.findall(r"^```pycon\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE))
    told: list[str] = []
    test = doctest.DocTestParser().get_doctest(examples, {"endpoint": sql_home.home.endpoint}, "sql-clients.md", None, 0)
    results = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=told.append)
    assert told == []
    assert results.attempted > 15


def test_the_page_names_the_bounds_there_are() -> None:
    assert f"for {PREPARED_STATEMENT_IDLE_S / 60:.0f} minutes" in PAGE
    assert f"more than {PREPARED_STATEMENTS_MAX} with" in PAGE
    assert STATEMENT_PARAMETERS_MAX_BYTES == 4 << 20
    assert "Four megabytes of parameters" in PAGE
