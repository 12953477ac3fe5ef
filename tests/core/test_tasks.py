"""What a program that asks for a snapshot gets: each value in turn, whole inputs once, nothing twice, and an end."""

from __future__ import annotations

from pure_home import PureHome, draft, step

from linkd.core import runs
from linkd.core.ledger import Ledger
from linkd.core.links import LinkShape
from linkd.core.tasks import End, Task, TaskShape, Wait
from linkd.model.records import TaskKind


def test_before_its_run_began_a_task_waits() -> None:
    assert isinstance(Task(TaskShape("double", TaskKind.RUN, (("numbers", "each"),), ())).next_snapshot({}), Wait)


def test_each_value_in_turn_then_the_end() -> None:
    home = PureHome()
    for n in range(3):
        home.publish(draft("numbers", n))
    home.begin()
    task = home.task("double")
    for n in (1, 2, 3):
        lease = home.lease("double")
        assert [(p.first_sequence, p.last_sequence) for p in lease.portions] == [(n, n)]
        assert not isinstance(task.next_snapshot(home.ledger.links), End)
        home.commit(lease)
    assert isinstance(task.next_snapshot(home.ledger.links), End)


def test_several_are_on_lease_at_once_and_settled_in_any_order() -> None:
    home = PureHome()
    for n in range(4):
        home.publish(draft("numbers", n))
    home.begin()
    leases = [home.lease("double") for _ in range(3)]
    home.commit(leases[2])
    home.commit(leases[0])
    assert home.lease("double").portions[0].first_sequence == 4
    assert home.task("double").unread(home.ledger.links) == {"numbers": 2}


def test_what_was_given_back_comes_first_oldest_first() -> None:
    home = PureHome()
    for n in range(3):
        home.publish(draft("numbers", n))
    home.begin()
    first, second = home.lease("double", session=1), home.lease("double", session=1)
    assert home.task("double").release(1) == [first.snapshot_id, second.snapshot_id]
    again = home.lease("double", session=2)
    assert (again.snapshot_id, again.portions, again.attempt) == (first.snapshot_id, first.portions, 2)


def test_nothing_is_handed_out_before_it_is_durable() -> None:
    home = PureHome()
    home.disk_is_slow = True
    home.publish(draft("numbers"))
    home.begin()
    task = home.task("double")
    assert isinstance(task.next_snapshot(home.ledger.links), Wait)
    for frame in home.frames:
        home.ledger.durable(frame)
    home.commit(home.lease("double"))
    assert isinstance(task.next_snapshot(home.ledger.links), End)


def test_an_empty_generation_ends_a_task_at_once() -> None:
    home = PureHome()
    home.begin()
    assert isinstance(home.task("double").next_snapshot(home.ledger.links), End)


def test_whole_inputs_fire_once_at_all_their_seals_also_without_a_value() -> None:
    home = PureHome()
    home.begin()
    task = home.task("sum_up")
    home.admit(runs.task_exited(home.ledger, home.task("double"), 0))
    home.source_step(step("names", 1), draft("names"))
    assert isinstance(task.next_snapshot(home.ledger.links), Wait)
    home.source_step(step("names", 2, final=True), draft("names"))
    lease = home.lease("sum_up")
    assert [(p.link, p.first_sequence, p.last_sequence) for p in lease.portions] == [("doubled", 1, 0), ("names", 1, 2)]
    assert isinstance(task.next_snapshot(home.ledger.links), Wait)
    home.commit(lease)
    assert isinstance(task.next_snapshot(home.ledger.links), End)


def test_a_seal_that_is_not_durable_fires_nothing() -> None:
    home = PureHome()
    home.begin()
    home.admit(runs.task_exited(home.ledger, home.task("double"), 0))
    home.disk_is_slow = True
    home.source_step(step("names", 1, final=True), draft("names"))
    assert isinstance(home.task("sum_up").next_snapshot(home.ledger.links), Wait)


def test_a_task_without_inputs_gets_one_empty_snapshot_an_execution() -> None:
    ledger = Ledger(shapes={"make": TaskShape("make", TaskKind.RUN, (), ("made",))})
    home = PureHome(ledger)
    ids = set()
    for _ in range(2):
        home.begin(links=(LinkShape("made", "make"),))
        lease = home.lease("make")
        assert lease.portions == ()
        ids.add(lease.snapshot_id)
        home.commit(lease, draft("made"), final=True)
        assert isinstance(home.task("make").next_snapshot(ledger.links), End)
    assert len(ids) == 2


def test_what_is_appended_during_a_run_is_not_this_runs() -> None:
    home = PureHome()
    home.publish(draft("numbers", 1))
    home.begin()
    home.publish(draft("numbers", 2))
    home.commit(home.lease("double"))
    task = home.task("double")
    assert isinstance(task.next_snapshot(home.ledger.links), End)
    assert task.unread(home.ledger.links) == {"numbers": 0}
    home.begin()
    assert [home.lease("double").portions[0].first_sequence for _ in range(2)] == [1, 2]
