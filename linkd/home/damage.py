"""What a home does about damage that its store meets: it says so, and what is lost is dropped, so that readers pass over it.

Only values that are nowhere else go; the bytes that were in the way are in the directory's `quarantine/`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence

from linkd.core.ledger import Ledger
from linkd.core.links import dropped_within
from linkd.errors import Overloaded, StorageFailed
from linkd.home.clock import Clock
from linkd.limits import DAMAGE_NOTES_KEPT
from linkd.model.records import Dropped, Record
from linkd.store.damage import Damage, LostValues
from linkd.telemetry.events import FileQuarantined
from linkd.telemetry.hub import Telemetry

REASON = "damaged"


class DamageControl:
    """Belongs to one event loop. `notes` are for whoever looks on: the last things that were set aside."""

    def __init__(self, ledger: Ledger, admit: Callable[[Sequence[Record]], object], clock: Clock, telemetry: Telemetry) -> None:
        self._ledger = ledger
        self._admit = admit
        self._clock = clock
        self._telemetry = telemetry
        self._told: list[Damage] = []

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(str(damage) for damage in self._told)

    def met(self, damage: Damage) -> None:
        """The store has met it, and says so again until what is lost was dropped."""
        if damage not in self._told:
            self._told = [*self._told, damage][-DAMAGE_NOTES_KEPT:]
            self._telemetry.emit(FileQuarantined(path=str(damage.path), detail=str(damage)))
        now_ns = self._clock.now_ns()
        records = [
            Dropped(one.link, one.incarnation, one.first, one.last, REASON, dropped_at_ns=now_ns)
            for one in damage.lost
            if not self._is_dropped(one)
        ]
        if records:
            with contextlib.suppress(Overloaded, StorageFailed):  # the store asks again; or has failed, and has said so
                self._admit(records)

    def _is_dropped(self, lost: LostValues) -> bool:
        link = self._ledger.links.get(lost.link)
        if link is None or lost.generation not in link.generations:
            return True
        gone = dropped_within(link, lost.first, lost.last)
        return sum(min(one.last_sequence, lost.last) - max(one.first_sequence, lost.first) + 1 for one in gone) > lost.last - lost.first
