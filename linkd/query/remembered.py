"""What a home knows of statements that were answered a moment ago: a client prepares what it runs then, and a dashboard asks the same all day.

Which tables a statement reads depends on its text and its parameters alone, and what it gives on the columns that these have: so the process that
runs statements is told beforehand what it would ask, and is not asked at all what a statement gives while the columns are the same.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from linkd.core.rights import Identity
from linkd.limits import CHECKED_STATEMENTS_MAX, REMEMBERED_STATEMENTS_MAX_BYTES
from linkd.model.frozen import frozen
from linkd.query.answers import Prepared


@frozen()
class Remembered:
    """The question (see `pipe`) that a statement led to, and what it gives, found out while the schemas of its tables were those of `shape`."""

    question: Mapping[str, Any]
    shape: tuple[str, ...] = ()
    prepared: Prepared | None = None

    @property
    def size_bytes(self) -> int:
        of_answer = len(self.prepared.schema) + len(self.prepared.parameters_schema) if self.prepared is not None else 0
        return of_answer + sum(map(len, self.shape))


@dataclass(slots=True)
class RememberedStatements:
    """By their callers and texts; the least recently used one goes first."""

    _kept: OrderedDict[tuple[Identity, str], Remembered] = field(default_factory=OrderedDict)
    _bytes: int = 0

    def get(self, who: Identity, sql: str) -> Remembered | None:
        found = self._kept.get((who, sql))
        if found is not None:
            self._kept.move_to_end((who, sql))
        return found

    def keep(self, who: Identity, sql: str, remembered: Remembered) -> None:
        before = self._kept.pop((who, sql), None)
        if before is not None:
            self._bytes -= len(sql) + before.size_bytes
        self._kept[who, sql] = remembered
        self._bytes += len(sql) + remembered.size_bytes
        while len(self._kept) > CHECKED_STATEMENTS_MAX or self._bytes > REMEMBERED_STATEMENTS_MAX_BYTES:
            (_, text), oldest = self._kept.popitem(last=False)
            self._bytes -= len(text) + oldest.size_bytes
