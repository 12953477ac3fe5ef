"""The key of an outcome: the same for the same content, another for anything else that a program could see."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from linkd.core.memo import REMEMBERED, Outcome, RememberedValue, SnapshotInput, ValueDigest, memo_key, outline, outputs_that_differ
from linkd.model.values import Envelope, Position

digests = st.sampled_from([bytes([n]) * 32 for n in range(3)])
rows = st.tuples(st.integers(0, 2), st.integers(3, 5))
inputs = st.builds(
    lambda link, values, schema: SnapshotInput(link, tuple((digest, *span) for digest, span in values), schema),
    st.sampled_from(("a", "b", "ab")),
    st.lists(st.tuples(digests, rows), max_size=3),
    st.sampled_from((b"", b"s", b"schema")),
)
snapshots = st.tuples(st.sampled_from(("v1", "v2", "")), st.lists(inputs, max_size=3), st.booleans())


def seen(snapshot: tuple[str, list[SnapshotInput], bool]) -> object:
    """All that a program is given."""
    runs, taken, partial = snapshot
    return runs, [(one.link, one.values, one.schema if not one.values else b"") for one in taken], partial


@given(first=snapshots, second=snapshots)
def test_keys_are_equal_where_all_that_a_program_is_given_is(
    first: tuple[str, list[SnapshotInput], bool], second: tuple[str, list[SnapshotInput], bool]
) -> None:
    keys = [memo_key(runs, taken, partial=partial) for runs, taken, partial in (first, second)]
    assert (keys[0] == keys[1]) == (seen(first) == seen(second))
    assert {len(key) for key in keys} == {32}


def digest(payload: bytes = b"rows", schema: bytes = b"columns", *, at: int = 2, **attributes: str) -> bytes:
    state = ValueDigest(schema, {name.replace("_", "."): text for name, text in attributes.items()}, len(payload))
    state.update(payload[:at])
    state.update(memoryview(payload)[at:])
    return state.digest()


def test_a_value_has_the_digest_of_its_content_wherever_it_comes_from() -> None:
    assert digest() == digest(at=3) == digest(file="x.csv") == digest(linkd_remembered="flown@3")
    others = [
        digest(b"row"),
        digest(schema=b"column"),
        digest(b"srows", b"column"),
        digest(linkd_artifacts="[1]"),
        digest(linkd_artifacts="[2]"),
    ]
    assert len({digest(), *others}) == 6


def envelope(**said: Any) -> Envelope:
    usual = {
        "id": b"1",
        "link": "a",
        "position": Position(1, 1),
        "generation": 1,
        "rows": 2,
        "size_bytes": 9,
        "schema_id": b"s",
        "payload_xxh3": 7,
    }
    return Envelope(**{**usual, "created_at_ns": 5, **said})


def test_an_outline_is_the_same_for_the_same_content_and_needs_no_reading() -> None:
    elsewhere = envelope(
        id=b"2", link="b", position=Position(2, 5), generation=3, created_at_ns=9, attributes={"file": "x", REMEMBERED: "a@1"}
    )
    assert outline(envelope()) == outline(elsewhere)
    others = [envelope(rows=3), envelope(size_bytes=8), envelope(schema_id=b"t"), envelope(payload_xxh3=6)]
    others.append(envelope(attributes={"linkd.artifacts": "[1]"}))
    assert len({outline(one) for one in (envelope(), *others)}) == 6


def value(link: str, payload_xxh3: int = 1, **attributes: str) -> RememberedValue:
    return RememberedValue(link, b"id", b"schema", attributes, 2, 9, payload_xxh3, Position(1, 7), b"v" * 16, f"{link}@7", b"123456789")


def test_outputs_differ_by_what_was_published_to_each_in_order() -> None:
    before = Outcome("t", b"c", (value("b"), value("a", 2), value("a", 3)))
    assert outputs_that_differ(before, Outcome("t", b"c", (value("a", 2), value("b"), value("a", 3)))) == []
    assert outputs_that_differ(before, Outcome("t", b"c", (value("b"), value("a", 3), value("a", 2)))) == ["a"]
    assert outputs_that_differ(before, Outcome("t", b"c", (value("c"),))) == ["a", "b", "c"]
    assert outputs_that_differ(before, Outcome("t", b"c", (value("b", unit="m"), value("a", 2), value("a", 3)))) == ["b"]
    recalled = RememberedValue(
        **{**{name: getattr(value("b"), name) for name in RememberedValue.__slots__}, "attributes": {REMEMBERED: "b@1"}}
    )
    assert outputs_that_differ(Outcome("t", b"c", (value("b"),)), Outcome("t", b"c", (recalled,))) == []
    assert before.inlined_bytes == 27
