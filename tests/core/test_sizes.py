"""Numbers of bytes as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkd.core.sizes import parse_size, size_text


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [("0B", 0), ("500KB", 500_000), ("64MiB", 64 * 2**20), ("1.5GB", 1_500_000_000), (" 2 TB ", 2 * 10**12), ("0.5KiB", 512)],
)
def test_a_number_and_a_unit_is_a_size(text: str, size_bytes: int) -> None:
    assert parse_size(text) == size_bytes


@pytest.mark.parametrize("text", ["", "12", "GB", "1gb", "-1GB", "1e3MB", "1 000MB", "1PB", "1.0001GB"])
def test_anything_else_is_none(text: str) -> None:
    assert parse_size(text) is None


@given(st.integers(0, 2**50))
def test_what_is_written_is_read_again(size_bytes: int) -> None:
    assert parse_size(size_text(size_bytes)) == size_bytes
