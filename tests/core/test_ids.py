"""Identities: well-formed, equal for equal work, different for anything else."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkd.core.ids import derived_value_id, request_fingerprint, snapshot_id, source_value_id, timed_value_id
from linkd.model.values import Parent

PORTION = Parent("flights", 1, 2, 3, 4)


@pytest.mark.parametrize(
    "identity",
    [
        derived_value_id("v1", b"s" * 16, "flown", 0),
        source_value_id("flights", 1, "digest", b"position"),
        timed_value_id(1_700_000_000_000_000_000, b"\xff" * 10),
        timed_value_id(0, bytes(10)),
    ],
)
def test_ids_of_values_are_uuids_of_version_8(identity: bytes) -> None:
    parsed = uuid.UUID(bytes=identity)
    assert parsed.version == 8
    assert parsed.variant == uuid.RFC_4122


@given(st.integers(0, 1 << 47), st.integers(1, 1 << 30), st.binary(min_size=10, max_size=10), st.binary(min_size=10, max_size=10))
def test_timed_ids_sort_by_their_milliseconds(ms: int, later_ms: int, entropy: bytes, other: bytes) -> None:
    assert timed_value_id(ms * 1_000_000, entropy) < timed_value_id((ms + later_ms) * 1_000_000, other)


@pytest.mark.parametrize(
    ("make", "same", "others"),
    [
        (
            derived_value_id,
            ("v1", b"s", "flown", 0),
            [
                ("v2", b"s", "flown", 0),
                ("v1", b"t", "flown", 0),
                ("v1", b"s", "flow", 0),
                ("v1", b"s", "flown", 1),
                ("v1s", b"", "flown", 0),
            ],
        ),
        (
            source_value_id,
            ("flights", 1, "d", b"p"),
            [
                ("flight", 1, "d", b"p"),
                ("flights", 2, "d", b"p"),
                ("flights", 1, "e", b"p"),
                ("flights", 1, "d", b"q"),
                ("flights", 1, "", b"dp"),
            ],
        ),
        (
            snapshot_id,
            ("clean", 1, (PORTION,)),
            [
                ("clear", 1, (PORTION,)),
                ("clean", 2, (PORTION,)),
                ("clean", 1, ()),
                ("clean", 1, (PORTION, PORTION)),
                ("clean", 1, (Parent("flights", 2, 2, 3, 4),)),
                ("clean", 1, (Parent("flights", 1, 1, 3, 4),)),
                ("clean", 1, (Parent("flights", 1, 2, 3, 5),)),
            ],
        ),
        (request_fingerprint, ((1, 2), False), [((1, 2), True), ((2, 1), False), ((1,), False), ((1, 2, 0), False)]),
    ],
)
def test_equal_work_has_equal_ids_and_other_work_others(
    make: Callable[..., object], same: tuple[object, ...], others: list[tuple[object, ...]]
) -> None:
    assert make(*same) == make(*same)
    made = [make(*arguments) for arguments in (same, *others)]
    assert len(set(made)) == len(made)
