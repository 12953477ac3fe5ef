"""What each policy gives a task, by example: windows, rows, newest values, ends, and what becomes of it all in a crash."""

from __future__ import annotations

import pytest
from composing import Composing, values

from linkd.core.ids import snapshot_id
from linkd.core.tasks import End, Offer, TaskShape, Wait
from linkd.limits import WINDOW_TALLY_VALUES
from linkd.model.records import TaskEnded, TaskKind, TaskResumed
from linkd.model.values import Parent


def composing(*inputs: str, follow: bool = False) -> Composing:
    """A task with these wires, such as `a[4/2]`, `b latest`, `c each`."""
    parsed = []
    for wire in inputs:
        name, bracket, window = wire.partition("[")
        parsed.append((name, bracket + window) if bracket else tuple(wire.split(" ")))
    return Composing(tuple((link, policy) for link, policy in parsed), follow)


def drained(task: Composing) -> list[tuple[tuple[tuple[int, int], ...], bool]]:
    """Leases and commits one after the other until nothing comes: values of each portion, and whether it was partial."""
    found = []
    while isinstance(offer := task.next(), Offer):
        lease = task.lease(offer)
        found.append((values(lease), lease.partial))
        task.commit(lease)
    return found


@pytest.mark.parametrize(
    ("policy", "whole_windows", "left"),
    [
        ("each", [(n, n) for n in range(1, 10)], None),
        ("[4]", [(1, 4), (5, 8)], (9, 9)),
        ("[3]", [(1, 3), (4, 6), (7, 9)], None),
        ("[4/2]", [(1, 4), (3, 6), (5, 8)], (7, 9)),
        ("[3/3]", [(1, 3), (4, 6), (7, 9)], None),
        ("[5/1]", [(1, 5), (2, 6), (3, 7), (4, 8), (5, 9)], None),
        ("[10]", [], (1, 9)),
        ("[2-4]", [(1, 4), (5, 8)], (9, 9)),
    ],
)
def test_nine_values_in_windows_and_what_is_left_at_the_seal(
    policy: str, whole_windows: list[tuple[int, int]], left: tuple[int, int] | None
) -> None:
    task = Composing((("a", policy),))
    task.arrive("a", *[1] * 9)
    task.sync()
    assert drained(task) == [((window,), False) for window in whole_windows]
    assert isinstance(task.next(), Wait)
    task.seal("a")
    task.sync()
    assert drained(task) == ([((left,), True)] if left else [])
    assert isinstance(task.next(), End)
    assert task.task.unread(task.ledger.links) == {"a": 0}


def test_what_is_left_is_partial_only_below_the_lower_bound_of_a_range() -> None:
    task = composing("a[2-4]")
    task.arrive("a", *[1] * 7)
    task.seal("a")
    task.sync()
    assert drained(task) == [(((1, 4),), False), (((5, 7),), False)]


def test_a_range_takes_what_there_is_in_a_run_that_follows() -> None:
    task = composing("a[2-4]", follow=True)
    task.arrive("a", 1)
    task.sync()
    assert isinstance(task.next(), Wait)
    task.arrive("a", 1, 1)
    task.sync()
    assert drained(task) == [(((1, 3),), False)]
    task.arrive("a", *[1] * 7)
    task.sync()
    assert drained(task) == [(((4, 7),), False), (((8, 10),), False)]


def test_windows_of_rows_begin_and_end_inside_values() -> None:
    task = composing("a[5 rows]")
    task.arrive("a", 3, 7, 0, 1, 4)
    task.seal("a")
    task.sync()
    found = []
    while isinstance(offer := task.next(), Offer):
        lease = task.lease(offer)
        [portion] = lease.portions
        found.append((portion.first_sequence, portion.first_row, portion.last_sequence, portion.end_row, lease.partial))
        task.commit(lease)
    assert found == [(1, 0, 2, 2, False), (2, 2, 2, 0, False), (3, 0, 5, 0, False)]
    assert isinstance(task.next(), End)


def test_a_value_is_done_when_every_window_that_has_rows_of_it_is() -> None:
    task = composing("a[4 rows]")
    task.arrive("a", 10, 2)
    task.seal("a")
    task.sync()
    leases = [task.lease() for _ in range(3)]
    assert [len(task.held(lease)[0]) for lease in leases] == [4, 4, 4]
    for lease in (leases[2], leases[0]):
        task.commit(lease)
    assert task.task.unread(task.ledger.links) == {"a": 1}
    task.commit(leases[1])
    assert task.task.unread(task.ledger.links) == {"a": 0}


def test_rows_are_counted_in_bounded_steps_and_once() -> None:
    task = composing("a[2000 rows]")
    task.arrive("a", *[1] * 1000)
    task.sync()
    assert isinstance(task.next(), Wait)
    asked = task.asked
    assert asked == -(-1000 // WINDOW_TALLY_VALUES) - 1
    task.arrive("a", *[1] * 1000)
    task.sync()
    assert values(task.lease()) == ((1, 2000),)
    assert task.asked - asked <= -(-1000 // WINDOW_TALLY_VALUES)


def test_several_inputs_fire_together_and_a_finished_one_gives_nothing() -> None:
    task = composing("a[2]", "b[1]")
    task.arrive("a", *[1] * 3)
    task.arrive("b", 1)
    task.sync()
    assert drained(task) == [(((1, 2), (1, 1)), False)]
    task.seal("a")
    task.sync()
    assert isinstance(task.next(), Wait)
    task.arrive("b", 1, 1)
    task.seal("b")
    task.sync()
    assert drained(task) == [(((3, 3), (2, 2)), True), (((4, 3), (3, 3)), True)]
    assert isinstance(task.next(), End)


def test_swap_takes_the_newest_of_each_when_one_has_changed() -> None:
    task = composing("a swap", "b swap")
    task.arrive("a", 1)
    task.sync()
    assert isinstance(task.next(), Wait)
    task.arrive("b", 1)
    task.sync()
    assert drained(task) == [(((1, 1), (1, 1)), False)]
    assert isinstance(task.next(), Wait)
    task.arrive("a", 1)
    task.sync()
    assert drained(task) == [(((2, 2), (1, 1)), False)]
    task.arrive("a", 1, 1)
    task.arrive("b", 1)
    for link in ("a", "b"):
        task.seal(link)
    task.sync()
    assert drained(task) == [(((4, 4), (2, 2)), False)]
    assert isinstance(task.next(), End)
    assert task.task.unread(task.ledger.links) == {"a": 0, "b": 0}


def test_swap_takes_nothing_of_an_input_that_is_sealed_empty() -> None:
    task = composing("a swap", "b swap")
    task.arrive("a", 1)
    task.seal("b")
    task.sync()
    assert drained(task) == [(((1, 1), (1, 0)), False)]
    task.seal("a")
    task.sync()
    assert isinstance(task.next(), End)


def test_one_snapshot_of_swap_is_on_lease_and_comes_again_as_it_was() -> None:
    task = composing("a swap")
    task.arrive("a", 1)
    task.sync()
    lease = task.lease()
    task.arrive("a", 1)
    task.sync()
    assert isinstance(task.next(), Wait)
    task.crash()
    again = task.lease()
    assert (again.snapshot_id, again.portions, again.attempt) == (lease.snapshot_id, lease.portions, 2)
    task.commit(again)
    assert values(task.lease()) == ((2, 2),)


@pytest.mark.parametrize("policy", ["each", "whole", "[2]"])
def test_latest_is_waited_for_until_it_is_sealed(policy: str) -> None:
    task = composing(f"a {policy}" if policy.isalpha() else f"a{policy}", "b latest")
    task.arrive("a", 1, 1)
    task.arrive("b", 1, 1)
    task.seal("a")
    task.sync()
    assert isinstance(task.next(), Wait)
    task.arrive("b", 1)
    task.seal("b")
    task.sync()
    assert {found[0][1] for found in drained(task)} == {(3, 3)}
    assert isinstance(task.next(), End)
    assert task.task.unread(task.ledger.links) == {"a": 0, "b": 0}


def test_latest_is_the_newest_there_is_in_a_run_that_follows_and_makes_nothing_run() -> None:
    task = composing("a each", "b latest", follow=True)
    task.arrive("a", 1)
    task.sync()
    assert isinstance(task.next(), Wait)
    task.arrive("b", 1, 1)
    task.sync()
    offer = task.next()
    assert isinstance(offer, Offer)
    assert offer.recorded
    assert drained(task) == [(((1, 1), (2, 2)), False)]
    task.arrive("b", 1)
    task.sync()
    assert isinstance(task.next(), Wait)
    task.arrive("a", 1)
    task.sync()
    assert drained(task) == [(((2, 2), (3, 3)), False)]


def test_latest_of_nothing_is_an_empty_portion() -> None:
    task = composing("a each", "b latest")
    task.arrive("a", 1)
    task.seal("b")
    task.sync()
    assert drained(task) == [(((1, 1), (1, 0)), False)]


def test_a_whole_task_takes_its_extents_without_a_seal_and_waits_for_the_next_execution() -> None:
    task = composing("a whole", follow=True)
    task.arrive("a", 1, 1)
    task.sync()
    assert isinstance(task.next(), Wait)
    task.begin(a=2)
    task.arrive("a", 1)
    task.sync()
    lease = task.lease()
    assert values(lease) == ((1, 2),)
    task.commit(lease)
    assert task.task.ended
    assert task.ledger.links["out"].generations[1].sealed_sequence == 0, "sealed in the frame of the commit"
    assert isinstance(task.next(), Wait)
    task.begin(a=3)
    again = task.lease()
    assert values(again) == ((1, 3),)
    assert again.snapshot_id != lease.snapshot_id


def test_an_extent_that_is_not_durable_is_waited_for() -> None:
    task = composing("a whole", follow=True)
    task.arrive("a", 1)
    task.begin(a=1)
    assert isinstance(task.next(), Wait)
    task.sync()
    assert values(task.lease()) == ((1, 1),)


def test_windows_begin_again_where_they_were_after_a_crash() -> None:
    task = composing("a[4/2]")
    task.arrive("a", *[1] * 9)
    task.seal("a")
    task.sync()
    first = task.lease()
    task.commit(first)
    task.sync()
    lost = [task.lease(), task.lease()]
    task.crash()
    again = [task.lease(), task.lease()]
    assert [lease.snapshot_id for lease in again] == [lease.snapshot_id for lease in lost]
    assert [values(lease) for lease in again] == [((3, 6),), ((5, 8),)]


def test_windows_do_not_depend_on_the_order_of_commits() -> None:
    task = composing("a[4/2]")
    task.arrive("a", *[1] * 9)
    task.sync()
    first, second = task.lease(), task.lease()
    task.commit(second)
    task.give_back(first)
    assert values(task.lease()) == ((1, 4),)
    assert values(task.lease()) == ((5, 8),)


def test_what_an_end_left_on_lease_comes_first_when_the_task_is_resumed() -> None:
    task = composing("a[2]")
    task.arrive("a", *[1] * 5)
    task.sync()
    leases = [task.lease(), task.lease()]
    task.commit(leases[1])
    task.admit(TaskEnded("t", 1))
    assert isinstance(task.next(), End)
    assert not task.task.leases
    task.sync()
    task.crash()
    task.admit(TaskResumed("t", 1, "v"))
    task.seal("a")
    task.sync()
    assert drained(task) == [(((1, 2),), False), (((5, 5),), True)]


def test_the_state_of_a_policy_goes_through_a_checkpoint() -> None:
    task = composing("a[4 rows]", "b each")
    task.arrive("a", 3, 3)
    task.arrive("b", 1)
    task.sync()
    task.lease()
    before = task.task
    after = TaskShape("t", TaskKind.RUN, task.inputs, ())
    restored = type(before)(after)
    restored.marks = {}
    restored.restore_policy(before.policy_state())
    assert restored.marks == before.marks
    assert [record.snapshot_id for record in before.open_snapshots()] == list(before.leases)


def test_ids_of_snapshots_of_whole_values_are_what_they_were() -> None:
    portion = Parent("a", 1, 1, 1, 2)
    assert snapshot_id("t", 1, [portion]).hex() == "daa36c733d0e47c00809691fea63b41f"
    ids = {snapshot_id("t", 1, [Parent("a", 1, 1, 1, 2, first, end)]) for first, end in ((0, 0), (1, 0), (0, 1), (1, 1))}
    assert len(ids) == 4
