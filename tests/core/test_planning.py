"""What a run has to do: begins again what changed and all that depends on it, goes on with what grew, and leaves everything else alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import pytest
from core_layouts import pipeline, run_task, sink, source
from hypothesis import given
from hypothesis import strategies as st

from linkd.core import following, publishing, runs
from linkd.core.layout import Layout
from linkd.core.ledger import Ledger
from linkd.core.links import GenerationState
from linkd.core.planning import Action, Facts, Wishes, left_unread, needed_for, plan_steps
from linkd.core.publishing import Draft, Maker
from linkd.core.runs import RunPlan
from linkd.core.tasks import TaskShape
from linkd.errors import LinkNotFound
from linkd.model.records import (
    GenerationBegan,
    GenerationEnded,
    GenerationReopened,
    Record,
    RunBegan,
    SnapshotCommitted,
    SourceMoved,
    TaskBegan,
    TaskKind,
)
from linkd.model.values import Parent

SCHEMA = (b"1" * 16, b"schema")
EVERYTHING = Wishes()


FLIGHTS = pipeline(
    source("flights"),
    source("airlines"),
    run_task("clean", {"flights": "each"}, "flown", "cancelled"),
    run_task("sum_up", {"flown": "whole", "airlines": "whole"}, "totals"),
    sink("totals"),
)
EVENTS = pipeline(
    run_task("clean", {"events": "each"}, "cleaned"),
    run_task("pair", {"cleaned": "[2]"}, "pairs"),
    run_task("count", {"cleaned": "whole"}, "counts"),
    outside=["events"],
)


@dataclass
class Life:
    """A pipeline that is planned, begun and completed again and again."""

    layout: Layout
    ledger: Ledger = field(default_factory=Ledger)
    records: list[Record] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ledger.shapes = self.layout.tasks

    def of(self, layout: Layout) -> None:
        """The pipeline file was edited."""
        self.layout, self.ledger.shapes = layout, layout.tasks

    def admit(self, records: Iterable[Record]) -> None:
        kept = list(records)
        self.ledger.restore(kept)
        self.records = kept

    def plan(self, changes: Mapping[str, str] | None = None, wishes: Wishes = EVERYTHING, **facts: object) -> dict[str, tuple[Action, str]]:
        steps = plan_steps(self.ledger, self.layout, Facts(changes or {}, **facts), wishes)  # type: ignore[arg-type]
        return {step.task: (step.action, step.reason) for step in steps}

    def run(self, changes: Mapping[str, str] | None = None, wishes: Wishes = EVERYTHING, *, complete: bool = True, **facts: object) -> None:
        """Begins what the plan says, and completes it."""
        steps = self.plan(changes, wishes, **facts)
        self.ledger.epoch += 1

        def having(action: Action) -> frozenset[str]:
            return frozenset(name for name, (found, _) in steps.items() if found is action)

        skipped = having(Action.SKIP)
        plan = RunPlan(
            f"run {self.ledger.epoch}",
            self.ledger.epoch,
            False,
            "because",
            list(self.layout.links.values()),
            list(self.layout.tasks.values()),
            again=having(Action.BEGIN),
            resumed=having(Action.RESUME),
            selected=frozenset(steps) - skipped if skipped else frozenset(),
            follow=wishes.follow,
        )
        self.admit(runs.begin(self.ledger, plan, 0))
        began = self.records
        if complete:
            for name in self.layout.tasks:
                if name not in skipped:
                    self.complete(name)
        self.records = began

    def complete(self, name: str) -> None:
        found = self.ledger.tasks[name]
        if found.ended:
            return
        if found.shape.kind is TaskKind.SOURCE:
            link = found.shape.outputs[0]
            number = self.ledger.links[link].newest
            moved = SourceMoved(link, number, b"end", "digest", 1, 0, final=True)
            self.admit(publishing.source_step(self.ledger, link, [draft(link)], moved, Maker(name, "v"), 0))
        else:
            self.admit(runs.task_exited(self.ledger, found, 0))

    def append(self, link: str) -> None:
        if link not in self.ledger.links:
            self.admit(publishing.open_link(link, 0))
        self.admit(publishing.publish(self.ledger, [draft(link)], Maker(), 0, bytes(10)))


def draft(link: str) -> Draft:
    return Draft(link, 1, 10, SCHEMA[0], SCHEMA[1], 1)


def actions(planned: Mapping[str, tuple[Action, str]]) -> dict[str, Action]:
    return {name: action for name, (action, _) in planned.items()}


def test_the_first_run_begins_everything() -> None:
    assert set(Life(FLIGHTS).plan().values()) == {(Action.BEGIN, "first run")}


def test_when_all_is_complete_and_nothing_changed_there_is_nothing_to_do() -> None:
    life = Life(FLIGHTS)
    life.run()
    assert set(life.plan().values()) == {(Action.NOTHING, "unchanged")}


def test_another_version_begins_again_with_all_that_depends_on_it_and_nothing_else() -> None:
    life = Life(FLIGHTS)
    life.run()
    assert life.plan({"clean": "clean.py changed"}) == {
        "from:flights": (Action.NOTHING, "unchanged"),
        "from:airlines": (Action.NOTHING, "unchanged"),
        "clean": (Action.BEGIN, "clean.py changed"),
        "sum_up": (Action.BEGIN, "its input flown changes"),
        "to:totals": (Action.BEGIN, "its input totals changes"),
    }
    life.run({"clean": "clean.py changed"})
    generations = {name: link.newest for name, link in life.ledger.links.items()}
    assert generations == {"flights": 1, "airlines": 1, "flown": 2, "cancelled": 2, "totals": 2}
    assert life.ledger.tasks["clean"].inputs == {"flights": 1}
    [totals] = [one for one in life.records if isinstance(one, GenerationBegan) and one.link == "totals"]
    assert {parent.link: parent.generation for parent in totals.inputs} == {"flown": 2, "airlines": 1}


def test_a_changed_source_is_read_again_into_a_new_generation() -> None:
    life = Life(FLIGHTS)
    life.run()
    planned = life.plan({"from:airlines": "airlines.csv changed"})
    assert actions(planned) == {
        "from:flights": Action.NOTHING,
        "from:airlines": Action.BEGIN,
        "clean": Action.NOTHING,
        "sum_up": Action.BEGIN,
        "to:totals": Action.BEGIN,
    }


def test_a_source_with_more_behind_what_was_read_goes_on_and_wholes_are_made_anew() -> None:
    life = Life(FLIGHTS)
    life.run()
    assert life.plan(grown=frozenset({"from:flights"})) == {
        "from:flights": (Action.RESUME, "its source grew"),
        "from:airlines": (Action.NOTHING, "unchanged"),
        "clean": (Action.RESUME, "its input flights grew"),
        "sum_up": (Action.BEGIN, "its input flown grew"),
        "to:totals": (Action.BEGIN, "its input totals changes"),
    }


def test_what_was_interrupted_continues_and_the_interrupted_generation_is_not_begun_anew() -> None:
    life = Life(FLIGHTS)
    life.run(complete=False)
    life.complete("from:flights")
    assert actions(life.plan()) == {
        "from:flights": Action.NOTHING,
        "from:airlines": Action.CONTINUE,
        "clean": Action.CONTINUE,
        "sum_up": Action.CONTINUE,
        "to:totals": Action.CONTINUE,
    }
    life.run(complete=False)
    assert [type(record) for record in life.records] == [RunBegan]


def test_an_edit_after_an_interruption_abandons_what_was_growing_and_all_made_from_it() -> None:
    life = Life(FLIGHTS)
    life.run(complete=False)
    life.complete("from:flights")
    life.complete("from:airlines")
    life.run({"clean": "clean.py changed"}, complete=False)
    ended = {record.link for record in life.records if isinstance(record, GenerationEnded)}
    assert ended == {"flown", "cancelled", "totals"}


def test_what_complete_programs_left_unread_is_told_of_those_that_do_not_run_again() -> None:
    life = Life(FLIGHTS)
    life.run()
    steps = plan_steps(life.ledger, life.layout, Facts(), EVERYTHING)
    assert left_unread(life.ledger, life.layout, steps) == {"clean": {"flights": 1}, "sum_up": {"airlines": 1}}
    steps = plan_steps(life.ledger, life.layout, Facts({"sum_up": "its code changed"}), EVERYTHING)
    assert left_unread(life.ledger, life.layout, steps) == {"clean": {"flights": 1}}


def test_a_sink_whose_file_is_gone_is_written_again_alone() -> None:
    life = Life(FLIGHTS)
    life.run()
    planned = life.plan(lost={"to:totals": "out/totals.csv is not there any more"})
    assert planned.pop("to:totals") == (Action.BEGIN, "out/totals.csv is not there any more")
    assert set(actions(planned).values()) == {Action.NOTHING}


def test_a_sink_that_takes_value_by_value_and_got_none_has_lost_no_file() -> None:
    log = TaskShape("to:cancelled", TaskKind.SINK, (("cancelled", "each"),), ())
    life = Life(pipeline(source("flights"), run_task("clean", {"flights": "each"}, "cancelled"), log))
    life.run()
    lost = {"to:cancelled": "out/cancelled.csv is not there any more"}
    assert set(actions(life.plan(lost=lost)).values()) == {Action.NOTHING}, "it would write no file this time, either"
    life.run({"clean": "clean.py changed"}, complete=False)
    life.complete("from:flights")
    life.append("cancelled")
    life.complete("clean")
    life.complete("to:cancelled")
    assert life.plan(lost=lost)["to:cancelled"] == (Action.BEGIN, "out/cancelled.csv is not there any more")


JUDGED = pipeline(source("flights"), source("prices"), run_task("judge", {"flights": "each", "prices": "latest"}, "judged"))


@pytest.mark.parametrize(
    ("generation", "sequence", "action"), [(1, 1, Action.CONTINUE), (1, 0, Action.BEGIN), (0, 0, Action.BEGIN)], ids=str
)
def test_what_a_run_that_followed_looked_up_too_early_is_made_anew_by_one_that_ends(generation: int, sequence: int, action: Action) -> None:
    life = Life(JUDGED)
    life.run(wishes=Wishes(follow=True), complete=False)
    life.complete("from:prices")
    portions = (Parent("flights", 1, 1, 1, 1), Parent("prices", 1, generation, sequence, sequence))
    life.admit([SnapshotCommitted("judge", 1, b"s", 1, 1, portions, (), 0, 0)])
    assert life.plan()["judge"][0] is action
    assert life.plan(wishes=Wishes(follow=True))["judge"][0] is Action.CONTINUE, "there, the latest is what it was at the moment"


def test_only_one_link_takes_what_it_needs_and_nothing_else() -> None:
    life = Life(FLIGHTS)
    life.run(wishes=Wishes(frozenset({"flown"})))
    assert needed_for(FLIGHTS, frozenset({"flown"})) == {"from:flights", "clean"}
    assert life.ledger.run is not None
    assert set(life.ledger.run.tasks) == {"from:flights", "clean"}
    assert runs.is_complete(life.ledger)
    planned = life.plan()
    assert actions(planned) == {
        "from:flights": Action.NOTHING,
        "from:airlines": Action.BEGIN,
        "clean": Action.NOTHING,
        "sum_up": Action.BEGIN,
        "to:totals": Action.BEGIN,
    }
    with pytest.raises(LinkNotFound, match="there is no link `flwn` to build"):
        life.plan(wishes=Wishes(frozenset({"flwn"})))


def test_building_one_link_anew_leaves_what_depends_on_it_for_the_next_run_and_readers_with_the_old() -> None:
    life = Life(FLIGHTS)
    life.run()
    life.run({"clean": "clean.py changed"}, Wishes(frozenset({"flown"})))
    totals = life.ledger.links["totals"]
    assert totals.readable is totals.generations[1]
    planned = life.plan()
    assert planned["sum_up"] == (Action.BEGIN, "its input flown changes")
    assert planned["clean"] == (Action.NOTHING, "unchanged")


def test_what_outsiders_append_is_taken_further_value_by_value_and_makes_windows_and_wholes_anew() -> None:
    life = Life(EVENTS)
    life.append("events")
    life.run()
    assert set(actions(life.plan()).values()) == {Action.NOTHING}
    life.append("events")
    assert life.plan() == {
        "clean": (Action.RESUME, "its input events grew"),
        "pair": (Action.BEGIN, "its input cleaned grew"),
        "count": (Action.BEGIN, "its input cleaned grew"),
    }
    cursor = life.ledger.tasks["clean"].cursors["events"].done_sequence
    life.run(complete=False)
    assert GenerationReopened("cleaned", 1, within_run=True) in life.records
    assert [record.task for record in life.records if isinstance(record, TaskBegan)] == ["pair", "count"]
    assert life.ledger.tasks["clean"].cursors["events"].done_sequence == cursor
    assert life.ledger.links["cleaned"].readable is life.ledger.links["cleaned"].generations[1]


def test_what_grew_behind_an_interruption_makes_windows_and_wholes_anew_too() -> None:
    life = Life(EVENTS)
    life.append("events")
    life.run(complete=False)
    life.append("events")
    expected = {"clean": Action.CONTINUE, "pair": Action.CONTINUE, "count": Action.CONTINUE}
    assert actions(life.plan()) == expected, "clean takes what is more, and nothing of it was complete for those behind it"
    life.complete("clean")
    life.append("events")
    assert actions(life.plan()) == {"clean": Action.RESUME, "pair": Action.BEGIN, "count": Action.BEGIN}
    wishes = Wishes(on_change={"count": "continue"})
    assert life.plan({"count": "count.py changed"}, wishes)["count"][0] is Action.BEGIN


def test_what_was_complete_before_a_run_that_followed_reopened_its_input_is_not_current() -> None:
    life = Life(EVENTS)
    life.append("events")
    life.run()
    life.run(wishes=Wishes(follow=True), complete=False)
    life.append("events")
    assert life.plan() == {
        "clean": (Action.CONTINUE, "not complete"),
        "pair": (Action.BEGIN, "its input cleaned grew"),
        "count": (Action.BEGIN, "its input cleaned grew"),
    }


def test_on_change_continue_goes_on_with_the_new_version_and_marks_it() -> None:
    life = Life(FLIGHTS)
    life.run()
    wishes = Wishes(on_change={"clean": "continue"})
    assert life.plan({"clean": "clean.py changed"}, wishes)["clean"] == (Action.RESUME, "clean.py changed, and the new version continues")
    life.run({"clean": "clean.py changed"}, wishes)
    assert life.ledger.links["flown"].newest == 1


def test_on_change_continue_does_not_hold_against_a_new_generation_of_the_input() -> None:
    life = Life(FLIGHTS)
    life.run()
    planned = life.plan({"clean": "clean.py changed", "from:flights": "changed"}, Wishes(on_change={"clean": "continue"}))
    assert planned["clean"] == (Action.BEGIN, "clean.py changed")


def test_a_run_that_follows_reopens_what_can_grow_and_seals_nothing_of_outsiders() -> None:
    life = Life(EVENTS)
    life.append("events")
    life.run()
    planned = life.plan(wishes=Wishes(follow=True))
    assert actions(planned) == {"clean": Action.RESUME, "pair": Action.FOLLOW, "count": Action.FOLLOW}
    life.run(wishes=Wishes(follow=True), complete=False)
    assert life.ledger.links["events"].generations[1].state is GenerationState.GROWING
    assert not runs.is_complete(life.ledger)


def test_a_finite_run_behind_one_that_followed_completes_what_was_made_of_a_moment() -> None:
    life = Life(EVENTS)
    life.append("events")
    life.run(wishes=Wishes(follow=True), complete=False)
    life.admit(publishing.publish(life.ledger, [draft("cleaned")], Maker(), 0, bytes(10)))
    count = life.ledger.tasks["count"]
    life.admit(following.begin_again(life.ledger, count, life.layout.links))
    assert count.extents == {"cleaned": 1}
    life.admit(runs.task_exited(life.ledger, count, 0))
    assert count.ended
    assert life.plan() == {
        "clean": (Action.CONTINUE, "not complete"),
        "pair": (Action.CONTINUE, "not complete"),
        "count": (Action.BEGIN, "its input cleaned grew"),
    }


def test_a_run_that_follows_continues_a_changed_program_and_leaves_alone_what_cannot_grow() -> None:
    life = Life(FLIGHTS)
    life.run()
    followed = frozenset({"from:flights"})
    planned = life.plan({"clean": "clean.py changed"}, Wishes(follow=True), followed=followed)
    assert actions(planned) == {
        "from:flights": Action.RESUME,
        "from:airlines": Action.NOTHING,
        "clean": Action.RESUME,
        "sum_up": Action.FOLLOW,
        "to:totals": Action.FOLLOW,
    }


def test_other_wires_are_another_task() -> None:
    life = Life(FLIGHTS)
    life.run()
    rewired = pipeline(
        source("flights"),
        source("airlines"),
        run_task("clean", {"flights": "each"}, "flown"),
        run_task("sum_up", {"flown": "whole", "airlines": "whole"}, "totals"),
        sink("totals"),
    )
    life.layout = rewired
    life.ledger.tasks["clean"].shape = rewired.tasks["clean"]
    assert life.plan()["clean"] == (Action.BEGIN, "its wiring changed")


def test_a_task_that_is_back_begins_again_if_another_one_wrote_its_outputs_meanwhile() -> None:
    first = pipeline(source("a"), run_task("one", {"a": "each"}, "b"), run_task("two", {"b": "whole"}, "c"))
    second = pipeline(source("a"), run_task("other", {"a": "each"}, "b"), run_task("two", {"b": "whole"}, "c"))
    life = Life(first)
    life.run()
    life.of(second)
    assert actions(life.plan()) == {"from:a": Action.NOTHING, "other": Action.BEGIN, "two": Action.BEGIN}
    life.run()
    life.of(first)
    again = {"from:a": (Action.NOTHING, "unchanged"), "two": (Action.BEGIN, "its input b changes")}
    assert life.plan() == again | {"one": (Action.BEGIN, "another task wrote b since")}
    wishes = Wishes(on_change={"one": "continue"})
    assert life.plan({"one": "one.py changed"}, wishes)["one"][0] is Action.BEGIN, "there is nothing of it to continue"


@st.composite
def graphs(draw: st.DrawFn) -> Layout:
    """A pipeline of sources, tasks that read any of the links before them, and sinks."""
    links = [f"s{n}" for n in range(draw(st.integers(1, 3)))]
    tasks = [source(link) for link in links]
    for number in range(draw(st.integers(0, 6))):
        inputs = draw(st.lists(st.sampled_from(links), min_size=1, max_size=3, unique=True))
        policy = "each" if len(inputs) == 1 and draw(st.booleans()) else "whole"
        outputs = [f"l{number}_{n}" for n in range(draw(st.integers(1, 2)))]
        tasks.append(run_task(f"t{number}", dict.fromkeys(inputs, policy), *outputs))
        links += outputs
    tasks += [sink(link) for link in draw(st.lists(st.sampled_from(links), max_size=2, unique=True))]
    return pipeline(*tasks)


def downstream(layout: Layout, changed: Iterable[str]) -> set[str]:
    """All tasks behind `changed`, by walking the links forward: another way than the plan's."""
    found = set(changed)
    waiting = list(found)
    while waiting:
        outputs = set(layout.tasks[waiting.pop()].outputs)
        for shape in layout.tasks.values():
            if shape.name not in found and outputs & {name for name, _ in shape.inputs}:
                found.add(shape.name)
                waiting.append(shape.name)
    return found


@given(st.data(), graphs())
def test_whatever_is_edited_in_whatever_order_every_output_becomes_current_and_nothing_else_runs(
    data: st.DataObject, layout: Layout
) -> None:
    life = Life(layout)
    life.run()
    for _ in range(3):
        edited = data.draw(st.sets(st.sampled_from(sorted(layout.tasks)), max_size=3))
        changes = dict.fromkeys(edited, "edited")
        planned = actions(life.plan(changes))
        assert {name for name, action in planned.items() if action is Action.BEGIN} == downstream(layout, edited)
        assert set(planned.values()) <= {Action.BEGIN, Action.NOTHING}
        before = {name: link.newest for name, link in life.ledger.links.items()}
        life.run(changes)
        for name, link in life.ledger.links.items():
            assert link.newest == before[name] + (layout.links[name].writer in downstream(layout, edited))
            assert link.readable is not None
            assert link.readable.number == link.newest
        assert set(actions(life.plan()).values()) == {Action.NOTHING}


@given(st.data(), graphs())
def test_runs_that_build_one_link_and_are_interrupted_anywhere_end_where_a_single_run_ends(data: st.DataObject, layout: Layout) -> None:
    life = Life(layout)
    names = sorted(layout.tasks)
    pending: dict[str, str] = {}
    for _ in range(4):
        pending |= dict.fromkeys(data.draw(st.sets(st.sampled_from(names), max_size=2)), "edited")
        only = data.draw(st.sets(st.sampled_from(sorted(layout.links)), max_size=1))
        needed = needed_for(layout, frozenset(only))
        life.run(pending, Wishes(frozenset(only)), complete=False)
        pending = {name: why for name, why in pending.items() if name not in needed}
        for name in layout.tasks:
            if name in needed and data.draw(st.booleans()):
                life.complete(name)
    life.run(pending)
    assert set(actions(life.plan()).values()) == {Action.NOTHING}
    for name, link in life.ledger.links.items():
        current = link.generations[link.newest]
        assert link.readable is current
        writer = life.ledger.tasks[layout.links[name].writer]
        assert writer.outputs[name] == link.newest
        assert all(life.ledger.links[wire].newest == number for wire, number in writer.inputs.items())
