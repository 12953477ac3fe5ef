"""What is staged for commits: values under a snapshot's fencing token, waiting for the commit that names them.

They are dropped when the snapshot is handed out again (their token is stale then), when it is committed, and when the home ends. Their bytes
are the store's (`store.staging`), in memory up to a bound and in files above it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from linkd.core.artifact_references import ATTRIBUTE, references_of
from linkd.errors import Conflict, LeaseLost, StagedLost
from linkd.home.intake import Prepared, Target
from linkd.model.frozen import frozen

STAGED_ID_BYTES = 6
"""Of chance in the first id of a home's life: as many more can follow."""


@frozen()
class StagedRef:
    """What a client names in its commit: the number it was given, and the checksum, so that two homes' numbers are not confused."""

    staged_id: int
    payload_xxh3: int


@dataclass(slots=True)
class _Pending:
    token: int
    values: dict[int, Prepared] = field(default_factory=dict)
    schemas: dict[str, Target] = field(default_factory=dict)


class StagedValues:
    """All that is staged in one home, by snapshot. Ids run on behind `last_id`: chance, so that none is one of an earlier life of the home."""

    def __init__(self, last_id: int) -> None:
        self._pending: dict[bytes, _Pending] = {}
        self._last_id = last_id

    def add(self, snapshot_id: bytes, token: int, prepared: Prepared) -> StagedRef:
        """Stages a value. A newer token drops what was staged under the older one."""
        pending = self._pending.get(snapshot_id)
        if pending is None or pending.token != token:
            self.drop(snapshot_id)
            pending = self._pending[snapshot_id] = _Pending(token)
        self._last_id += 1
        pending.values[self._last_id] = prepared
        draft = prepared.draft
        pending.schemas[draft.link] = Target(draft.schema_id, draft.schema)
        return StagedRef(self._last_id, draft.payload_xxh3)

    def schema(self, snapshot_id: bytes, token: int, link: str) -> Target | None:
        """The schema that an earlier value of the same snapshot gave the output, if there was one."""
        pending = self._pending.get(snapshot_id)
        return pending.schemas.get(link) if pending is not None and pending.token == token else None

    def artifacts(self) -> set[bytes]:
        """The artifacts that staged values name."""
        named = (value.draft.attributes for pending in self._pending.values() for value in pending.values.values())
        return {one.digest for attributes in named if ATTRIBUTE in attributes for one in references_of(attributes)}

    def find(self, snapshot_id: bytes, token: int, refs: Sequence[StagedRef]) -> list[tuple[int, Prepared]]:
        """The values that a commit names, in its order. StagedLost if one is not here (any more), Conflict if it is another one."""
        pending = self._pending.get(snapshot_id)
        found: list[tuple[int, Prepared]] = []
        for ref in refs:
            prepared = pending.values.get(ref.staged_id) if pending is not None and pending.token == token else None
            if prepared is None:
                raise StagedLost("what was published for this snapshot is not here any more (linkd was restarted); stage it again")
            if prepared.draft.payload_xxh3 != ref.payload_xxh3:
                raise Conflict("the commit names a staged value by another checksum than it was staged with")
            found.append((ref.staged_id, prepared))
        return found

    def replace(self, snapshot_id: bytes, token: int, staged_id: int, prepared: Prepared) -> None:
        """Puts another form of a staged value in its place. LeaseLost, with `prepared` dropped, if it is not here any more."""
        pending = self._pending.get(snapshot_id)
        if pending is None or pending.token != token or staged_id not in pending.values:
            prepared.payload.discard()
            raise LeaseLost("the snapshot was handed out again, or committed, while it was committed; take the next one")
        pending.values[staged_id].payload.discard()
        pending.values[staged_id] = prepared

    def settle(self, snapshot_id: bytes, staged_ids: Sequence[int]) -> None:
        """The commit was admitted: the named values belong to the store now, the others are dropped."""
        pending = self._pending.get(snapshot_id)
        if pending is not None:
            for staged_id in staged_ids:
                pending.values.pop(staged_id, None)
        self.drop(snapshot_id)

    def drop(self, snapshot_id: bytes) -> None:
        pending = self._pending.pop(snapshot_id, None)
        if pending is not None:
            for prepared in pending.values.values():
                prepared.payload.discard()
