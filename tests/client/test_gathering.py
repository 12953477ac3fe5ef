"""What a publisher gathers: all of it comes out, in order, in runs of one kind, whatever is put in and whenever it is taken."""

from __future__ import annotations

import threading
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkd.client.gathering import Gathering, Item, row_item
from linkd.errors import InvalidArgument, NotAllowed
from linkd.limits import GATHERED_ROWS_MAX, GATHERED_VALUE_ROWS_MAX, PUBLISH_WINDOW_BYTES

steps = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.sampled_from(["dict", "tuple", "bytes", "list", "table", "dicts"])),
        st.tuples(st.just("submit"), st.sampled_from(["dict", "tuple", "bytes"])),
        st.tuples(st.just("mark"), st.just("")),
        st.tuples(st.just("take"), st.just("")),
    ),
    max_size=60,
)


class Waiter:
    """A future's place in the order: how many rows came before it, its own included."""

    def __init__(self, rows: int) -> None:
        self.rows = rows


def made(kind: str, number: int) -> tuple[Any, int]:
    """Something to send, and how many rows it is."""
    row = {"n": number}
    table = pa.table({"n": [number, number + 1]})
    return {
        "dict": (row, 1),
        "tuple": ((number,), 1),
        "bytes": (b"%d" % number, 1),
        "list": ([number], 1),
        "table": (table, 2),
        "dicts": ([row, {"n": number + 1}], 2),
    }[kind]


def numbers_in(data: Any) -> list[int]:
    if isinstance(data, pa.Table):
        return [int(number) for number in data.column("n").to_pylist()]
    return [row["n"] if isinstance(row, dict) else int(row[0]) if isinstance(row, tuple) else int(row) for row in data]


@given(steps)
def test_everything_comes_out_once_in_order_and_futures_with_what_they_belong_to(plan: list[tuple[str, str]]) -> None:
    woken: list[bool] = []
    gathering, sent, asleep = Gathering("events", lambda: woken.append(True)), 0, True
    out: list[int] = []

    def take() -> bool:
        run = gathering.take()
        if run is None:
            return False
        if run.data is not None:
            assert run.kind is None or set(map(type, run.data)) == {run.kind}
            out.extend(numbers_in(run.data))
        assert all(waiter.rows <= len(out) for waiter in run.futures), "it is done no sooner than its rows"
        return True

    for step, kind in plan:
        if step == "take":
            asleep = not take()
            continue
        data, rows = made(kind, sent) if kind else (None, 0)
        before = len(woken)
        if step == "put":
            assert gathering.put(data)
        else:
            waiter = Waiter(sent + rows)
            assert gathering.put_item(Item(future=waiter) if step == "mark" else row_item(data, waiter))
        assert (len(woken) > before) == asleep, "it wakes whoever sleeps, once"
        sent, asleep = sent + rows, False
    while take():
        pass
    assert out == list(range(sent))


@pytest.mark.parametrize("row", [{"n": 1}, (1, "x"), b"1"])
def test_it_is_full_at_so_many_rows_and_gives_them_in_values_of_a_bounded_size(row: object) -> None:
    gathering = Gathering("events", lambda: None)
    taken = 0
    while gathering.put(row):
        taken += 1
    assert taken == GATHERED_ROWS_MAX
    run = gathering.take()
    assert run is not None
    assert len(run.data) == GATHERED_VALUE_ROWS_MAX
    assert gathering.put(row), "there is room again"


def test_large_rows_are_counted_by_their_bytes_and_one_always_goes() -> None:
    gathering = Gathering("events", lambda: None)
    assert gathering.put(bytes(2 * PUBLISH_WINDOW_BYTES))
    assert not gathering.put(b"small")
    assert gathering.take() is not None
    rows = 0
    while gathering.put(bytes(100_000)):
        rows += 1
    assert PUBLISH_WINDOW_BYTES // 100_000 <= rows <= PUBLISH_WINDOW_BYTES // 100_000 + 1


def test_what_stopped_it_is_raised_and_what_was_not_sent_is_told() -> None:
    gathering, waiter = Gathering("events", lambda: None), Waiter(1)
    gathering.put({"n": 1})
    gathering.put_item(row_item({"n": 2}, waiter))
    assert gathering.stop(NotAllowed("events is written by the pipeline")) == [waiter]
    assert gathering.take() is None
    for row in ({"n": 3}, [{"n": 3}], b""):
        with pytest.raises(NotAllowed):
            gathering.put(row)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (None, "cannot publish NoneType"),
        ("text", "cannot publish str"),
        ([], "an empty list has no columns"),
        ([{"n": 1}, 2], "row 2 is int: in a list of rows each is a dict"),
        ([(1,), {"n": 1}], "row 2 is dict: in a list of rows each is a tuple"),
    ],
)
def test_what_is_no_row_is_refused_at_once_and_stops_nothing(data: object, what: str) -> None:
    gathering = Gathering("events", lambda: None)
    with pytest.raises(InvalidArgument, match=what):
        gathering.put(data)
    with pytest.raises(InvalidArgument, match="is no row"):
        row_item(pa.table({"n": [1]}), Waiter(0))
    assert gathering.put({"n": 1})


def test_threads_share_it_and_none_of_their_rows_is_lost() -> None:
    gathering, rows_each = Gathering("events", lambda: None), 4_000
    began = threading.Barrier(3)

    def put(thread: int) -> None:
        began.wait()
        for number in range(rows_each):
            assert gathering.put((thread, number))

    threads = [threading.Thread(target=put, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    began.wait()
    seen: list[tuple[int, int]] = []
    while any(thread.is_alive() for thread in threads):
        run = gathering.take()
        seen.extend(run.data if run is not None else ())
    while (run := gathering.take()) is not None:
        seen.extend(run.data)
    assert [number for thread, number in seen if thread == 0] == list(range(rows_each))
    assert [number for thread, number in seen if thread == 1] == list(range(rows_each))
