"""A small pipeline in a home inside the test's process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Protocol

import pytest
import pytest_asyncio
from raw_client import RawClient, client_of

from linkd.core.layout import OPEN, Layout
from linkd.core.runs import LinkShape
from linkd.core.tasks import TaskShape
from linkd.model.records import TaskKind
from linkd.testing.home import InProcessHome, running_home

PIPELINE = Layout(
    "pipeline",
    {
        "numbers": LinkShape("numbers", ""),
        "names": LinkShape("names", "from:names"),
        "names.rejects": LinkShape("names.rejects", "from:names"),
        "doubled": LinkShape("doubled", "double"),
        "total": LinkShape("total", "sum_up"),
    },
    {
        "from:names": TaskShape("from:names", TaskKind.SOURCE, (), ("names", "names.rejects")),
        "double": TaskShape("double", TaskKind.RUN, (("numbers", "each"),), ("doubled",)),
        "sum_up": TaskShape("sum_up", TaskKind.RUN, (("doubled", "whole"), ("names", "whole")), ("total",)),
        "to:total": TaskShape("to:total", TaskKind.SINK, (("total", "whole"),), ()),
    },
    frozenset({"numbers"}),
)
"""Outsiders append to `numbers`; `double` takes each of them, `sum_up` all it made beside a source's `names`."""


class Connect(Protocol):
    """A client under that token ("" for an outsider); closed with the test."""

    async def __call__(self, home: InProcessHome, name: str = "") -> RawClient: ...


@pytest.fixture(autouse=True)
def no_defects(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No call of any test may fail for a reason of linkd's own, whatever its client does."""
    yield
    defects = [record for when in ("setup", "call") for record in caplog.get_records(when) if record.name == "linkd.faces"]
    assert not defects, defects[0].exc_text or defects[0].getMessage()


@pytest_asyncio.fixture
async def connect() -> AsyncIterator[Connect]:
    async with AsyncExitStack() as stack:

        async def connect_one(home: InProcessHome, name: str = "") -> RawClient:
            return await stack.enter_async_context(client_of(home.endpoint, home.token(name) if name else ""))

        yield connect_one


@pytest_asyncio.fixture
async def open_home(tmp_path: Path) -> AsyncIterator[InProcessHome]:
    """A home under `--open`."""
    async with running_home(tmp_path / "state", layout=OPEN, supervised=False) as home:
        yield home


@pytest_asyncio.fixture
async def home(tmp_path: Path) -> AsyncIterator[InProcessHome]:
    """A home of `PIPELINE`; no run has begun."""
    async with running_home(tmp_path / "state", layout=PIPELINE) as home:
        yield home
