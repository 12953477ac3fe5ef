"""Whether the clock on the wall may be believed. Pure: two clocks in, a judgement out.

Age is the one thing that is measured by the clock that people set. It is held against the monotonic clock at each look: where the two have
strayed from each other by more than `CLOCK_JUMP_MAX_S` since the last look, it jumped, and counts for nothing until it has run steadily for
`CLOCK_STEADY_S`. At the start of a home there is no look before: what dates the newest value stands for it, so that a machine which comes up
with a wrong date deletes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from linkd.limits import CLOCK_JUMP_MAX_S, CLOCK_STEADY_S


@dataclass(slots=True)
class SteadyClock:
    """`steady_at_s` is the monotonic time from which on the clock is believed again, None while it is."""

    now_ns: int
    monotonic_s: float
    steady_at_s: float | None = None

    @staticmethod
    def at_start(now_ns: int, monotonic_s: float, last_seen_ns: int) -> SteadyClock:
        """`last_seen_ns` is the newest time that is known from before, 0 if none is."""
        clock = SteadyClock(now_ns, monotonic_s)
        if last_seen_ns and abs(now_ns - last_seen_ns) > CLOCK_JUMP_MAX_S * 1e9:
            clock.steady_at_s = monotonic_s + CLOCK_STEADY_S
        return clock

    def look(self, now_ns: int, monotonic_s: float) -> float:
        """Takes note of both clocks. Returns by how many seconds the clock jumped since the last look: 0 unless that is a jump."""
        strayed_s = (now_ns - self.now_ns) / 1e9 - (monotonic_s - self.monotonic_s)
        self.now_ns, self.monotonic_s = now_ns, monotonic_s
        if abs(strayed_s) > CLOCK_JUMP_MAX_S:
            self.steady_at_s = monotonic_s + CLOCK_STEADY_S
            return strayed_s
        if self.steady_at_s is not None and monotonic_s >= self.steady_at_s:
            self.steady_at_s = None
        return 0.0

    @property
    def credible_ns(self) -> int | None:
        """The time at the last look; None while the clock is not believed."""
        return self.now_ns if self.steady_at_s is None else None
