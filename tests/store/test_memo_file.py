"""The file of remembered outcomes: what is kept is found as it was, within its bounds, and nothing that was changed meanwhile counts."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkd.core.memo import Outcome, RememberedValue
from linkd.errors import StorageFailed
from linkd.model.values import Position
from linkd.store.memo import MEMO_FILE, MemoFile

payloads = st.none() | st.binary(max_size=40)
values = st.builds(
    lambda link, schema, attributes, payload, sequence: RememberedValue(
        link,
        schema[:2] * 8,
        schema,
        attributes,
        sequence,
        len(payload) if payload is not None else 7,
        2**64 - sequence,
        Position(sequence, 2**40),
        bytes([sequence]) * 16,
        f"{link}@{sequence}",
        payload,
    ),
    st.sampled_from(("flown", "cancelled")),
    st.sampled_from((b"s1 of some bytes", b"s2")),
    st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2),
    payloads,
    st.integers(1, 200),
)
outcomes = st.builds(Outcome, st.sampled_from(("clean", "sum_up")), st.binary(max_size=4), st.lists(values, max_size=4).map(tuple))


def key(number: int) -> bytes:
    return number.to_bytes(32, "big")


def inlined(size_bytes: int) -> Outcome:
    """An outcome whose content takes some hundred bytes and `size_bytes`."""
    payload = bytes(size_bytes)
    return Outcome("t", b"c", (RememberedValue("b", b"i" * 16, b"s", {}, 1, size_bytes, 1, Position(1, 1), b"v" * 16, "b@1", payload),))


@given(kept=st.lists(outcomes, max_size=5))
def test_what_is_kept_is_found_as_it_was_also_by_the_next(tmp_path_factory: pytest.TempPathFactory, kept: list[Outcome]) -> None:
    path = tmp_path_factory.mktemp("memo") / MEMO_FILE
    for outcome in (outcome for outcome in kept for _ in range(2)):
        with closing(MemoFile(path)) as file:
            file.keep(key(kept.index(outcome)), outcome)
    with closing(MemoFile(path)) as file:
        assert all(file.find(key(kept.index(outcome))) == outcome for outcome in kept)
        assert file.find(key(99)) is None
        assert file.outcomes == len({kept.index(outcome) for outcome in kept})


def test_what_is_used_least_makes_room_by_number_and_by_size(tmp_path: Path) -> None:
    with closing(MemoFile(tmp_path / MEMO_FILE, outcomes_max=3)) as file:
        for number in range(3):
            file.keep(key(number), inlined(10))
        file.used([key(0)])
        file.keep(key(3), inlined(10))
        assert [file.find(key(number)) is not None for number in range(4)] == [True, False, True, True]
        file.forget(key(2))
        file.keep(key(4), inlined(10))
        assert [file.find(key(number)) is not None for number in range(5)] == [True, False, False, True, True]
        held_bytes = file.held_bytes + 20
    with closing(MemoFile(tmp_path / MEMO_FILE, held_max_bytes=held_bytes)) as file:
        file.keep(key(5), inlined(20))
        assert file.held_bytes <= held_bytes
        assert [file.find(key(number)) is not None for number in (0, 3, 4, 5)] == [False, True, True, True]
        file.keep(key(5), inlined(held_bytes))
        assert file.find(key(5)) is None, "one that is larger than all there may be is not kept, and what it replaced is gone"
        assert [file.find(key(number)) is not None for number in (3, 4)] == [True, True]


def test_a_row_that_was_changed_or_is_under_another_key_counts_for_nothing(tmp_path: Path) -> None:
    path = tmp_path / MEMO_FILE
    with closing(MemoFile(path)) as file:
        for number in range(3):
            file.keep(key(number), inlined(10))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE outcome_rows SET content = zeroblob(200) WHERE key = ?", (key(0),))
        connection.execute("UPDATE outcome_rows SET key = ? WHERE key = ?", (key(7), key(1)))
    with closing(MemoFile(path)) as file:
        assert [file.find(key(number)) is not None for number in (0, 1, 2, 7)] == [False, False, True, False]
        file.keep(key(0), inlined(11))
        assert file.find(key(0)) == inlined(11)


@pytest.mark.parametrize("content", [b"", b"this is no database, however one looks at it" * 40, None])
def test_a_file_that_cannot_be_read_is_made_anew(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / MEMO_FILE
    with closing(MemoFile(path)) as file:
        file.keep(key(1), inlined(10))
    if content is not None:
        path.write_bytes(content)
    else:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA user_version = 2")
    with closing(MemoFile(path)) as file:
        assert (file.find(key(1)), file.outcomes, file.held_bytes) == (None, 0, 0)
        file.keep(key(1), inlined(10))
        assert file.find(key(1)) is not None


def test_a_place_where_nothing_can_be_written_is_told_as_such(tmp_path: Path) -> None:
    (tmp_path / MEMO_FILE).mkdir()
    with pytest.raises(StorageFailed, match=r"memo\.db"):
        MemoFile(tmp_path / MEMO_FILE)
