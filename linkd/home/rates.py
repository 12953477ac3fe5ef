"""How fast links grow: what became durable over the last seconds, gathered as frames settle and looked at when somebody asks."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from linkd.limits import RATE_WINDOW_S
from linkd.model.frozen import frozen
from linkd.model.records import Record, ValueStored


@frozen()
class Rate:
    """Averages over the window, or over the time since the link began to move, whichever is shorter."""

    values_per_s: float
    rows_per_s: float
    bytes_per_s: float


@dataclass(slots=True)
class _Second:
    """What became durable within one second of the monotonic clock."""

    second: int
    values: int = 0
    rows: int = 0
    size_bytes: int = 0


class Rates:
    """The rates of all links: a handful of numbers for each that moves. Times are monotonic."""

    def __init__(self) -> None:
        self._seconds: dict[str, deque[_Second]] = {}

    def settled(self, records: Iterable[Record], now_s: float) -> None:
        """The values of a frame are durable."""
        for record in records:
            if not isinstance(record, ValueStored):
                continue
            seconds = self._seconds.setdefault(record.envelope.link, deque(maxlen=RATE_WINDOW_S))
            if not seconds or seconds[-1].second != int(now_s):
                seconds.append(_Second(int(now_s)))
            last = seconds[-1]
            last.values += 1
            last.rows += record.envelope.rows
            last.size_bytes += record.envelope.size_bytes

    def of(self, link: str, now_s: float) -> Rate | None:
        """The rate of a link; None if nothing moved within the window."""
        seconds = self._seconds.get(link)
        while seconds and seconds[0].second <= int(now_s) - RATE_WINDOW_S:
            seconds.popleft()
        if not seconds:
            self._seconds.pop(link, None)
            return None
        elapsed_s = max(now_s - seconds[0].second, 1.0)
        return Rate(
            sum(second.values for second in seconds) / elapsed_s,
            sum(second.rows for second in seconds) / elapsed_s,
            sum(second.size_bytes for second in seconds) / elapsed_s,
        )

    @property
    def moving(self) -> bool:
        """Whether some link had a rate when it was last asked about, so that the next answer will be another."""
        return bool(self._seconds)
