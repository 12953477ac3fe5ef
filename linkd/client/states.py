"""What becomes of a client's connection, told to the program by a callback (`connect(..., on_state=callback)`)."""

from __future__ import annotations

import enum
import logging
from collections.abc import Callable

from linkd.model.frozen import frozen

log = logging.getLogger("linkd.client")


class ConnectionState(enum.StrEnum):
    """Where the connection to linkd stands."""

    CONNECTED = "connected"
    RECONNECTING = "reconnecting"
    WAITING = "waiting"
    DRAINING = "draining"
    CLOSED = "closed"


@frozen()
class StateChange:
    """The connection's state from now on.

    `connected`: calls go through. `reconnecting`: linkd is away, `reason` says why, and `attempt` counts the tries to reach it, from 1.
    `waiting`: linkd has no room for what is published (`reason`), and the client asks again by itself.
    `draining`: linkd is about to go, and the client will connect to the next one. `closed`: nothing follows; `reason` is empty where the
    program closed the client.
    """

    state: ConnectionState
    reason: str = ""
    attempt: int = 0


OnState = Callable[[StateChange], object]
"""Called in the thread of the client's event loop (of the synchronous face: linkd's own), which it must not hold up."""


class StateTeller:
    """Tells a callback of each change once. What it raises is logged, the first time, and stops nothing."""

    def __init__(self, on_state: OnState | None = None) -> None:
        self._on_state = on_state
        self._told: StateChange | None = None
        self._complained = False

    @property
    def state(self) -> ConnectionState | None:
        """What was told last."""
        return self._told.state if self._told is not None else None

    def tell(self, state: ConnectionState, reason: str = "", attempt: int = 0) -> None:
        change = StateChange(state, reason, attempt)
        told = self._told
        if told is not None and (told.state is ConnectionState.CLOSED or (told.state, told.attempt) == (state, attempt)):
            return
        self._told = change
        if self._on_state is None:
            return
        try:
            self._on_state(change)
        except Exception:
            if not self._complained:
                self._complained = True
                log.exception("the callback for changes of the connection raised; what it raises from now on is not told")
