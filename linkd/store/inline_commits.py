"""Commits that the event loop makes by itself, in place of the committer's thread: two changes of threads less for who waits for one frame.

That is worth it, and allowed, when nothing else is in flight: the thread sleeps, what gathered in this turn of the loop is a few small frames
(payloads that lie in volatile files already cost no more than those), and no commit of its kind has been slow lately. The loop stands still
meanwhile, so the time that commits take is measured, all of them, also those of the thread: one that takes too long sends those that follow to the
thread until its memory has faded. Those that sync and those that only write are two kinds: what delays the one says nothing of the other.
"""

from __future__ import annotations

import math
import threading

from linkd.store.pending import Pending
from linkd.store.store_limits import StoreLimits

_FADING = 0.95
"""Of the slowest commit that synced, with each one that follows: one of 10 ms keeps some 60 in the thread."""
_FADING_WRITTEN = 0.7
"""Of the slowest one that only wrote: what held it up is over sooner than a slow disk is."""


class InlineCommits:
    """`writing` is held by whoever commits."""

    def __init__(self, limits: StoreLimits) -> None:
        self._limits = limits
        self._slowest_s = {True: 0.0, False: 0.0}
        self.writing = threading.Lock()
        self.made = 0
        """How many there were."""
        self.soon = False
        """One is due in this turn of the loop."""
        self.thread = 0
        """The loop's, as `threading` knows it; 0 before the first."""

    def begin(self) -> None:
        """The loop has `writing`, and commits now."""
        self.thread = threading.get_ident()
        self.made += 1

    def took(self, seconds: float, cpu_s: float, *, synced: bool) -> None:
        """A commit was made, by whomever, which took the processor for `cpu_s` of its time.

        One that only wrote did not wait for the disk, so the rest of its time somebody else had the processor: that says nothing of the next one.
        Only where the rest is long may the kernel have held it up, for there is more to write back than it likes.
        """
        if not synced and seconds <= self._limits.write_stalled_s:
            seconds = cpu_s
        self._slowest_s[synced] = max(seconds, self._slowest_s[synced] * (_FADING if synced else _FADING_WRITTEN))

    def suits(self, pending: Pending, catalog_waiting: int) -> bool:
        """Whether the loop should commit this. `catalog_waiting` entries of the index wait; the thread writes them."""
        group, syncs, limits = pending.group, pending.due_s == -math.inf, self._limits
        return (
            self._slowest_s[syncs] <= limits.inline_commit_max_s
            and group.frames <= (limits.inline_commit_max_frames if syncs else limits.inline_write_max_frames)
            and all(write.in_place is not None and write.in_place.volatile for write in pending.bulk)
            and not group.new_file
            and catalog_waiting < self._limits.catalog_tail_max_values
            and not self.writing.locked()
        )
