"""How runs begin (afresh, going on, with a sink again) and what the exit of a program does."""

from __future__ import annotations

import pytest
from pure_home import LINKS, SCHEMA, TASKS, PureHome, draft, step

from linkd.core import runs
from linkd.core.ledger import Ledger
from linkd.core.links import GenerationState, LinkShape
from linkd.core.runs import RunPlan
from linkd.core.tasks import End
from linkd.errors import NotAllowed
from linkd.model.records import GenerationBegan, GenerationEnd, GenerationEnded, RunBegan, TaskBegan
from linkd.model.values import Parent


def test_the_first_run_makes_every_link_and_begins_every_task() -> None:
    home = PureHome()
    home.begin()
    assert {name: link.newest for name, link in home.ledger.links.items()} == dict.fromkeys((shape.name for shape in LINKS), 1)
    assert {name: task.execution for name, task in home.ledger.tasks.items()} == dict.fromkeys(TASKS, 1)
    numbers = home.ledger.links["numbers"].generations[1]
    assert (numbers.is_sealed, numbers.sealed_sequence) == (True, 0)
    assert home.ledger.run_outcome == "running"


def test_a_fresh_run_abandons_what_grew_keeps_what_was_sealed_and_sequences_run_on() -> None:
    home = PureHome()
    home.publish(draft("numbers"))
    home.begin()
    home.commit(home.lease("double"), draft("doubled", 1), draft("doubled", 2))
    home.source_step(step("names", 1, final=True), draft("names"))
    records = home.begin()
    ended = [(r.link, r.end, r.last_sequence) for r in records if isinstance(r, GenerationEnded)]
    assert ended == [("doubled", GenerationEnd.ABANDONED, 2), ("total", GenerationEnd.ABANDONED, 0)]
    doubled = home.ledger.links["doubled"]
    assert (doubled.newest, doubled.generations[2].first_sequence, doubled.generations[1].state) == (2, 3, GenerationState.ABANDONED)
    assert home.ledger.links["names"].generations[1].is_sealed
    assert home.ledger.links["numbers"].newest == 1
    assert home.task("double").execution == 2
    assert home.lease("double").portions == (Parent("numbers", 1, 1, 1, 1),)


def test_a_new_generation_says_what_it_is_made_from() -> None:
    home = PureHome()
    home.publish(draft("numbers"), draft("numbers"))
    records = home.begin()
    inputs = {record.link: record.inputs for record in records if isinstance(record, GenerationBegan)}
    assert inputs["doubled"] == (Parent("numbers", 1, 1, 1, 2),)
    assert inputs["total"] == (Parent("doubled", 1, 1, 1, 0), Parent("names", 1, 1, 1, 0))
    home.publish(draft("numbers"))
    again = {record.link: record.inputs for record in home.begin() if isinstance(record, GenerationBegan)}
    assert again["doubled"] == (Parent("numbers", 1, 1, 1, 3),)
    assert again["total"] == (Parent("doubled", 1, 2, 1, 0), Parent("names", 1, 2, 1, 0))


def test_a_run_that_goes_on_begins_nothing_anew() -> None:
    home = PureHome()
    for n in range(2):
        home.publish(draft("numbers", n))
    home.begin()
    home.commit(home.lease("double"))
    held = home.lease("double")
    home = home.restarted()
    records = home.begin(fresh=False)
    assert [type(record) for record in records] == [RunBegan]
    again = home.lease("double")
    assert (again.snapshot_id, again.attempt) == (held.snapshot_id, 2)


def test_a_sink_begins_again_alone() -> None:
    home = PureHome()
    home.begin()
    records = home.begin(fresh=False, again=frozenset({"to:total"}))
    assert [r.task for r in records if isinstance(r, TaskBegan)] == ["to:total"]
    assert home.task("to:total").execution == 2


def test_a_declared_schema_is_the_generations_from_its_beginning() -> None:
    home = PureHome()
    links = tuple(LinkShape(shape.name, shape.writer, SCHEMA if shape.name == "doubled" else None) for shape in LINKS)
    home.begin(links=links)
    generation = home.ledger.links["doubled"].generations[1]
    assert (generation.schema, generation.declared) == (SCHEMA[1], True)


def test_the_same_run_begins_once_and_another_needs_a_newer_epoch() -> None:
    home = PureHome()
    home.begin()
    plan = RunPlan("run 1", 1, True, "", LINKS, list(TASKS.values()))
    assert runs.begin(home.ledger, plan, 0) == []
    with pytest.raises(NotAllowed, match="run 1 has begun"):
        runs.begin(home.ledger, RunPlan("run 2", 1, True, "", LINKS, list(TASKS.values())), 0)


def test_a_task_that_was_taken_out_and_put_back_goes_on_counting() -> None:
    home = PureHome()
    home.begin()
    without = {"from:names": TASKS["from:names"]}
    home.ledger = Ledger(shapes=without)
    for frame in home.frames:
        home.ledger.restore(frame)
    home.begin(links=LINKS[:3])
    home = PureHome(Ledger(shapes=TASKS), home.frames).restarted()
    home.begin()
    assert home.task("double").execution == 2


def test_exit_code_0_seals_the_outputs_behind_their_last_values_and_ends_the_task() -> None:
    home = PureHome()
    home.publish(draft("numbers"))
    home.publish(draft("numbers"))
    home.begin()
    home.commit(home.lease("double"), draft("doubled"))
    home.lease("double")
    task = home.task("double")
    assert task.unread(home.ledger.links) == {"numbers": 1}
    home.admit(runs.task_exited(home.ledger, task, 0))
    doubled = home.ledger.links["doubled"].generations[1]
    assert (doubled.is_sealed, doubled.sealed_sequence) == (True, 1)
    assert (task.ended, task.leases) == (True, {})
    assert isinstance(task.next_snapshot(home.ledger.links), End)
    assert runs.task_exited(home.ledger, task, 0) == []


def test_a_run_is_complete_when_every_task_has_ended() -> None:
    home = PureHome()
    assert not runs.is_complete(home.ledger)
    home.begin()
    home.admit(runs.task_exited(home.ledger, home.task("double"), 0))
    home.source_step(step("names", 1, final=True), draft("names"))
    home.commit(home.lease("sum_up"), draft("total"), final=True)
    assert not runs.is_complete(home.ledger)
    home.commit(home.lease("to:total"), final=True)
    assert runs.is_complete(home.ledger)
    home.admit(runs.end(home.ledger, "done", 0))
    assert home.ledger.run_outcome == "done"
    assert not runs.is_complete(Ledger())
