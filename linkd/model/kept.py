"""What a checkpoint says of a home: its ledger, restated, so that the records behind it need not be read again.

`core.checkpoint` makes these of a ledger and a ledger of these. Their encoding is in `proto/linkd/store/v1/frame.proto`. Everything in them is
on disk by the time a checkpoint counts, so nothing says what is durable; and no connection outlives a home, so nothing says who holds what.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from linkd.model.records import GroupLeased, RunBegan, SnapshotCommitted, SnapshotLeased, SourceMoved
from linkd.model.values import Parent


@dataclass(frozen=True, slots=True)
class HomeKept:
    """What belongs to no link and no task. `executions` has how often tasks were started, the one that began last at the end."""

    epoch: int
    last_token: int
    run: RunBegan | None = None
    run_outcome: str = ""
    executions: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class SchemaMessage:
    """A schema that a value there still is may have, as an encapsulated Arrow IPC message."""

    schema_id: bytes
    schema: bytes


@dataclass(frozen=True, slots=True)
class LinkKept:
    """A link. `durable_sequence` is that of its last value, `newest` the number of its last generation."""

    link: str
    incarnation: int
    next_sequence: int
    durable_sequence: int
    last_created_at_ns: int
    newest: int


@dataclass(frozen=True, slots=True)
class GenerationKept:
    """A generation that was not dropped. `schema_id` is that of its next value, `schema_ids` are those of all its values."""

    link: str
    generation: int
    incarnation: int
    first_sequence: int
    last_sequence: int
    task: str
    task_version: str
    inputs: tuple[Parent, ...]
    state: str
    sealed_sequence: int | None
    was_sealed: bool
    values: int
    rows: int
    size_bytes: int
    schema_id: bytes
    schema_ids: tuple[bytes, ...]
    declared: bool
    source: SourceMoved | None


@dataclass(frozen=True, slots=True)
class RememberedKept:
    """A generation that was dropped, of whose values the envelopes are kept: something there still is was made from it."""

    link: str
    generation: int
    incarnation: int
    first_sequence: int
    last_sequence: int
    inputs: tuple[Parent, ...] = ()


@dataclass(frozen=True, slots=True)
class CursorKept:
    """How far a task has come in one input."""

    link: str
    done_sequence: int
    ahead: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class TaskKept:
    """A task. `open` are the snapshots that were put together and not committed, `committed` the answers that may have to be repeated."""

    task: str
    execution: int
    version: str
    inputs: Mapping[str, int] = field(default_factory=dict)
    outputs: Mapping[str, int] = field(default_factory=dict)
    extents: Mapping[str, int] = field(default_factory=dict)
    ended: bool = False
    cursors: tuple[CursorKept, ...] = ()
    open: tuple[SnapshotLeased, ...] = ()
    committed: tuple[SnapshotCommitted, ...] = ()
    commits: int = 0
    refused_late: int = 0
    done_rows: Mapping[str, int] = field(default_factory=dict)
    policy_state: bytes = b""
    recorded: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GroupKept:
    """A consumer group, with what its members have on lease."""

    group: str
    link: str
    incarnation: int
    generation: int
    done_sequence: int
    ahead: tuple[tuple[int, int], ...] = ()
    handed_sequence: int = 0
    leases: tuple[GroupLeased, ...] = ()


Kept = HomeKept | SchemaMessage | LinkKept | GenerationKept | RememberedKept | TaskKept | GroupKept


@dataclass(frozen=True, slots=True)
class SegmentFileHeld:
    """A segment file. `copies` says that its values were copied out of the journal; the message at the gate may lack its prefix (0: none)."""

    file: int
    generation: int
    schema_id: bytes
    end: int
    copies: bool = False
    gate_offset: int = 0
    gate_metadata_bytes: int = 0


@dataclass(frozen=True, slots=True)
class LinkHeld:
    """What the store holds of a link.

    `generations` are those of which values are there, with their bytes; `dropped` those that were dropped and of which something may still be
    on disk, with whether their envelopes go too.
    """

    link: str
    last_file: int
    files: tuple[SegmentFileHeld, ...] = ()
    generations: Mapping[int, int] = field(default_factory=dict)
    dropped: Mapping[int, bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Held:
    """What the store holds, beside the journal. Inline payloads of journal files up to `copied_file` have been copied into segments."""

    copied_file: int = 0
    links: tuple[LinkHeld, ...] = ()
