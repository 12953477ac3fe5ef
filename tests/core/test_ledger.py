"""The one meaning of records: live and read again, decided and durable."""

from __future__ import annotations

from typing import get_args

import pytest
from pure_home import SCHEMA, PureHome, draft

from linkd.core import ledger as ledger_module
from linkd.core import publishing
from linkd.core.ledger import Ledger
from linkd.core.links import GenerationState
from linkd.errors import LinkNotFound, StateDamaged
from linkd.model.records import (
    DigestKnown,
    Dropped,
    GroupLeased,
    GroupMoved,
    GroupOpened,
    LinkOpened,
    PolicySaved,
    Record,
    SchemaKept,
    SnapshotCommitted,
    TaskBegan,
    TaskEnded,
)
from linkd.model.values import Position


def test_every_kind_of_record_has_a_meaning() -> None:
    assert set(ledger_module._APPLY) == set(get_args(Record))


def test_values_and_seals_are_told_only_when_durable() -> None:
    home = PureHome()
    home.disk_is_slow = True
    home.publish(draft("a"))
    home.admit(publishing.seal(home.ledger, "a", "over", 0))
    link = home.ledger.links["a"]
    generation = link.generations[1]
    assert (link.durable_last(generation), generation.is_sealed) == (0, False)
    assert [home.ledger.durable(frame) for frame in home.frames] == [set(), {"a"}, {"a"}]
    assert (link.durable_last(generation), generation.is_sealed) == (1, True)


def test_a_seal_that_was_undone_before_it_was_durable_is_not_told_for_the_next() -> None:
    home = PureHome()
    home.disk_is_slow = True
    home.publish(draft("a"))
    home.admit(publishing.seal(home.ledger, "a", "over", 0))
    home.publish(draft("a"))
    home.admit(publishing.seal(home.ledger, "a", "over again", 0))
    generation = home.ledger.links["a"].generations[1]
    for frame in home.frames[:3]:
        home.ledger.durable(frame)
    assert not generation.is_sealed
    for frame in home.frames[3:]:
        home.ledger.durable(frame)
    assert (generation.is_sealed, generation.sealed_sequence) == (True, 2)


def test_readers_see_the_newest_sealed_generation_or_the_growing_one_while_none_is() -> None:
    home = PureHome()
    home.publish(draft("numbers"))
    home.begin()
    link = home.ledger.links["doubled"]
    assert link.readable is link.generations[1]
    home.commit(home.lease("double"), draft("doubled"))
    home.admit(publishing.seal(home.ledger, "doubled", "over", 0))
    home.begin()
    assert link.readable is link.generations[1]
    assert link.current is link.generations[2]
    home.begin()
    assert link.generations[2].state is GenerationState.ABANDONED
    assert link.following(1) is link.generations[3]
    assert link.following(3) is None


def test_what_was_read_again_is_what_was() -> None:
    home = PureHome()
    for n in range(4):
        home.publish(draft("numbers", n))
    home.begin()
    home.commit(home.lease("double"), draft("doubled"))
    home.lease("double")
    home.admit([GroupOpened("g", "numbers", 1, 1, 0)])
    for sequence in (1, 2, 3):
        home.admit([GroupLeased("g", "numbers", Position(1, sequence), 50 + sequence, 1)])
    home.admit([GroupMoved("g", "numbers", 1, 1, 0, 1, ((2, 2),))])
    again = home.restarted().ledger
    assert again.links == home.ledger.links
    assert again.last_token == home.ledger.last_token == 53
    assert sorted(again.groups["g", "numbers"].leases) == [1, 3]
    for name, task in again.tasks.items():
        live = home.ledger.tasks[name]
        assert (task.cursors, task.committed, task.execution) == (live.cursors, live.committed, live.execution)
        assert all(lease.session is None for lease in task.leases.values())
        assert task.leases.keys() == live.leases.keys()


def test_records_of_a_task_that_is_not_in_the_file_any_more_do_nothing() -> None:
    ledger = Ledger()
    ledger.apply([TaskBegan("gone", 3, "v"), SnapshotCommitted("gone", 3, b"s", 1, 1, (), (), 0, 0), TaskEnded("gone", 3)])
    assert ledger.tasks == {}
    assert ledger.executions == {"gone": 3}


def test_records_of_an_earlier_execution_do_nothing_to_the_present_one() -> None:
    home = PureHome()
    home.begin()
    home.begin()
    home.ledger.apply([TaskEnded("double", 1), SnapshotCommitted("double", 1, b"s", 1, 1, (), (), 0, 0)])
    task = home.task("double")
    assert (task.ended, task.commits) == (False, 0)


def test_records_for_later_versions_are_read_over() -> None:
    home = PureHome()
    home.publish(draft("a"))
    home.ledger.apply([PolicySaved("double", 1, b"state"), DigestKnown("a", Position(1, 1), b"digest"), Dropped("a", 1, 2, 5, "expired")])
    assert home.publish(draft("a"))[0].position.sequence == 6


def test_a_schema_before_its_generation_is_damage() -> None:
    ledger = Ledger()
    with pytest.raises(StateDamaged, match="a schema for a before its first generation"):
        ledger.apply([LinkOpened("a", 1, 1, 0), SchemaKept("a", *SCHEMA)])


def test_an_unknown_link_is_named_with_what_there_is() -> None:
    home = PureHome()
    home.publish(draft("flown"))
    with pytest.raises(LinkNotFound, match="flown"):
        home.ledger.link("flow")
