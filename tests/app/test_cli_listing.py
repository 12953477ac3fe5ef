"""What `linkd ls` says of links and tasks."""

from __future__ import annotations

from dataclasses import replace

from linkd.app.cli.listing import document, headline, link_columns, task_columns
from linkd.client.description import (
    Description,
    GenerationDescription,
    GroupDescription,
    InputDescription,
    LinkDescription,
    RunDescription,
    TaskDescription,
)
from linkd.model.values import Durability

SEALED = GenerationDescription(1, "sealed", "clean", "v1", 1, 6, 6, 328_521, 49_000_000)
GROWING = GenerationDescription(2, "growing", "clean", "v2", 7, 8, 2, 130_000, 19_000_000)
FLOWN = LinkDescription(
    "flown", "clean", ("sum_up", "to:flown"), "", "out/flown.csv", False, False, Durability.FSYNC, b"", SEALED, GROWING, 68_000_000, 8, None, "stop"
)  # fmt: skip
SUM_UP = TaskDescription("sum_up", "sql", "01fa5971ee29", (InputDescription("flown", "whole", 1, 4, 0, 2),), ("totals",), 1, False, 0, 0, 1)
SINK = TaskDescription("to:flown", "sink", "", (InputDescription("flown", "whole", 1, 1, 0, 5),), (), 1, False, 0, 0, 1)
RUN = RunDescription(3, "run", 1_795_411_905_123_456_789, "running", "clean.py changed", False)
FOUND = Description("flights", "0.1.0", "/p/.linkd/flights", "grpc", False, 3, (FLOWN,), (SUM_UP, SINK), (), RUN, "", 42)


def only_row(found: Description) -> dict[str, str | None]:
    return {column.heading: column.cells[0] for column in link_columns(found)}


def test_a_link_tells_what_readers_see_and_that_a_newer_generation_grows() -> None:
    assert only_row(FOUND) == {
        "link": "flown",
        "values": "6",
        "rows": "328,521",
        "size": "68 MB",
        "state": "sealed, 2 growing",
        "gen": "1",
        "writer": "clean",
        "readers": "sum_up, out/flown.csv",
        "lag": "5",
    }


def test_the_lag_is_that_of_the_slowest_reader_groups_too() -> None:
    found = replace(FOUND, groups=(GroupDescription("alerts", "flown", 0, 9, 0, 0),))
    assert only_row(found)["lag"] == "9"
    assert only_row(found)["readers"] == "sum_up, out/flown.csv, alerts"


def test_a_link_without_values_is_empty_and_shows_its_source() -> None:
    link = replace(FLOWN, writer="from:flown", source="data/flown.csv", read=None, current=None, size_bytes=0, values=0)
    row = only_row(replace(FOUND, links=(link,)))
    assert (row["state"], row["rows"], row["writer"]) == ("empty", "", "data/flown.csv")


def test_tasks_are_told_without_sources_and_sinks() -> None:
    rows = {column.heading: list(column.cells) for column in task_columns(FOUND, verbose=True)}
    assert rows["task"] == ["sum_up"]
    assert rows["state"] == ["running"]
    assert rows["inputs"] == ["flown whole"]
    assert rows["version"] == ["01fa5971"]


def test_a_task_is_done_when_it_ended_and_stopped_when_nobody_works_on_it() -> None:
    def state(task: TaskDescription) -> str | None:
        return next(column.cells[0] for column in task_columns(replace(FOUND, tasks=(task,))) if column.heading == "state")

    assert state(replace(SUM_UP, ended=True)) == "done"
    assert state(replace(SUM_UP, connections=0)) == "stopped"
    assert state(replace(SUM_UP, execution=0)) == "not begun"


def test_the_headline_says_how_the_newest_run_stands() -> None:
    assert headline(FOUND) == "flights: run 3 running, begun 2026-11-23T05:31:45.123Z"
    assert "clean.py changed" in headline(FOUND, verbose=True)
    assert headline(replace(FOUND, run=None)) == "flights: has not run yet"


def test_the_document_has_no_bytes() -> None:
    told = document(FOUND)
    assert told["links"][0]["columns"] == []
    assert "schema" not in told["links"][0]
    assert told["tasks"][0]["inputs"][0]["waiting_values"] == 2
