"""What a checkpoint says of a home: its ledger, restated, so that the records behind it need not be read again.

`core.checkpoint` makes these of a ledger and a ledger of these. Their encoding is in `proto/linkd/store/v1/frame.proto`. Everything in them is
on disk by the time a checkpoint counts, so nothing says what is durable; and no connection outlives a home, so nothing says who holds what.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from linkd.model.frozen import frozen
from linkd.model.records import GroupLeased, HoldPlaced, RunBegan, SnapshotCommitted, SnapshotFailed, SnapshotLeased, SourceMoved
from linkd.model.values import Parent


@frozen()
class HomeKept:
    """What belongs to no link and no task. `executions` has how often tasks were started, the one that began last at the end.

    `forgotten_epoch` is the highest epoch of the named producers that were forgotten. `boot` and `weak_links` are those of the `HomeStarted`
    that came last.
    """

    epoch: int
    last_token: int
    run: RunBegan | None = None
    run_outcome: str = ""
    executions: tuple[tuple[str, int], ...] = ()
    forgotten_epoch: int = 0
    boot: str = ""
    weak_links: tuple[str, ...] = ()


@frozen()
class SchemaMessage:
    """A schema that a value there still is may have, as an encapsulated Arrow IPC message."""

    schema_id: bytes
    schema: bytes


@frozen()
class GoneKept:
    """Values of a generation there still is that were dropped."""

    first_sequence: int
    last_sequence: int
    reason: str
    dropped_at_ns: int = 0


@frozen()
class IncarnationKept:
    """An incarnation of a link began behind what was left of the one before."""

    incarnation: int
    first_sequence: int


@frozen()
class DroppedKept:
    """How many values of a link were dropped for a reason, and when the last of them."""

    reason: str
    values: int
    last_at_ns: int


@frozen()
class LinkKept:
    """A link. `durable_sequence` is that of its last value, `newest` the number of its last generation, `gone` what its generations lack.

    `incarnations` are those that followed its first.
    """

    link: str
    incarnation: int
    next_sequence: int
    durable_sequence: int
    last_created_at_ns: int
    newest: int
    gone: tuple[GoneKept, ...] = ()
    incarnations: tuple[IncarnationKept, ...] = ()
    dropped: tuple[DroppedKept, ...] = ()


@frozen()
class StretchKept:
    """Values of a generation that follow one another; see `core.accounts`."""

    last_sequence: int
    values: int
    rows: int
    size_bytes: int
    created_at_ns: int
    parents: Mapping[str, int] = field(default_factory=dict)


@frozen()
class AccountKept:
    """What there is of a generation."""

    first_sequence: int
    stretches: tuple[StretchKept, ...] = ()


@frozen()
class GenerationKept:
    """A generation that was not dropped. `schema_id` is that of its next value, `schema_ids` are those of all its values.

    `account` is of what there is (None: nobody counted yet, and it is all there), `past` of what was dropped and is remembered, behind
    `forgotten_sequence`.
    """

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
    account: AccountKept | None = None
    past: tuple[StretchKept, ...] = ()
    forgotten_sequence: int = 0


@frozen()
class RememberedKept:
    """A generation that was dropped, of whose values the envelopes are kept: something there still is was made from it."""

    link: str
    generation: int
    incarnation: int
    first_sequence: int
    last_sequence: int
    inputs: tuple[Parent, ...] = ()


@frozen()
class CursorKept:
    """How far a task has come in one input."""

    link: str
    done_sequence: int
    ahead: tuple[tuple[int, int], ...] = ()


@frozen()
class TaskKept:
    """A task. `open` are the snapshots that were put together and not committed, `failed` those of them that failed before, `committed` the
    answers that may have to be repeated; `given_up` counts what went to the dead-letter link."""

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
    failed: tuple[SnapshotFailed, ...] = ()
    given_up: int = 0


@frozen()
class GroupKept:
    """A consumer group, with what its members have on lease, and the tokens of its last acks."""

    group: str
    link: str
    incarnation: int
    generation: int
    done_sequence: int
    ahead: tuple[tuple[int, int], ...] = ()
    handed_sequence: int = 0
    leases: tuple[GroupLeased, ...] = ()
    order: str = ""
    key: str = ""
    lease_ms: int = 0
    timeout_ms: int = 0
    max_attempts: int = 0
    run_generation: int = 0
    acked: tuple[int, ...] = ()
    lost_values: int = 0


@frozen()
class AnswerKept:
    """What a numbered publish was answered: the values `first_sequence` to `last_sequence` of its link, and the id of the last.

    `request_xxh3` is that of the publish as it was sent.
    """

    sequence: int
    link: str
    incarnation: int
    generation: int
    first_sequence: int
    last_sequence: int
    rows: int
    value_id: bytes
    request_xxh3: int


@frozen()
class ProducerKept:
    """A producer that numbers its publishes; `answers` are those of its last ones. They stand in the order in which they were used last."""

    producer: str
    epoch: int
    last_sequence: int
    answers: tuple[AnswerKept, ...] = ()


Kept = HomeKept | SchemaMessage | LinkKept | GenerationKept | RememberedKept | TaskKept | GroupKept | ProducerKept | HoldPlaced


@frozen()
class SegmentFileHeld:
    """A segment file. `copies` says that its values were copied; the message at the gate may lack its prefix (0: none).

    `first_sequence` and `last_sequence` are those of its values, 0 if that is not known. No more values go to one that is `closed`.
    `shared` and `volatile`: as in `ValueStored`.
    """

    file: int
    generation: int
    schema_id: bytes
    end: int
    copies: bool = False
    gate_offset: int = 0
    gate_metadata_bytes: int = 0
    first_sequence: int = 0
    last_sequence: int = 0
    closed: bool = False
    shared: bool = False
    volatile: bool = False


@frozen()
class PartDropped:
    """Values of generations there still are that were dropped, and of which something may be on disk. `forgotten`: their envelopes go too."""

    first: int
    last: int
    forgotten: bool = False


@frozen()
class LinkHeld:
    """What the store holds of a link.

    `generations` are those of which values are there, with their bytes; `dropped` those that were dropped and of which something may still be
    on disk, with whether their envelopes go too. `gone` are the sequences without a payload, `parts` those of them that are not freed yet.
    """

    link: str
    last_file: int
    files: tuple[SegmentFileHeld, ...] = ()
    generations: Mapping[int, int] = field(default_factory=dict)
    dropped: Mapping[int, bool] = field(default_factory=dict)
    gone: tuple[tuple[int, int], ...] = ()
    parts: tuple[PartDropped, ...] = ()


@frozen()
class Held:
    """What the store holds, beside the journal.

    Inline payloads of journal files up to `copied_file`, and of frames up to `copied_lsn`, have been copied into segments.
    """

    copied_file: int = 0
    links: tuple[LinkHeld, ...] = ()
    copied_lsn: int = 0
