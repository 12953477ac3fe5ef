"""A checkpoint says all that a ledger knows. (Random histories: `test_ledger_model`.)"""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from pure_home import TASKS, PureHome, draft, step

from linkd.core import publishing
from linkd.core.checkpoint import keep, restored
from linkd.core.group_leases import GroupLease
from linkd.core.groups import Group
from linkd.core.ledger import Ledger
from linkd.core.links import Generation, Link
from linkd.core.producers import KnownProducer, Producers
from linkd.core.publishing import Maker
from linkd.core.tasks import Lease, Task
from linkd.limits import TASK_NAMES_KEPT
from linkd.model.records import Dropped, GroupFailed, GroupLeased, GroupMoved, GroupOpened, ProducerOpened, TaskBegan
from linkd.model.values import Position, Producer
from linkd.wire.checkpoints import decode_piece, encode_piece


def through_bytes(ledger: Ledger) -> Ledger:
    return restored(decode_piece(encode_piece(keep(ledger))), ledger.shapes)


def busy_home() -> PureHome:
    """A home in which something of every kind has happened."""
    home = PureHome()
    for n in range(4):
        home.publish(draft("numbers", n))
    home.begin()
    home.commit(home.lease("double"), draft("doubled"))
    home.lease("double")
    home.source_step(step("names", 1), draft("names"))
    home.source_step(step("names", 2, final=True))
    home.admit([GroupOpened("g", "numbers", 1, 1, 0, True, "none", "", 5_000, 60_000, 3)])
    for sequence in (1, 2, 3):
        home.admit([GroupLeased("g", "numbers", Position(1, sequence), 50 + sequence, 1)])
    home.admit([GroupMoved("g", "numbers", 1, 1, 0, 1, settled=((2, 2),), token=7)])
    home.admit([GroupFailed("g", "numbers", Position(1, 3), 2, "because", 5_000)])
    home.admit([GroupOpened("h", "numbers", 1, 1, 1), GroupMoved("h", "numbers", 1, 1, 2, 3, run_generation=4)])
    home.admit(publishing.open_link("free", 5))
    home.admit([ProducerOpened("sensor", 3)])
    for number, values in enumerate((1, 3), 1):
        drafts = [draft("free", n) for n in range(values)]
        home.admit(publishing.publish(home.ledger, drafts, Maker(producer=Producer("~1", 1, number, 9)), 6, bytes(10 * values)))
    home.admit([Dropped("free", 1, 1, 0, "abandoned", 1)])
    home.admit([Dropped("numbers", 1, 4, 4, "full", dropped_at_ns=7)])
    return home


def test_a_ledger_that_was_restored_from_a_checkpoint_is_the_one_that_reads_all_frames_again() -> None:
    home = busy_home()
    read_again = home.restarted().ledger
    assert through_bytes(read_again) == read_again
    again = through_bytes(home.ledger)
    assert again.links == home.ledger.links
    assert again.executions == home.ledger.executions
    assert (again.epoch, again.last_token, again.run, again.run_outcome) == (1, 53, home.ledger.run, "running")


def test_records_behind_a_checkpoint_apply_as_they_would_have() -> None:
    home = busy_home()
    kept = through_bytes(home.restarted().ledger)
    covered = len(home.frames)
    home.commit(home.lease("double"), draft("doubled"))
    home.begin()
    home.publish(draft("numbers"))
    for frame in home.frames[covered:]:
        kept.restore(frame)
    assert kept == home.restarted().ledger


def test_connections_are_not_kept() -> None:
    home = busy_home()
    again = through_bytes(home.ledger)
    assert [lease.session for lease in home.ledger.tasks["double"].leases.values()] == [1]
    assert [lease.session for lease in again.tasks["double"].leases.values()] == [None]
    assert again.groups["g", "numbers"].waiting == {1, 3}


def test_a_new_ledger_is_restored_from_nothing() -> None:
    assert restored((), TASKS) == Ledger(shapes=TASKS)


def test_a_task_that_is_not_in_the_file_any_more_is_left_out_but_goes_on_counting() -> None:
    home = busy_home()
    home.begin()
    shapes = {name: shape for name, shape in TASKS.items() if name != "double"}
    again = restored(keep(home.ledger), shapes)
    assert "double" not in again.tasks
    assert again.executions["double"] == 2


def test_the_names_of_tasks_that_are_long_gone_are_forgotten() -> None:
    home = PureHome()
    home.begin()
    for n in range(TASK_NAMES_KEPT + 10):
        home.ledger.apply([TaskBegan(f"once{n}", 1, "v")])
    assert len(home.ledger.executions) == TASK_NAMES_KEPT
    assert TASKS.keys() <= home.ledger.executions.keys()
    assert f"once{TASK_NAMES_KEPT + 9}" in through_bytes(home.ledger).executions


@pytest.mark.parametrize(
    ("state", "fields"),
    [
        (Ledger, "shapes links tasks groups executions epoch last_token run run_outcome producers holds boot weak_links"),
        (Producers, "known answers forgotten_epoch"),
        (KnownProducer, "id epoch last_sequence answers"),
        (
            Link,
            "name incarnation next_sequence durable_sequence last_created_at_ns generations newest remembered gone incarnations dropped",
        ),
        (
            Generation,
            (
                "number incarnation first_sequence last_sequence task task_version inputs state sealed_sequence seal_durable was_sealed values "
                "rows size_bytes schema_id schema declared source schemas account past forgotten_sequence"
            ),
        ),
        (
            Task,
            (
                "shape execution version inputs outputs extents ended cursors marks leases shelved committed commits refused_late done_rows "
                "recorded given_up"
            ),
        ),
        (Lease, "snapshot_id token attempt portions session since_ns settles partial failures reason"),
        (Group, "name link incarnation generation cursor terms run_generation leases acked handed_sequence lost_values"),
        (GroupLease, "sequence token attempt failures reason delay_ms failed session"),
    ],
    ids=lambda given: getattr(given, "__name__", ""),
)
def test_whoever_adds_to_the_state_thinks_of_checkpoints(state: Any, fields: str) -> None:
    """A field that is compared and is not in this list is lost by a checkpoint, or has to be added to it and to the list."""
    assert [field.name for field in dataclasses.fields(state) if field.compare] == fields.split()
