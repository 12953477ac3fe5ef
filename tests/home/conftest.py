"""A small pipeline in a home inside the test's process."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio
from raw_client import RawClient, client_of
from small_pipeline import PIPELINE, Connect

from linkd.core.layout import OPEN
from linkd.testing.home import InProcessHome, running_home


@pytest.fixture(autouse=True)
def no_defects(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No call of any test may fail for a reason of linkd's own, whatever its client does."""
    yield
    told = [record for when in ("setup", "call") for record in caplog.get_records(when)]
    defects = [record for record in told if record.name == "linkd.faces" and record.levelno >= logging.ERROR]
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


@pytest.fixture(params=["lane", "grpc"])
def road(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """For tests of clients that have to hold on each road, and not only on the one that a client takes by itself."""
    taken: str = request.param
    monkeypatch.setenv("LINKD_TRANSPORT", taken)
    return taken
