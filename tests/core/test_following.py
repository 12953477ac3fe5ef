"""When tasks begin again in a run that follows: after their inputs were idle, once for each state of them, and never for half of one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from core_layouts import pipeline, run_task, source
from hypothesis import given
from hypothesis import strategies as st

from linkd.core import commits, publishing, runs
from linkd.core.commits import CommitRequest
from linkd.core.following import Following, Moment, begin_again
from linkd.core.layout import Layout
from linkd.core.ledger import Ledger
from linkd.core.links import GenerationState
from linkd.core.publishing import Draft, Maker
from linkd.core.runs import RunPlan
from linkd.core.tasks import Offer
from linkd.model.records import Record, SourceMoved, TaskBegan

SCHEMA = (b"1" * 16, b"schema")
EVERY_S = 10.0

DIAMOND = pipeline(
    run_task("clean", {"events": "each"}, "cleaned"),
    run_task("count", {"cleaned": "whole"}, "counts"),
    run_task("report", {"cleaned": "whole", "counts": "whole"}, "reports"),
    run_task("mail", {"reports": "each"}, "mails"),
    outside=["events"],
)


@dataclass
class Live:
    """A run that follows, on a clock that is moved by hand. Programs do their work when told."""

    layout: Layout
    ledger: Ledger = field(default_factory=Ledger)
    now_s: float = 1_000.0
    changed_s: dict[str, float] = field(default_factory=dict)
    began: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ledger.shapes = self.layout.tasks
        links, tasks = list(self.layout.links.values()), list(self.layout.tasks.values())
        self.admit(runs.begin(self.ledger, RunPlan("run 1", 1, False, "", links, tasks, follow=True), 0))

    def admit(self, records: Iterable[Record]) -> None:
        before = {name: link.durable_sequence for name, link in self.ledger.links.items()}
        self.ledger.restore(list(records))
        for name, link in self.ledger.links.items():
            if before.get(name, 0) != link.durable_sequence:
                self.changed_s[name] = self.now_s

    def append(self, link: str) -> None:
        self.admit(publishing.publish(self.ledger, [_draft(link)], Maker(), 0, bytes(10)))

    def work(self, name: str) -> int:
        """The program takes all there is for it and publishes a value to each output; how many snapshots that were."""
        done = 0
        task = self.ledger.tasks[name]
        while isinstance(offer := task.next_snapshot(self.ledger.links, follow=True), Offer):
            lease = commits.lease(self.ledger, task, offer)
            self.admit([lease])
            task.leases[lease.snapshot_id].session = 1
            drafts = [_draft(link) for link in task.shape.outputs]
            self.admit(
                commits.commit(
                    self.ledger, CommitRequest(name, lease.snapshot_id, lease.token, drafts, done, final=task.shape.is_whole), done
                )
            )
            done += 1
        return done

    def look(self) -> list[str]:
        """What begins again now, begun."""
        due = Following(self.ledger, Moment(self.now_s, self.changed_s, {}, EVERY_S)).look().due
        for task in due:
            records = begin_again(self.ledger, task, self.layout.links)
            assert isinstance(records[-1], TaskBegan)
            self.admit(records)
        return [task.name for task in due]

    def next_s(self) -> float | None:
        found = Following(self.ledger, Moment(self.now_s, self.changed_s, {}, EVERY_S)).look()
        return found.next_s

    def settle(self) -> Mapping[str, int]:
        """Time passes and programs work until nothing moves; how often each task began."""
        counts: dict[str, int] = {}
        while True:
            worked = sum(self.work(name) for name in self.layout.tasks if not name.startswith("from:"))
            begun = self.look()
            for name in begun:
                counts[name] = counts.get(name, 0) + 1
            if not worked and not begun:
                at_s = self.next_s()
                if at_s is None:
                    return counts
                self.now_s = at_s


def _draft(link: str) -> Draft:
    return Draft(link, 1, 10, SCHEMA[0], SCHEMA[1], 1)


def test_a_whole_task_waits_until_its_input_was_idle_and_takes_what_is_there_then() -> None:
    live = Live(DIAMOND)
    live.append("events")
    live.work("clean")
    assert live.look() == []
    assert live.next_s() == live.now_s + EVERY_S
    live.now_s += EVERY_S - 1
    live.append("events")
    live.work("clean")
    live.now_s += 1
    assert live.look() == []
    live.now_s += EVERY_S
    assert live.look() == ["count"]
    count = live.ledger.tasks["count"]
    assert (count.extents, count.outputs) == ({"cleaned": 2}, {"counts": 1})
    assert live.work("count") == 1
    assert live.ledger.links["counts"].generations[1].is_sealed


def test_nothing_begins_while_nothing_came_and_nothing_begins_twice_for_one_state() -> None:
    live = Live(DIAMOND)
    live.now_s += 100
    assert live.settle() == {}
    live.append("events")
    assert live.settle() == {"count": 1, "report": 1}
    live.now_s += 100
    assert live.settle() == {}


def test_a_task_with_two_roads_to_one_source_begins_once_for_both() -> None:
    live = Live(DIAMOND)
    for _ in range(3):
        live.append("events")
        counts = live.settle()
        assert counts["count"] == 1
        assert counts["report"] == 1
    report = live.ledger.tasks["report"]
    counts_link = live.ledger.links["counts"]
    assert report.inputs["counts"] == counts_link.newest


def test_readers_see_the_old_result_until_the_new_one_is_sealed() -> None:
    live = Live(DIAMOND)
    live.append("events")
    live.settle()
    counts = live.ledger.links["counts"]
    assert counts.readable is counts.generations[1]
    live.append("events")
    live.work("clean")
    live.now_s += EVERY_S
    assert live.look() == ["count"]
    assert counts.newest == 2
    assert counts.readable is counts.generations[1]
    live.work("count")
    assert counts.readable is counts.generations[2]


def test_a_task_that_takes_values_in_turn_moves_on_to_the_new_generation_when_it_is_through_with_the_old_one() -> None:
    live = Live(DIAMOND)
    live.append("events")
    live.settle()
    mail = live.ledger.tasks["mail"]
    assert (mail.execution, mail.inputs) == (1, {"reports": 1})
    live.append("events")
    assert live.settle()["mail"] == 1
    assert mail.inputs == {"reports": 2}
    mails = live.ledger.links["mails"]
    assert (mails.newest, mails.generations[2].values) == (2, 1)


def test_a_chain_goes_on_while_its_source_never_rests() -> None:
    layout = pipeline(run_task("count", {"events": "whole"}, "counts"), run_task("echo", {"counts": "whole"}, "echoes"), outside=["events"])
    live = Live(layout)
    for _ in range(3):
        live.append("events")
        live.now_s += EVERY_S
        live.look()
        live.append("events")  # before anybody is through with what came before
        live.work("count")
        live.look()
        live.work("echo")
    assert live.ledger.tasks["echo"].inputs == {"counts": 3}


def test_what_is_read_as_latest_is_the_newest_complete_generation_and_starts_nothing_over() -> None:
    layout = pipeline(
        run_task("count", {"events": "whole"}, "counts"),
        run_task("judge", {"cases": "each", "counts": "latest"}, "verdicts"),
        outside=["events", "cases"],
    )
    live = Live(layout)
    judge = live.ledger.tasks["judge"]
    for _ in range(3):
        live.append("events")
        live.settle()
        live.append("cases")
        live.work("judge")
        live.settle()
    read = [portion.generation for record in judge.committed.values() for portion in record.portions if portion.link == "counts"]
    assert read == [1, 2, 3]
    assert judge.execution == 1


def test_an_input_that_is_complete_needs_not_be_idle() -> None:
    layout = pipeline(source("names"), run_task("count", {"names": "whole"}, "counts"))
    live = Live(layout)
    moved = SourceMoved("names", 1, b"end", "digest", 1, 0, final=True)
    live.admit(publishing.source_step(live.ledger, "names", [_draft("names")], moved, Maker("from:names", "v"), 0))
    assert live.work("count") == 1
    assert live.settle() == {}


@given(st.lists(st.sampled_from(["append", "work clean", "work count", "work report", "work mail", "wait", "look"]), max_size=40))
def test_whatever_happens_in_whatever_order_everything_is_current_at_the_end(steps: list[str]) -> None:
    live = Live(DIAMOND)
    appended = 0
    for step in steps:
        what, _, name = step.partition(" ")
        if what == "append":
            live.append("events")
            appended += 1
        elif what == "work":
            live.work(name)
        elif what == "wait":
            live.now_s += 4.0
        else:
            live.look()
        for link in ("counts", "reports"):
            growing = [g for g in live.ledger.links[link].generations.values() if g.state is GenerationState.GROWING]
            assert len(growing) <= 1
    live.settle()
    links = live.ledger.links
    assert links["cleaned"].generations[1].values == appended
    if appended:
        report, count = live.ledger.tasks["report"], live.ledger.tasks["count"]
        assert count.cursors["cleaned"].done_sequence == links["cleaned"].durable_sequence
        assert report.cursors["cleaned"].done_sequence == links["cleaned"].durable_sequence
        assert report.inputs["counts"] == links["counts"].newest
        assert all(links[name].generations[links[name].newest].is_sealed for name in ("counts", "reports"))
        assert live.ledger.tasks["mail"].inputs["reports"] == links["reports"].newest
