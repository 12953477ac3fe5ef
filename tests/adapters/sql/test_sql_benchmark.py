"""The benchmark of the PostgreSQL sink works: with few rows, which say nothing of speed."""

from __future__ import annotations

from pathlib import Path

from postgres_sink import rows_of, turns
from rounds import interleave

from linkd.testing.postgres import PostgresServer


def test_every_way_puts_the_same_rows_there(server: PostgresServer, tmp_path: Path) -> None:
    taken = turns(server, rows_of(1_000), tmp_path)
    interleave(taken, 2)
    found = {server.psql(f"SELECT count(*), sum(amount), max(at), sum(weight) FROM {name}") for name in ("copied", "replaced", "appended")}
    assert len(found) == 1
    assert found.pop().startswith("1000|499750.00|")
    assert all(turn.wall_s > 0 for turn in taken)
