"""Leases and commits: fencing, repeats, contradictions, what a commit's values are made of."""

from __future__ import annotations

import pytest
from pure_home import OTHER, PureHome, draft, envelopes, request, step

from linkd.core import commits, publishing, runs
from linkd.core.tasks import End
from linkd.errors import Conflict, GenerationAbandoned, InvalidArgument, LeaseLost, NotAllowed, SchemaMismatch
from linkd.model.records import OutputRange


def home_with(values: int) -> PureHome:
    home = PureHome()
    for n in range(values):
        home.publish(draft("numbers", n))
    home.begin()
    return home


def test_a_commit_names_what_it_took_and_what_it_made() -> None:
    home = home_with(2)
    home.commit(home.lease("double"), draft("doubled", 7))
    lease = home.lease("double")
    records = home.commit(lease, draft("doubled", 8), draft("doubled", 9))
    record = home.task("double").committed[lease.snapshot_id]
    assert record.portions == lease.portions
    assert record.outputs == (OutputRange("doubled", 1, 1, 2, 3),)
    assert [(e.parents, e.task, e.attempt) for e in envelopes(records)] == [(lease.portions, "double", 1)] * 2
    assert home.task("double").cursors["numbers"].done_sequence == 2


def test_values_of_equal_work_have_equal_ids() -> None:
    ids = []
    for _ in range(2):
        home = home_with(1)
        ids.append([e.id for e in envelopes(home.commit(home.lease("double"), draft("doubled"), draft("doubled")))])
    assert ids[0] == ids[1]
    assert ids[0][0] != ids[0][1]


def test_a_repeat_is_answered_and_a_contradiction_is_a_conflict() -> None:
    home = home_with(1)
    lease = home.lease("double")
    home.commit(lease, draft("doubled", 1))
    task, asked = home.task("double"), request(lease, draft("doubled", 1))
    answer = commits.answered(task, lease.snapshot_id, lease.token, asked.fingerprint)
    assert answer is task.committed[lease.snapshot_id]
    with pytest.raises(Conflict, match="double: this snapshot is committed already"):
        commits.answered(task, lease.snapshot_id, lease.token, request(lease, draft("doubled", 2)).fingerprint)
    with pytest.raises(LeaseLost, match="attempt 1"):
        commits.answered(task, lease.snapshot_id, lease.token + 1, asked.fingerprint)
    assert commits.answered(task, b"another", lease.token, asked.fingerprint) is None


def test_a_token_is_good_without_its_connection_until_the_snapshot_is_handed_out_again() -> None:
    home = home_with(2)
    first, second = home.lease("double", session=1), home.lease("double", session=1)
    home.task("double").release(1)
    home.commit(second)
    again = home.lease("double", session=2)
    assert (again.snapshot_id, again.attempt) == (first.snapshot_id, 2)
    assert again.token > second.token
    with pytest.raises(LeaseLost, match="handed out again"):
        home.commit(first)
    home.commit(again)
    with pytest.raises(LeaseLost, match="not on lease"):
        home.commit(again)
    assert home.task("double").refused_late == 2


def test_a_refused_commit_changes_nothing() -> None:
    home = home_with(2)
    home.commit(home.lease("double"), draft("doubled"))
    lease = home.lease("double")
    frames = len(home.frames)
    with pytest.raises(SchemaMismatch):
        home.commit(lease, draft("doubled"), draft("doubled", schema=OTHER))
    with pytest.raises(NotAllowed, match="no output total in task double"):
        home.commit(lease, draft("total"))
    with pytest.raises(InvalidArgument, match="whole"):
        home.commit(lease, final=True)
    assert len(home.frames) == frames
    home.commit(lease, draft("doubled"))
    assert home.ledger.links["doubled"].generations[1].values == 2


def test_the_last_commit_of_whole_inputs_seals_its_outputs_and_ends_its_task() -> None:
    home = home_with(0)
    home.source_step(step("names", 1, final=True), draft("names"))
    home.admit(runs.task_exited(home.ledger, home.task("double"), 0))
    home.commit(home.lease("sum_up"), draft("total", 1), draft("total", 2), final=True)
    total = home.ledger.links["total"].generations[1]
    assert (total.is_sealed, total.sealed_sequence) == (True, 2)
    assert home.task("sum_up").ended


def test_an_older_runs_generation_takes_nothing() -> None:
    home = home_with(1)
    lease = home.lease("double")
    home.begin()
    with pytest.raises(LeaseLost):
        home.commit(lease, draft("doubled"))


def test_a_sealed_output_takes_nothing() -> None:
    home = home_with(1)
    lease = home.lease("double")
    home.admit(publishing.seal(home.ledger, "doubled", "by hand", 0))
    with pytest.raises(GenerationAbandoned, match="doubled is sealed"):
        home.commit(lease, draft("doubled"))


def test_a_snapshot_that_is_given_up_is_settled_without_a_trace_in_its_outputs() -> None:
    home = PureHome()
    home.publish(draft("numbers", 1))
    home.begin()
    lease = home.lease("double")
    task = home.task("double")
    held = task.leases[lease.snapshot_id]
    task.holders.fail(held, "no")
    home.admit(commits.give_up(home.ledger, task, held, 1))
    assert (task.given_up, task.commits, task.unread(home.ledger.links)) == (1, 1, {"numbers": 0})
    assert isinstance(task.next_snapshot(home.ledger.links), End)
    with pytest.raises(LeaseLost, match=r"it lies in double\.dead"):
        commits.answered(task, lease.snapshot_id, lease.token, 7)
    assert home.restarted().task("double").given_up == 1


def test_no_token_is_no_good_token() -> None:
    """What was on lease when its task ended has none, and comes back with a resumption."""
    home = PureHome()
    home.publish(draft("numbers", 1))
    home.begin()
    lease = home.lease("double")
    task = home.task("double")
    task.end()
    task.resume("v")
    with pytest.raises(LeaseLost):
        commits.check_token(task, lease.snapshot_id, 0)
