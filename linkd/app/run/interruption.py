"""The person's Ctrl-C, and signals that mean the same."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import dataclass, field


@dataclass(slots=True)
class Interruption:
    """The first one asks to stop, the second one not to wait for anything."""

    asked: asyncio.Event = field(default_factory=asyncio.Event)
    urged: asyncio.Event = field(default_factory=asyncio.Event)

    def listen(self) -> None:
        """Takes the signals of this process, in its event loop; again is harmless."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._heard)

    def _heard(self) -> None:
        if self.asked.is_set():
            self.urged.set()
        self.asked.set()
