"""Which process may use the client: a connection does not survive a fork, so a child must not go on with what its parent began.

That gRPC's threads have been started is a fact about the process, so it is remembered once for the process and nowhere else.
"""

from __future__ import annotations

import os

from linkd.errors import ForkedClient


class ForkGuard:
    """Remembers in which process the first client connected, and counts its `forks` since then."""

    def __init__(self) -> None:
        self._pid: int | None = None
        self.forks = 0
        """Who was given something to read before the last of them shares it with a child, which may read it for as long as it likes."""

    def enter(self) -> None:
        """Called by every `connect`: the client lives in this process from here on. Raises ForkedClient like `check`."""
        self.check()
        if self._pid is None:
            os.register_at_fork(before=self._count)
        self._pid = os.getpid()

    def check(self) -> None:
        """Called by every call. Raises ForkedClient in a child whose parent had connected before the fork."""
        if self._pid is not None and self._pid != os.getpid():
            raise ForkedClient(
                f"this process ({os.getpid()}) was forked from one ({self._pid}) that had connected to linkd, and a connection does not survive "
                "a fork: connect first in the child, or start children with the method `spawn` (multiprocessing.set_start_method('spawn'))"
            )

    @property
    def is_ours(self) -> bool:
        """Whether it was this process that connected."""
        return self._pid == os.getpid()

    def _count(self) -> None:
        self.forks += 1


FORK_GUARD = ForkGuard()
"""The one of this process."""
