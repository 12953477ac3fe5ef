"""One PostgreSQL for all tests of the session, and databases as tests use them: each test has one of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sql_database import SHARED, Database, connect

from linkd.testing.postgres import PostgresMissing, PostgresServer

if TYPE_CHECKING:
    from adbc_driver_postgresql.dbapi import Connection


def pytest_collection_modifyitems(items: Sequence[pytest.Function]) -> None:
    """All that need the server run in one worker, so that there is one server."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            params = item.callspec.params.values() if hasattr(item, "callspec") else ()
            if {"server", "postgres", "types"} & set(item.fixturenames) or "postgresql" in [one for one in params if isinstance(one, str)]:
                item.add_marker(pytest.mark.xdist_group("postgres"))


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
    try:
        found = PostgresServer.start()
    except PostgresMissing as missing:
        pytest.skip(f"without PostgreSQL nothing of linkd's PostgreSQL adapter is tested: {missing}")
    found.psql(f"CREATE DATABASE {SHARED}")
    yield found
    found.stop()


@pytest.fixture(scope="session")
def anybody(server: PostgresServer) -> Iterator[Connection]:
    """Whoever else is at work in the shared database."""
    with connect(server.url(database=SHARED)) as connection:
        yield connection


@pytest.fixture(params=["postgresql", "sqlite", "duckdb"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    """One of each kind."""
    if request.param == "postgresql":
        return request.getfixturevalue("postgres")
    return Database(request.param, tmp_path)


@pytest.fixture
def postgres(server: PostgresServer, anybody: Connection, tmp_path: Path) -> Database:
    return Database("postgresql", tmp_path, server, SHARED, anybody)


@pytest.fixture
def lite(tmp_path: Path) -> Database:
    return Database("sqlite", tmp_path)
