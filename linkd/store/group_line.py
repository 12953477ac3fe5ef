"""Frames in line for the committer: the group that gathers, and behind it, closed, those that came before."""

from __future__ import annotations

import asyncio
import threading
from collections import deque

from linkd.model.values import Durability
from linkd.store.journal_layout import JournalLayout
from linkd.store.pending import Committed, FrameDraft, Pending, SyncsAsked


class GroupLine:
    """`lock` guards all of it, and the layout; the thread that commits waits on it."""

    def __init__(self, layout: JournalLayout) -> None:
        self._layout = layout
        self._closed: deque[Pending] = deque()
        self.gathering: Pending | None = None
        self.lock = threading.Condition()
        self.asked = SyncsAsked(self.lock)

    def __bool__(self) -> bool:
        return bool(self._closed or self.gathering)

    @property
    def has_closed(self) -> bool:
        """Whether groups wait to which nothing is added any more."""
        return bool(self._closed)

    def add(self, draft: FrameDraft, future: asyncio.Future[Committed], due_s: float, durability: Durability) -> tuple[Pending, int]:
        """Puts a frame in line. Returns its group, and what it takes of the queue."""
        pending = self._pending_for(JournalLayout.frame_bytes(draft.records, draft.payloads))
        before = len(pending.group.data)
        place = self._layout.add(pending.group, draft.records, draft.payloads)
        queued_bytes = len(pending.group.data) - before + draft.bulk_bytes
        pending.queued_bytes += queued_bytes
        pending.take(draft, place, future, due_s, durability)
        return pending, queued_bytes

    def take(self) -> Pending | None:
        """The next group, closed: nothing is added to it any more."""
        with self.lock:
            if self._closed:
                return self._closed.popleft()
            pending, self.gathering = self.gathering, None
            if pending is not None:
                self._layout.end(pending.group)
            return pending

    def put_back(self, pending: Pending) -> None:
        """It was not committed, and is first in line again."""
        with self.lock:
            self._closed.appendleft(pending)

    def _pending_for(self, frame_bytes: int) -> Pending:
        """The gathering group, or a new one if the frame does not go into it any more."""
        if self.gathering is not None and not self._layout.fits(self.gathering.group, frame_bytes):
            self._layout.end(self.gathering.group)
            self._closed.append(self.gathering)
            self.gathering = None
        if self.gathering is None:
            self.gathering = Pending(self._layout.begin(frame_bytes))
        return self.gathering
