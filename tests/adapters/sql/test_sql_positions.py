"""Where a table stands against what the home knows: whatever is killed when, a value is written exactly once, or somebody is told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from linkd_adapters.sql.positions import Position, is_due, require_known

from linkd.errors import Conflict


def at(sequence: int, digest: str = "") -> Position:
    return Position("append", 1, sequence, 1, digest or f"digest {sequence}")


@given(st.lists(st.sampled_from(["killed before", "killed in between", "answer lost", "done"]), max_size=30))
def test_each_value_is_in_the_table_once_whatever_happens_to_the_worker(fates: list[str]) -> None:
    table: list[int] = []
    database: Position | None = None
    home: tuple[int, int] | None = None
    sequence = 1
    for fate in [*fates, "done"]:
        require_known(database, home, overwrite=False, told="t")
        if fate == "killed before":
            continue
        if is_due(database, home, at(sequence), overwrite=False, told="t"):
            table.append(sequence)
            database = at(sequence)
        if fate == "done":
            home = (1, sequence)
            sequence += 1
    assert table == list(range(1, sequence))


def test_a_table_that_was_set_back_is_somebody_elses_work() -> None:
    with pytest.raises(
        Conflict, match=r"t was changed by somebody else since linkd wrote value 7 to it \(it stands at value 5; was it restored"
    ):
        is_due(at(5), (1, 7), at(8), overwrite=False, told="t")
    with pytest.raises(Conflict, match="its row in linkd_positions is gone"):
        require_known(None, (1, 7), overwrite=False, told="t")
    assert is_due(at(5), (1, 7), at(8), overwrite=True, told="t")


def test_a_pipeline_without_memory_does_not_write_again_behind_its_own_rows() -> None:
    with pytest.raises(Conflict, match="in a life that it has no memory of"):
        is_due(at(7), None, at(1), overwrite=False, told="t")
    with pytest.raises(Conflict, match="no memory"):
        is_due(at(1, "other content"), None, at(1), overwrite=False, told="t")
    assert not is_due(at(1), None, at(1), overwrite=False, told="t"), "the very value: a worker was killed behind its first"
