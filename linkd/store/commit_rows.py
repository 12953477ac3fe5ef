"""What a record says of a commit, as a row of `_commits`: see `store.commit_log` for the columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from linkd.model.records import Record, SnapshotCommitted, SourceMoved, ValueStored
from linkd.wire.frames import encode_frame

if TYPE_CHECKING:
    import pyarrow as pa


def commit_row(lsn: int, record: Record, frame: Sequence[Record]) -> dict[str, Any] | None:
    """What a record says of a commit, but for the chain; None if it is about something else."""
    if isinstance(record, SnapshotCommitted):
        return {
            "lsn": lsn,
            "kind": "commit",
            "committed_at": record.committed_at_ns,
            "task": record.task,
            "execution": record.execution,
            "snapshot_id": record.snapshot_id,
            "attempt": record.attempt,
            "portions": [_range(one) for one in record.portions],
            "outputs": [_range(one) for one in record.outputs],
            "attributes": list(record.attributes.items()),
            "record": encode_frame([record]),
        }
    if isinstance(record, SourceMoved):
        return {
            "lsn": lsn,
            "kind": "source",
            "committed_at": None,
            "task": record.link,
            "execution": 0,
            "snapshot_id": b"",
            "attempt": 0,
            "portions": [],
            "outputs": _outputs(frame),
            "attributes": list(record.attributes.items()),
            "record": encode_frame([record]),
        }
    return None


def _range(one: Any) -> Mapping[str, Any]:
    return {name: getattr(one, name) for name in ("link", "incarnation", "generation", "first_sequence", "last_sequence")}


def _outputs(frame: Sequence[Record]) -> list[Mapping[str, Any]]:
    """The values of a frame, gathered by link."""
    found: dict[str, dict[str, Any]] = {}
    for record in frame:
        if isinstance(record, ValueStored):
            envelope, sequence = record.envelope, record.envelope.position.sequence
            begun = {
                "link": envelope.link,
                "incarnation": envelope.position.incarnation,
                "generation": envelope.generation,
                "first_sequence": sequence,
            }
            found.setdefault(envelope.link, begun)["last_sequence"] = sequence
    return list(found.values())


def commit_schema() -> pa.Schema:
    """The columns of `_commits`; `store.commit_log` says what they are."""
    import pyarrow as pa

    numbers = [(name, pa.uint64()) for name in ("incarnation", "generation", "first_sequence", "last_sequence")]
    ranges = pa.list_(pa.struct([("link", pa.utf8()), *numbers]))
    return pa.schema(
        [
            ("lsn", pa.uint64()),
            ("kind", pa.utf8()),
            ("committed_at", pa.timestamp("ns", "UTC")),
            ("task", pa.utf8()),
            ("execution", pa.uint64()),
            ("snapshot_id", pa.binary()),
            ("attempt", pa.uint64()),
            ("portions", ranges),
            ("outputs", ranges),
            ("attributes", pa.map_(pa.utf8(), pa.utf8())),
            ("record", pa.binary()),
            ("chain", pa.binary()),
        ]
    )
