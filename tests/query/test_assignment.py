"""Literals of an INSERT in columns of other types: as SQL assigns them, and nothing beyond that."""

from __future__ import annotations

import datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from linkd.errors import SchemaMismatch
from linkd.query.assignment import assigned

DAY = datetime.datetime(2026, 11, 23)


def _one(value: pa.Array, kind: pa.DataType, *, is_values: bool = True) -> pa.Array:
    batch = pa.record_batch([value], names=["given"])
    found = assigned(batch, pa.schema([("kept", kind)]), is_values=is_values, link="flown")
    assert found.schema.names == ["kept"]
    return found.column(0)


@pytest.mark.parametrize("kind", [pa.float64(), pa.float32()])
@pytest.mark.parametrize("is_values", [True, False])
def test_a_number_with_a_point_goes_into_a_column_of_floats(kind: pa.DataType, is_values: bool) -> None:
    assert _one(pa.array([Decimal("3.5"), None]), kind, is_values=is_values).equals(pa.array([3.5, None], kind))


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("2026-11-23", pa.date32(), DAY.date()),
        ("2026-11-23", pa.timestamp("us"), DAY),
        ("2026-11-23 01:02:03.000004", pa.timestamp("us"), DAY.replace(hour=1, minute=2, second=3, microsecond=4)),
        ("2026-11-23T00:00:00Z", pa.timestamp("ns", "UTC"), DAY.replace(tzinfo=datetime.UTC)),
    ],
)
def test_a_written_text_goes_into_a_column_of_dates_or_timestamps(text: str, kind: pa.DataType, value: object) -> None:
    assert _one(pa.array([text, None]), kind).equals(pa.array([value, None], kind))
    assert _one(pa.array([text]), kind, is_values=False).type == pa.string()  # a column of texts is no column of dates


def test_a_text_that_is_no_date_is_refused_without_being_shown() -> None:
    for kind, like in ((pa.date32(), "2026-11-23"), (pa.timestamp("us"), "2026-11-23 12:30:00"), (pa.timestamp("us", "UTC"), "12:30:00Z")):
        with pytest.raises(SchemaMismatch, match=f"inserted into column `kept` is no .*: write it like .*{like}$") as caught:
            _one(pa.array(["secret"]), kind)
        assert "secret" not in str(caught.value)


def test_everything_else_is_left_as_it_is() -> None:
    assert _one(pa.array(["1"]), pa.int64()).type == pa.string()
    assert _one(pa.array([1.5]), pa.int64()).type == pa.float64()
    assert _one(pa.array([Decimal("1.5")]), pa.int64()).type == pa.decimal128(2, 1)
