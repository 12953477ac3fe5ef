"""Commits that the event loop makes by itself, in place of the committer's thread: two changes of threads less for who waits for one frame.

That is worth it, and allowed, when nothing else is in flight: the thread sleeps, what gathered in this turn of the loop is a few small frames,
and no commit has been slow lately. The loop stands still meanwhile, so the time that commits take is measured, all of them, also those of the
thread: one that takes too long sends those that follow to the thread until its memory has faded.
"""

from __future__ import annotations

import threading

from linkd.store.pending import Pending
from linkd.store.store_limits import StoreLimits

_FADING = 0.95
"""Of the slowest commit that is remembered, with each one that follows: one of 10 ms keeps some 60 in the thread."""


class InlineCommits:
    """`writing` is held by whoever commits."""

    def __init__(self, limits: StoreLimits) -> None:
        self._limits = limits
        self._slowest_s = 0.0
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

    def took(self, seconds: float) -> None:
        """A commit was made, by whomever."""
        self._slowest_s = max(seconds, self._slowest_s * _FADING)

    def suits(self, pending: Pending, catalog_waiting: int) -> bool:
        """Whether the loop should commit this. `catalog_waiting` entries of the index wait; the thread writes them."""
        group = pending.group
        return (
            self._slowest_s <= self._limits.inline_commit_max_s
            and group.frames <= self._limits.inline_commit_max_frames
            and not pending.bulk
            and not group.new_file
            and catalog_waiting < self._limits.catalog_tail_max_values
            and not self.writing.locked()
        )
