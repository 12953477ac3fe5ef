"""Who waits for whom, from what the home describes."""

from __future__ import annotations

from linkd.app.run.stall import StallWatch
from linkd.limits import STALL_AFTER_S, STALL_LINES_MAX
from linkd.wire.v1 import links_pb2 as pb
from linkd.wire.v1 import value_pb2


def link(name: str, values: int = 0, state: str = "growing", writer: str = "", source: str = "") -> pb.LinkInfo:
    current = pb.GenerationInfo(generation=1, values=values, state=state)
    return pb.LinkInfo(name=name, writer=writer, source=source, current=current)


def task(name: str, kind: str, link: str, waiting: int = 0, policy: str = "each", **more: object) -> pb.TaskInfo:
    progress = pb.InputProgress(link=link, waiting_values=waiting)
    state = more.pop("state", "waiting")
    return pb.TaskInfo(
        name=name, kind=kind, inputs=[pb.TaskInput(link=link, policy=policy)], progress=[progress], state=state, **more  # type: ignore[arg-type]
    )  # fmt: skip


def held(link: str, first: int, last: int) -> pb.LeaseInfo:
    return pb.LeaseInfo(portions=[value_pb2.Portion(link=link, first_sequence=first, last_sequence=last)])


SOURCE = pb.TaskInfo(name="from:flights", kind="source", outputs=["flights"], state="running")
SUM_UP = task("sum_up", "sql", "flown", policy="whole", connections=1)
SINK = task("to:totals", "sink", "totals", policy="whole", connections=1)
FLOWN, TOTALS = link("flown", writer="clean"), link("totals", writer="sum_up")


def description(*tasks: pb.TaskInfo, flights: pb.LinkInfo, complete: bool = False) -> pb.DescribeResponse:
    return pb.DescribeResponse(links=[flights, FLOWN, TOTALS], tasks=tasks, run=pb.RunInfo(complete=complete))


def told(found: pb.DescribeResponse, after_s: float = 62.0, *, follow: bool = False) -> list[str]:
    watch = StallWatch(follow=follow)
    watch.saw(found, 100.0)
    return watch.lines(100.0 + after_s)


READ = link("flights", 5, "sealed", source="flights.csv")


def test_who_holds_something_is_told_first_and_who_waits_for_it_behind() -> None:
    clean = task("clean", "run", "flights", 3, connections=1, leased=2, leases=[held("flights", 3, 3)], state="running")
    assert told(description(SINK, SUM_UP, clean, flights=READ)) == [
        "clean has held flights@3 and 1 more for 62 s",
        "the sink of totals waits for totals, which sum_up writes",
        "sum_up waits for flown, which clean writes",
    ]


def test_a_program_that_takes_nothing_is_told() -> None:
    for connections, state, waiting, line in (
        (0, "starting", 5, "clean waits for its program, which has taken nothing"),
        (1, "waiting", 5, "clean waits for its program, which has asked for nothing more"),
        (1, "waiting", 0, "clean waits for its program, which has done everything and does not end"),
        (0, "open", 5, "clean waits for somebody to take its place: eval $(linkd env clean)"),
    ):
        assert told(description(task("clean", "run", "flights", waiting, connections=connections, state=state), flights=READ)) == [line]


def test_a_source_that_does_not_advance_is_told_and_who_waits_for_it() -> None:
    clean = task("clean", "run", "flights", connections=1)
    assert told(description(SOURCE, clean, flights=link("flights", source="flights.csv"))) == [
        "the source of flights has read nothing of flights.csv for 62 s",
        "clean waits for flights, which flights.csv fills",
    ]


def test_who_is_done_or_takes_no_part_is_not_told() -> None:
    clean = task("clean", "run", "flights", ended=True, state="done")
    assert told(description(clean, task("other", "run", "flights", 5, state="stopped"), flights=READ)) == []


def test_in_a_run_that_follows_it_is_no_stall_that_nothing_comes() -> None:
    clean = task("clean", "run", "flights", connections=1)
    growing = link("flights", 5, source="flights.csv")
    assert told(description(SOURCE, clean, SUM_UP, SINK, flights=growing), follow=True) == []
    holding = task("clean", "run", "flights", 1, connections=1, leased=1, leases=[held("flights", 4, 5)], state="running")
    assert told(description(SOURCE, holding, SUM_UP, flights=growing), follow=True) == ["clean has held flights@4-5 for 62 s"]


def test_a_stall_is_told_once_and_again_after_twice_as_long() -> None:
    watch = StallWatch()
    assert watch.due_s() is None
    assert watch.lines(1e9) == []
    still = description(SUM_UP, flights=READ)
    watch.saw(still, 0.0)
    assert watch.due_s() == STALL_AFTER_S
    assert watch.lines(STALL_AFTER_S - 1) == []
    assert watch.lines(STALL_AFTER_S)
    assert watch.lines(STALL_AFTER_S + 1) == []
    watch.saw(still, STALL_AFTER_S + 2)
    assert watch.due_s() == 3 * STALL_AFTER_S
    assert watch.lines(3 * STALL_AFTER_S)
    assert watch.due_s() == 7 * STALL_AFTER_S


def test_anything_that_moves_begins_it_anew_and_the_end_ends_it() -> None:
    watch = StallWatch()
    watch.saw(description(SUM_UP, flights=link("flights", 1)), 0.0)
    watch.saw(description(SUM_UP, flights=link("flights", 2)), 50.0)
    assert watch.lines(STALL_AFTER_S) == []
    assert watch.due_s() == 50.0 + STALL_AFTER_S
    watch.saw(description(SUM_UP, flights=READ, complete=True), 60.0)
    assert watch.due_s() is None


def test_of_a_large_pipeline_only_some_are_named() -> None:
    tasks = [task(f"t{number}", "run", "flown", connections=1) for number in range(100)]
    lines = told(description(*tasks, flights=READ))
    assert len(lines) == STALL_LINES_MAX + 1
    assert lines[-1] == f"and {100 - STALL_LINES_MAX} more wait"
