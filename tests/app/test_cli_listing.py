"""What `linkd ls` says of links and tasks."""

from __future__ import annotations

from dataclasses import replace

from linkd.app.cli.listing import document, group_columns, headline, hold_columns, lease_columns, link_columns, task_columns, waits
from linkd.app.cli.tables import table_lines
from linkd.app.wording import age_text, rate_text
from linkd.client.description import (
    Description,
    DroppedDescription,
    GenerationDescription,
    GroupDescription,
    HoldDescription,
    InputDescription,
    LeaseDescription,
    LinkDescription,
    RateDescription,
    RunDescription,
    TaskDescription,
)
from linkd.model.values import Durability, Parent

SEALED = GenerationDescription(1, "sealed", "clean", "v1", 1, 6, 6, 328_521, 49_000_000)
GROWING = GenerationDescription(2, "growing", "clean", "v2", 7, 8, 2, 130_000, 19_000_000)
FLOWN = LinkDescription(
    "flown", "clean", ("sum_up", "to:flown"), "", "out/flown.csv", False, False, Durability.FSYNC, b"", SEALED, GROWING, 68_000_000, 8, None, "stop",
    1_795_411_900_000_000_000, RateDescription(0.5, 12_345.6, 1e6)
)  # fmt: skip
SUM_UP = TaskDescription(
    "sum_up", "sql", "01fa5971ee29", (InputDescription("flown", "whole", 1, 4, 0, 2),), ("totals",), 1, False, 0, 0, 1, "running"
)
SINK = TaskDescription("to:flown", "sink", "", (InputDescription("flown", "whole", 1, 1, 0, 5),), (), 1, False, 0, 0, 1)
RUN = RunDescription(3, "run", 1_795_411_905_123_456_789, "running", "clean.py changed", False)
FOUND = Description(
    "flights", "0.1.0", "/p/.linkd/flights", "grpc", False, 3, (FLOWN,), (SUM_UP, SINK), (), RUN, "", 42, 1_795_411_910_000_000_000
)


def only_row(found: Description) -> dict[str, str | None]:
    return {column.heading: column.cells[0] for column in link_columns(found)}


def test_a_link_tells_what_readers_see_and_that_a_newer_generation_grows() -> None:
    assert only_row(FOUND) == {
        "link": "flown",
        "rows": "328,521",
        "values": "6",
        "size": "68 MB",
        "gen": "1",
        "state": "sealed, 2 growing",
        "rows/s": "12,346",
        "last": "10 s",
        "lag": "5",
        "written by": "clean",
        "read by": "sum_up, out/flown.csv",
    }


def test_of_a_pipeline_that_stands_still_there_are_no_rates_unless_the_table_is_watched() -> None:
    still = replace(FOUND, run=replace(RUN, outcome="done"), links=(replace(FLOWN, rate=None),))
    assert "rows/s" not in only_row(still)
    assert [column.cells for column in link_columns(still, steady=True) if column.heading == "rows/s"] == [[""]]
    assert only_row(replace(still, run=RUN))["rows/s"] == ""


def test_a_narrow_terminal_shows_the_columns_that_matter_most() -> None:
    headings = [str(table_lines(link_columns(FOUND), width)[0][0]).split() for width in (44, 80, 200)]
    assert headings[0] == ["link", "rows", "state", "rows/s", "lag"]
    assert headings[1] == ["link", "rows", "values", "size", "state", "rows/s", "last", "lag"]
    assert headings[2][-4:] == ["written", "by", "read", "by"]
    assert all(len(str(line)) <= 80 for line in table_lines(link_columns(FOUND), 80)[0])
    assert table_lines(link_columns(FOUND), 80)[1] == 3


def test_leases_say_which_snapshot_of_which_task_since_when() -> None:
    portions = tuple(Parent("flown", 1, 1, first, first) for first in range(1, 7))
    held = replace(SUM_UP, leased=1, leases=(LeaseDescription("ab", portions, 2, 1_795_411_909_000_000_000 - 300 * 10**9),))
    assert [list(column.cells) for column in lease_columns(replace(FOUND, tasks=(held,)))] == [
        ["sum_up"],
        ["flown@1, flown@2, flown@3, flown@4, …"],
        ["2"],
        ["5 min"],
    ]


def test_who_waits_for_whom_is_told_while_a_run_is_on() -> None:
    def said(state: str, found: Description = FOUND) -> list[str]:
        return waits(replace(found, tasks=(replace(SUM_UP, state=state), SINK)))

    assert said("waiting") == ["sum_up waits for flown (of clean)"]
    assert said("starting") == ["sum_up waits for its program"]
    assert said("open") == ["sum_up: its place is open, nobody has taken it"]
    assert said("running") == said("waiting", replace(FOUND, run=replace(RUN, outcome="done"))) == []


def test_ages_and_rates_are_told_in_one_unit() -> None:
    assert [age_text(seconds) for seconds in (0.2, 42, 119, 120, 3_599, 3_600, 86_400, 1_000_000)] == [
        "now", "42 s", "119 s", "2 min", "60 min", "1 h", "1 d", "12 d",
    ]  # fmt: skip
    assert [rate_text(rate) for rate in (0.5, 9.96, 12.3, 1_234)] == ["0.5", "10.0", "12", "1,234"]


def test_the_lag_is_that_of_the_slowest_reader_groups_too() -> None:
    found = replace(FOUND, groups=(GroupDescription("alerts", "flown", 0, 9, 0, 0),))
    assert only_row(found)["lag"] == "9"
    assert only_row(found)["read by"] == "sum_up, out/flown.csv, alerts"


def test_a_link_without_values_is_empty_and_shows_its_source() -> None:
    link = replace(FLOWN, writer="from:flown", source="data/flown.csv", read=None, current=None, size_bytes=0, values=0)
    row = only_row(replace(FOUND, links=(link,)))
    assert (row["state"], row["rows"], row["written by"]) == ("empty", "", "data/flown.csv")


def test_tasks_are_told_without_sources_and_sinks() -> None:
    rows = {column.heading: list(column.cells) for column in task_columns(FOUND, verbose=True)}
    assert rows["task"] == ["sum_up"]
    assert rows["state"] == ["running"]
    assert rows["inputs"] == ["flown whole"]
    assert rows["version"] == ["01fa5971"]


def test_what_is_held_and_what_waits_has_a_column_only_where_something_does() -> None:
    def headings(task: TaskDescription, *, steady: bool = False) -> set[str]:
        return {column.heading for column in task_columns(replace(FOUND, tasks=(task,)), steady=steady)}

    assert "lag" in headings(SUM_UP)
    assert "held" in headings(replace(SUM_UP, leased=2))
    idle = replace(SUM_UP, inputs=())
    assert not {"lag", "held"} & headings(idle)
    assert {"lag", "held"} <= headings(idle, steady=True)


def test_the_headline_says_how_the_newest_run_stands() -> None:
    assert headline(FOUND) == "flights: run 3 running, begun 2026-11-23T05:31:45.123Z"
    assert "clean.py changed" in headline(FOUND, verbose=True)
    assert headline(replace(FOUND, run=None)) == "flights: has not run yet"


def test_the_document_has_no_bytes() -> None:
    told = document(FOUND)
    assert told["links"][0]["columns"] == []
    assert "schema" not in told["links"][0]
    assert told["tasks"][0]["inputs"][0]["waiting_values"] == 2


def test_what_was_dropped_is_told_with_its_reasons_and_who_lost_it() -> None:
    dropped = (DroppedDescription("full", 1_200, 1), DroppedDescription("age", 3, 2))
    full = replace(FLOWN, dropped=dropped, bound_bytes=8_000_000, on_full="drop_oldest", waiting_bytes=1_000_000, retain="86400 s, hard")
    found = replace(FOUND, links=(full,), groups=(GroupDescription("g", "flown", 4, 2, 0, 0, lost_values=1_203),))
    assert only_row(found)["dropped"] == "1,200 full, 3 age"
    told = {column.heading: column.cells[0] for column in link_columns(found, verbose=True)}
    assert (told["when full"], told["keeps"]) == ("drop_oldest (1.0 MB of 8.0 MB)", "86400 s, hard")
    assert {column.heading: column.cells for column in group_columns(found)}["lost"] == ["1,203"]
    assert "lost" not in {column.heading for column in group_columns(replace(found, groups=(GroupDescription("g", "flown", 4, 2, 0, 0),)))}


def test_holds_say_what_stays_for_whom_until_when() -> None:
    named = HoldDescription("export", "", "flown", 1, 2, 5, 1_795_411_900_000_000_000, "copying")
    read = HoldDescription("", "sum_up", "flown", 1, 3, 0, 0, "")
    told = {column.heading: column.cells for column in hold_columns(replace(FOUND, holds=(named, read)))}
    assert told == {
        "held": ["flown@2..5", "flown@3.."],
        "by": ["export", "sum_up"],
        "until": ["2026-11-23T05:31:40Z", "it is read"],
        "for": ["copying", ""],
    }
