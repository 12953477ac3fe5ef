"""What tests of the faces share."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from served_home import ServedHome, served_home


@pytest.fixture(autouse=True)
def no_defects(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No call of any test may fail for a reason of linkd's own, whatever its client does."""
    yield
    told = [record for when in ("setup", "call") for record in caplog.get_records(when)]
    defects = [record for record in told if record.name == "linkd.faces" and record.levelno >= logging.ERROR]
    assert not defects, defects[0].exc_text or defects[0].getMessage()


@pytest.fixture(scope="session")
def sql_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedHome]:
    """One home under `--open` for all tests of SQL clients, whose links have names of their own: its query process is started once."""
    with served_home(tmp_path_factory.mktemp("sql")) as served:
        yield served
