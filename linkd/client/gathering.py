"""What a publisher was given and has not sent yet: rows that came one by one, from any thread, and how they become values.

One list holds all of it in order. A plain row (a dict, a tuple, bytes) is an item by itself, so that taking one costs little more than an
append; whatever has more to it (a future, a frame, a large row) is wrapped into an `Item`. The list is shared without a lock: threads append,
the event loop takes from its front, and each of these is one operation that Python makes undivided.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from linkd.client.process import FORK_GUARD
from linkd.errors import Error, InvalidArgument
from linkd.limits import (
    GATHERED_LARGE_ROW,
    GATHERED_LOOK_ROWS,
    GATHERED_ROWS_MAX,
    GATHERED_VALUE_BYTES,
    GATHERED_VALUE_ROWS_MAX,
    PUBLISH_WINDOW_BYTES,
)
from linkd.model.frozen import frozen

_ROW_TYPES = frozenset((dict, tuple, bytes))
_SAMPLE_WEIGHT = 1 / 8
"""Of the newest sample in the average size of a row: rows that change are followed within some hundred."""


@frozen()
class Item:
    """One thing that was sent: `rows` of one type, or `data` of another kind. Without either it is a mark: `future` wants to know when all
    before it is durable."""

    rows: Sequence[Any] = ()
    size_bytes: int = 0
    data: Any = None
    future: Any = None

    @property
    def is_mark(self) -> bool:
        return not self.rows and self.data is None


@dataclass(slots=True)
class Run:
    """What goes into one publish: `data` is a list of rows of one type (`kind`), or without that what was sent; None: nothing is to be sent.

    `futures` are done with it.
    """

    kind: type | None
    data: Any
    futures: list[Any] = field(default_factory=list)


class Gathering:
    """Takes rows while there is room (`put`) and gives them in runs (`take`). `wake` is called, in any thread, when something came to be sent."""

    def __init__(self, link: str, wake: Callable[[], object]) -> None:
        self._link = link
        self.wake = wake
        self._items: list[Any] = []
        self._look_at = 0
        self._row_bytes = 0.0
        self._wrapped_bytes = 0
        self._asleep = True
        self._error: Error | None = None
        self._runs: list[Run] = []

    # -- in any thread --------------------------------------------------------------------------------------------------------------------

    def put(self, row: object) -> bool:
        """Takes what was sent; False, and it was not taken, if there is no room. Raises what stopped the publisher, and InvalidArgument."""
        if type(row) not in _ROW_TYPES or len(row) > GATHERED_LARGE_ROW:  # type: ignore[arg-type]  # the three of them have a length
            return self.put_item(_item(row))
        items = self._items
        if len(items) >= self._look_at and not self._has_room(row):
            return False
        items.append(row)
        if self._asleep:
            self._asleep = False
            self.wake()
        return True

    def put_item(self, item: Item) -> bool:
        """As `put`, of what is more than a row."""
        if not self._has_room(None):
            return False
        self._wrapped_bytes += item.size_bytes
        self._items.append(item)
        self._look_at = 0
        self.check()  # what was stopped in this very moment does not know of it
        if self._asleep:
            self._asleep = False
            self.wake()
        return True

    @property
    def full(self) -> bool:
        """Whether there is no room for more."""
        return len(self._items) >= self._most_rows()

    @property
    def half_full(self) -> bool:
        """Whether it is not worth yet to wake those who wait for room."""
        return 2 * len(self._items) >= self._most_rows()

    def check(self) -> None:
        """Raises what stopped the publisher."""
        FORK_GUARD.check()
        if self._error is not None:
            raise self._error

    def _has_room(self, row: object) -> bool:
        """A closer look, at every so manieth row: what they take, and whether anything was stopped."""
        self.check()
        if row is not None:
            sample = _row_bytes(row)
            self._row_bytes += (sample - self._row_bytes) * _SAMPLE_WEIGHT if self._row_bytes else sample
        held, most = len(self._items), self._most_rows()
        self._look_at = min(held + GATHERED_LOOK_ROWS, most)
        return held < most

    def _most_rows(self) -> int:
        """How many may be gathered of what comes now. One is taken always, however large."""
        left_bytes = PUBLISH_WINDOW_BYTES - self._wrapped_bytes
        return max(1, min(GATHERED_ROWS_MAX, int(left_bytes / self._row_bytes) if self._row_bytes else left_bytes))

    # -- in the event loop ----------------------------------------------------------------------------------------------------------------

    @property
    def error(self) -> Error | None:
        """What stopped it."""
        return self._error

    def stop(self, error: Error) -> list[Any]:
        """Nothing more is taken, and nothing given: `error` says why from now on. Returns the futures of what will not be sent."""
        self._error = error
        self._look_at = 0
        left = [item.future for item in self._items if isinstance(item, Item)] + [future for run in self._runs for future in run.futures]
        self._items[:] = ()
        self._runs = []
        return [future for future in left if future is not None]

    def take(self) -> Run | None:
        """What is to be sent next; None if that is nothing: then `wake` is called for what comes."""
        while not self._runs:
            items = self._taken()
            if items is None:
                return None
            self._runs = _runs(items)
        return self._runs.pop(0)

    def _taken(self) -> list[Any] | None:
        most = min(GATHERED_VALUE_ROWS_MAX, int(GATHERED_VALUE_BYTES / self._row_bytes)) if self._row_bytes else GATHERED_VALUE_ROWS_MAX
        items = self._items[: max(most, 1)]
        if not items:
            self._asleep = True
            if not self._items:  # what comes from now on wakes again
                return None
            self._asleep = False
            items = self._items[: max(most, 1)]
        self._items[: len(items)] = ()
        self._look_at = 0
        if self._wrapped_bytes:  # threads add to it without a lock; it is right again whenever all was taken
            left_bytes = self._wrapped_bytes - sum(item.size_bytes for item in items if type(item) is Item)
            self._wrapped_bytes = left_bytes if self._items else 0
        return items


def _runs(items: list[Any]) -> list[Run]:
    """The items in runs of one type, of no more than a value should have; what is no row goes alone."""
    kinds = set(map(type, items))
    if len(kinds) == 1 and kinds <= _ROW_TYPES:
        return [Run(kinds.pop(), items)]
    runs: list[Run] = []
    run_bytes = 0
    for item in items:
        if type(item) is not Item:
            item = Item([item])
        rows, last = item.rows, runs[-1] if runs else None
        if item.is_mark and last is None:
            runs.append(Run(None, None))
        elif not item.is_mark:
            kind = type(rows[0]) if rows else None
            fits = run_bytes + item.size_bytes <= GATHERED_VALUE_BYTES
            if last is not None and kind and last.kind is kind and fits and len(last.data) + len(rows) <= GATHERED_VALUE_ROWS_MAX:
                last.data.extend(rows)
            else:
                runs.append(Run(kind, list(rows) if kind else item.data))
                run_bytes = 0
            run_bytes += item.size_bytes
        if item.future is not None:
            runs[-1].futures.append(item.future)
    return runs


def row_item(row: object, future: object) -> Item:
    """One row, with the future of its ack. Raises InvalidArgument for anything else."""
    item = _item(row)
    if len(item.rows) != 1:
        raise InvalidArgument(f"{type(row).__name__} is no row: submit a dict, a tuple in the order of the columns, or bytes")
    return replace(item, future=future)


def _item(data: object) -> Item:
    """What was sent, in the form in which it is kept. Raises InvalidArgument."""
    if isinstance(data, Mapping):
        return _of_rows([dict(data)])
    if isinstance(data, bytes | bytearray | memoryview):
        return _of_rows([bytes(data)])
    if isinstance(data, tuple):
        return _of_rows([tuple(data)])
    if hasattr(data, "__arrow_c_stream__") or hasattr(data, "__arrow_c_array__"):
        size_bytes = getattr(data, "nbytes", None)
        return Item(size_bytes=size_bytes if isinstance(size_bytes, int) else 0, data=data)
    if isinstance(data, Sequence) and not isinstance(data, str):
        return _listed(data)
    raise InvalidArgument(
        f"cannot publish {type(data).__name__}: send a dict, a tuple in the order of the columns, bytes, a list of dicts, or a data frame"
    )


def _listed(data: Sequence[Any]) -> Item:
    """A list of dicts or tuples is so many rows; any other is one row, as a tuple is."""
    if not data:
        raise InvalidArgument("an empty list has no columns: send a row, or an empty Arrow table or data frame, which has a schema")
    kind = Mapping if isinstance(data[0], Mapping) else tuple
    if kind is tuple and not isinstance(data[0], tuple):
        return _of_rows([tuple(data)])
    for number, row in enumerate(data, 1):
        if not isinstance(row, kind):
            raise InvalidArgument(
                f"row {number} is {type(row).__name__}: in a list of rows each is a {'dict' if kind is Mapping else 'tuple'}"
            )
    return _of_rows([dict(row) if kind is Mapping else tuple(row) for row in data])


def _of_rows(rows: Sequence[Any]) -> Item:
    return Item(rows, sum(map(_row_bytes, rows)))


def _row_bytes(row: Any) -> int:
    """About what a row takes; enough to bound what is gathered."""
    if isinstance(row, bytes):
        return len(row) + 1
    cells = row.values() if isinstance(row, dict) else row
    return 16 * len(row) + sum(len(cell) for cell in cells if isinstance(cell, str | bytes)) + 1
