"""How long a database that is away is asked for again, and what is said of it."""

from __future__ import annotations

import json

import pytest

from linkd.app.adapter_events import AdapterEvents
from linkd.app.patience import Patience
from linkd.errors import PlaceAway

AWAY = PlaceAway("postgresql://db/shop: the database is away: Connection refused")


def patience(lines: list[str], *, endless: bool, away_max_s: float = 0.004) -> Patience:
    return Patience("orders", AdapterEvents(lines.append), endless, away_max_s, first_delay_s=0.001)


async def test_it_ends_in_a_run_that_ends_and_is_told_once() -> None:
    lines: list[str] = []
    waiting = patience(lines, endless=False)
    with pytest.raises(PlaceAway, match="Connection refused"):
        for _ in range(100):
            await waiting.wait(AWAY)
    assert [json.loads(line) for line in lines] == [
        {
            "event": "waiting",
            "link": "orders",
            "what": "postgresql://db/shop: the database is away: Connection refused; asking again, nothing is lost",
        }
    ]


async def test_it_has_no_end_in_a_run_that_follows_and_begins_anew_when_the_database_is_back() -> None:
    lines: list[str] = []
    waiting = patience(lines, endless=True, away_max_s=0.0)
    waiting.answered()
    await waiting.wait(AWAY)
    await waiting.wait(AWAY)
    waiting.answered()
    waiting.answered()
    await waiting.wait(AWAY)
    assert [json.loads(line)["event"] for line in lines] == ["waiting", "note", "waiting"]
