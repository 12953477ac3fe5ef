"""A database that is killed while a run reads from it and writes to it: the run waits for it, and nothing is lost and nothing is there twice."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from linkd.testing.pipelines import make_pipeline
from linkd.testing.postgres import PostgresMissing, PostgresServer

ROWS = 200_000
PIPELINE = """
pipeline: shop
wiring: |
  (orders)  total  (totals)
links:
  orders: {{from: "{url}?table=orders", key: id, bound: 1MB}}
  copied: {{from: "{url}?table=orders", to: "{url}?table=copied", mode: append, bound: 1MB}}
  totals: {{to: "{url}?table=totals"}}
tasks:
  total: {{sql: "SELECT count(*) AS orders, count(DISTINCT id) AS ids, sum(amount) AS amount FROM orders"}}
"""
HOLD = """
CREATE TABLE copied (id bigint, amount numeric(12, 2));
CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(60) FROM held; RETURN NULL; END $$;
CREATE TABLE held (n int); INSERT INTO held VALUES (1);
CREATE TRIGGER hold AFTER INSERT ON copied EXECUTE FUNCTION hold();
"""
"""The sink's first value stays in its transaction as long as `held` has a row."""


@pytest.fixture
def mortal() -> Iterator[PostgresServer]:
    """A server that may be killed."""
    try:
        server = PostgresServer.start()
    except PostgresMissing as missing:
        pytest.skip(f"nothing is killed without PostgreSQL: {missing}")
    yield server
    server.stop()


@pytest.mark.slow
def test_a_database_that_is_killed_in_the_middle_of_a_source_and_of_a_sink_loses_nothing_and_doubles_nothing(
    mortal: PostgresServer, tmp_path: Path
) -> None:
    mortal.psql("CREATE TABLE orders (id bigserial PRIMARY KEY, amount numeric(12, 2))")
    mortal.psql(f"INSERT INTO orders (amount) SELECT i / 100.0 FROM generate_series(1, {ROWS}) i; {HOLD}")
    with make_pipeline(tmp_path, PIPELINE.format(url=mortal.url())) as pipeline, pipeline.start("run", "shop.yaml") as run:
        _until(mortal, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'", "1")
        mortal.kill()
        mortal.up()
        mortal.psql("DELETE FROM held")
        stdout, stderr = run.communicate(timeout=90)
        assert run.returncode == 0, stdout + stderr
        assert "the database went away" in stdout + stderr or "the database is away" in stdout + stderr
        expected = mortal.psql("SELECT count(*), count(DISTINCT id), sum(amount) FROM orders")
        assert mortal.psql("SELECT count(*), count(DISTINCT id), sum(amount) FROM copied") == expected
        assert mortal.psql("SELECT orders, ids, amount FROM totals") == expected


def _until(server: PostgresServer, question: str, answer: str) -> None:
    deadline = time.monotonic() + 60
    while server.psql(question) != answer:
        assert time.monotonic() < deadline, question
        time.sleep(0.1)
