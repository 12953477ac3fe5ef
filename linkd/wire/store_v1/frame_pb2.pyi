from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Frame(_message.Message):
    __slots__ = ("records",)
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    records: _containers.RepeatedCompositeFieldContainer[Record]
    def __init__(self, records: _Optional[_Iterable[_Union[Record, _Mapping]]] = ...) -> None: ...

class Record(_message.Message):
    __slots__ = ("run_began", "run_ended", "link_opened", "schema_kept", "generation_began", "generation_ended", "generation_reopened", "task_began", "task_ended", "value_stored", "snapshot_leased", "snapshot_committed", "policy_saved", "group_opened", "group_moved", "group_leased", "source_moved", "digest_known", "dropped", "task_resumed", "producer_opened", "hold_placed", "hold_released", "snapshot_failed", "group_failed", "home_started")
    RUN_BEGAN_FIELD_NUMBER: _ClassVar[int]
    RUN_ENDED_FIELD_NUMBER: _ClassVar[int]
    LINK_OPENED_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_KEPT_FIELD_NUMBER: _ClassVar[int]
    GENERATION_BEGAN_FIELD_NUMBER: _ClassVar[int]
    GENERATION_ENDED_FIELD_NUMBER: _ClassVar[int]
    GENERATION_REOPENED_FIELD_NUMBER: _ClassVar[int]
    TASK_BEGAN_FIELD_NUMBER: _ClassVar[int]
    TASK_ENDED_FIELD_NUMBER: _ClassVar[int]
    VALUE_STORED_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_LEASED_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_COMMITTED_FIELD_NUMBER: _ClassVar[int]
    POLICY_SAVED_FIELD_NUMBER: _ClassVar[int]
    GROUP_OPENED_FIELD_NUMBER: _ClassVar[int]
    GROUP_MOVED_FIELD_NUMBER: _ClassVar[int]
    GROUP_LEASED_FIELD_NUMBER: _ClassVar[int]
    SOURCE_MOVED_FIELD_NUMBER: _ClassVar[int]
    DIGEST_KNOWN_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    TASK_RESUMED_FIELD_NUMBER: _ClassVar[int]
    PRODUCER_OPENED_FIELD_NUMBER: _ClassVar[int]
    HOLD_PLACED_FIELD_NUMBER: _ClassVar[int]
    HOLD_RELEASED_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_FAILED_FIELD_NUMBER: _ClassVar[int]
    GROUP_FAILED_FIELD_NUMBER: _ClassVar[int]
    HOME_STARTED_FIELD_NUMBER: _ClassVar[int]
    run_began: RunBegan
    run_ended: RunEnded
    link_opened: LinkOpened
    schema_kept: SchemaKept
    generation_began: GenerationBegan
    generation_ended: GenerationEnded
    generation_reopened: GenerationReopened
    task_began: TaskBegan
    task_ended: TaskEnded
    value_stored: ValueStored
    snapshot_leased: SnapshotLeased
    snapshot_committed: SnapshotCommitted
    policy_saved: PolicySaved
    group_opened: GroupOpened
    group_moved: GroupMoved
    group_leased: GroupLeased
    source_moved: SourceMoved
    digest_known: DigestKnown
    dropped: Dropped
    task_resumed: TaskResumed
    producer_opened: ProducerOpened
    hold_placed: HoldPlaced
    hold_released: HoldReleased
    snapshot_failed: SnapshotFailed
    group_failed: GroupFailed
    home_started: HomeStarted
    def __init__(self, run_began: _Optional[_Union[RunBegan, _Mapping]] = ..., run_ended: _Optional[_Union[RunEnded, _Mapping]] = ..., link_opened: _Optional[_Union[LinkOpened, _Mapping]] = ..., schema_kept: _Optional[_Union[SchemaKept, _Mapping]] = ..., generation_began: _Optional[_Union[GenerationBegan, _Mapping]] = ..., generation_ended: _Optional[_Union[GenerationEnded, _Mapping]] = ..., generation_reopened: _Optional[_Union[GenerationReopened, _Mapping]] = ..., task_began: _Optional[_Union[TaskBegan, _Mapping]] = ..., task_ended: _Optional[_Union[TaskEnded, _Mapping]] = ..., value_stored: _Optional[_Union[ValueStored, _Mapping]] = ..., snapshot_leased: _Optional[_Union[SnapshotLeased, _Mapping]] = ..., snapshot_committed: _Optional[_Union[SnapshotCommitted, _Mapping]] = ..., policy_saved: _Optional[_Union[PolicySaved, _Mapping]] = ..., group_opened: _Optional[_Union[GroupOpened, _Mapping]] = ..., group_moved: _Optional[_Union[GroupMoved, _Mapping]] = ..., group_leased: _Optional[_Union[GroupLeased, _Mapping]] = ..., source_moved: _Optional[_Union[SourceMoved, _Mapping]] = ..., digest_known: _Optional[_Union[DigestKnown, _Mapping]] = ..., dropped: _Optional[_Union[Dropped, _Mapping]] = ..., task_resumed: _Optional[_Union[TaskResumed, _Mapping]] = ..., producer_opened: _Optional[_Union[ProducerOpened, _Mapping]] = ..., hold_placed: _Optional[_Union[HoldPlaced, _Mapping]] = ..., hold_released: _Optional[_Union[HoldReleased, _Mapping]] = ..., snapshot_failed: _Optional[_Union[SnapshotFailed, _Mapping]] = ..., group_failed: _Optional[_Union[GroupFailed, _Mapping]] = ..., home_started: _Optional[_Union[HomeStarted, _Mapping]] = ...) -> None: ...

class Parent(_message.Message):
    __slots__ = ("link", "incarnation", "generation", "first_sequence", "last_sequence", "first_row", "end_row")
    LINK_FIELD_NUMBER: _ClassVar[int]
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    FIRST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    LAST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    FIRST_ROW_FIELD_NUMBER: _ClassVar[int]
    END_ROW_FIELD_NUMBER: _ClassVar[int]
    link: str
    incarnation: int
    generation: int
    first_sequence: int
    last_sequence: int
    first_row: int
    end_row: int
    def __init__(self, link: _Optional[str] = ..., incarnation: _Optional[int] = ..., generation: _Optional[int] = ..., first_sequence: _Optional[int] = ..., last_sequence: _Optional[int] = ..., first_row: _Optional[int] = ..., end_row: _Optional[int] = ...) -> None: ...

class Position(_message.Message):
    __slots__ = ("incarnation", "sequence")
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    incarnation: int
    sequence: int
    def __init__(self, incarnation: _Optional[int] = ..., sequence: _Optional[int] = ...) -> None: ...

class Producer(_message.Message):
    __slots__ = ("id", "epoch", "sequence", "request_xxh3")
    ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_XXH3_FIELD_NUMBER: _ClassVar[int]
    id: str
    epoch: int
    sequence: int
    request_xxh3: int
    def __init__(self, id: _Optional[str] = ..., epoch: _Optional[int] = ..., sequence: _Optional[int] = ..., request_xxh3: _Optional[int] = ...) -> None: ...

class Envelope(_message.Message):
    __slots__ = ("id", "link", "incarnation", "sequence", "generation", "rows", "size_bytes", "payload_xxh3", "schema_id", "created_at_ns", "task", "task_version", "attempt", "parents", "producer", "traceparent", "attributes")
    class AttributesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    LINK_FIELD_NUMBER: _ClassVar[int]
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_XXH3_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_ID_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_NS_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    TASK_VERSION_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    PARENTS_FIELD_NUMBER: _ClassVar[int]
    PRODUCER_FIELD_NUMBER: _ClassVar[int]
    TRACEPARENT_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    id: bytes
    link: str
    incarnation: int
    sequence: int
    generation: int
    rows: int
    size_bytes: int
    payload_xxh3: int
    schema_id: bytes
    created_at_ns: int
    task: str
    task_version: str
    attempt: int
    parents: _containers.RepeatedCompositeFieldContainer[Parent]
    producer: Producer
    traceparent: str
    attributes: _containers.ScalarMap[str, str]
    def __init__(self, id: _Optional[bytes] = ..., link: _Optional[str] = ..., incarnation: _Optional[int] = ..., sequence: _Optional[int] = ..., generation: _Optional[int] = ..., rows: _Optional[int] = ..., size_bytes: _Optional[int] = ..., payload_xxh3: _Optional[int] = ..., schema_id: _Optional[bytes] = ..., created_at_ns: _Optional[int] = ..., task: _Optional[str] = ..., task_version: _Optional[str] = ..., attempt: _Optional[int] = ..., parents: _Optional[_Iterable[_Union[Parent, _Mapping]]] = ..., producer: _Optional[_Union[Producer, _Mapping]] = ..., traceparent: _Optional[str] = ..., attributes: _Optional[_Mapping[str, str]] = ...) -> None: ...

class Place(_message.Message):
    __slots__ = ("kind", "file", "offset", "size_bytes", "metadata_bytes", "body_bytes")
    class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        KIND_UNSPECIFIED: _ClassVar[Place.Kind]
        KIND_JOURNAL: _ClassVar[Place.Kind]
        KIND_SEGMENT: _ClassVar[Place.Kind]
        KIND_DROPPED: _ClassVar[Place.Kind]
    KIND_UNSPECIFIED: Place.Kind
    KIND_JOURNAL: Place.Kind
    KIND_SEGMENT: Place.Kind
    KIND_DROPPED: Place.Kind
    KIND_FIELD_NUMBER: _ClassVar[int]
    FILE_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    METADATA_BYTES_FIELD_NUMBER: _ClassVar[int]
    BODY_BYTES_FIELD_NUMBER: _ClassVar[int]
    kind: Place.Kind
    file: int
    offset: int
    size_bytes: int
    metadata_bytes: int
    body_bytes: int
    def __init__(self, kind: _Optional[_Union[Place.Kind, str]] = ..., file: _Optional[int] = ..., offset: _Optional[int] = ..., size_bytes: _Optional[int] = ..., metadata_bytes: _Optional[int] = ..., body_bytes: _Optional[int] = ...) -> None: ...

class RunBegan(_message.Message):
    __slots__ = ("epoch", "run_id", "began_at_ns", "fresh", "fingerprint", "reason", "traceparent", "tasks", "follow")
    class FingerprintEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    BEGAN_AT_NS_FIELD_NUMBER: _ClassVar[int]
    FRESH_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    TRACEPARENT_FIELD_NUMBER: _ClassVar[int]
    TASKS_FIELD_NUMBER: _ClassVar[int]
    FOLLOW_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    run_id: str
    began_at_ns: int
    fresh: bool
    fingerprint: _containers.ScalarMap[str, str]
    reason: str
    traceparent: str
    tasks: _containers.RepeatedScalarFieldContainer[str]
    follow: bool
    def __init__(self, epoch: _Optional[int] = ..., run_id: _Optional[str] = ..., began_at_ns: _Optional[int] = ..., fresh: bool = ..., fingerprint: _Optional[_Mapping[str, str]] = ..., reason: _Optional[str] = ..., traceparent: _Optional[str] = ..., tasks: _Optional[_Iterable[str]] = ..., follow: bool = ...) -> None: ...

class RunEnded(_message.Message):
    __slots__ = ("epoch", "outcome", "ended_at_ns")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_NS_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    outcome: str
    ended_at_ns: int
    def __init__(self, epoch: _Optional[int] = ..., outcome: _Optional[str] = ..., ended_at_ns: _Optional[int] = ...) -> None: ...

class LinkOpened(_message.Message):
    __slots__ = ("link", "incarnation", "first_sequence", "created_at_ns")
    LINK_FIELD_NUMBER: _ClassVar[int]
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    FIRST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_NS_FIELD_NUMBER: _ClassVar[int]
    link: str
    incarnation: int
    first_sequence: int
    created_at_ns: int
    def __init__(self, link: _Optional[str] = ..., incarnation: _Optional[int] = ..., first_sequence: _Optional[int] = ..., created_at_ns: _Optional[int] = ...) -> None: ...

class SchemaKept(_message.Message):
    __slots__ = ("link", "schema_id", "schema", "declared")
    LINK_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_ID_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    DECLARED_FIELD_NUMBER: _ClassVar[int]
    link: str
    schema_id: bytes
    schema: bytes
    declared: bool
    def __init__(self, link: _Optional[str] = ..., schema_id: _Optional[bytes] = ..., schema: _Optional[bytes] = ..., declared: bool = ...) -> None: ...

class GenerationBegan(_message.Message):
    __slots__ = ("link", "generation", "incarnation", "first_sequence", "task", "task_version", "inputs")
    LINK_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    FIRST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    TASK_VERSION_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    link: str
    generation: int
    incarnation: int
    first_sequence: int
    task: str
    task_version: str
    inputs: _containers.RepeatedCompositeFieldContainer[Parent]
    def __init__(self, link: _Optional[str] = ..., generation: _Optional[int] = ..., incarnation: _Optional[int] = ..., first_sequence: _Optional[int] = ..., task: _Optional[str] = ..., task_version: _Optional[str] = ..., inputs: _Optional[_Iterable[_Union[Parent, _Mapping]]] = ...) -> None: ...

class GenerationEnded(_message.Message):
    __slots__ = ("link", "generation", "end", "last_sequence", "reason")
    class End(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        END_UNSPECIFIED: _ClassVar[GenerationEnded.End]
        END_SEALED: _ClassVar[GenerationEnded.End]
        END_ABANDONED: _ClassVar[GenerationEnded.End]
    END_UNSPECIFIED: GenerationEnded.End
    END_SEALED: GenerationEnded.End
    END_ABANDONED: GenerationEnded.End
    LINK_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    LAST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    link: str
    generation: int
    end: GenerationEnded.End
    last_sequence: int
    reason: str
    def __init__(self, link: _Optional[str] = ..., generation: _Optional[int] = ..., end: _Optional[_Union[GenerationEnded.End, str]] = ..., last_sequence: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class GenerationReopened(_message.Message):
    __slots__ = ("link", "generation", "within_run")
    LINK_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    WITHIN_RUN_FIELD_NUMBER: _ClassVar[int]
    link: str
    generation: int
    within_run: bool
    def __init__(self, link: _Optional[str] = ..., generation: _Optional[int] = ..., within_run: bool = ...) -> None: ...

class TaskBegan(_message.Message):
    __slots__ = ("task", "execution", "version", "inputs", "outputs", "extents")
    class InputsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class OutputsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class ExtentsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    TASK_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    EXTENTS_FIELD_NUMBER: _ClassVar[int]
    task: str
    execution: int
    version: str
    inputs: _containers.ScalarMap[str, int]
    outputs: _containers.ScalarMap[str, int]
    extents: _containers.ScalarMap[str, int]
    def __init__(self, task: _Optional[str] = ..., execution: _Optional[int] = ..., version: _Optional[str] = ..., inputs: _Optional[_Mapping[str, int]] = ..., outputs: _Optional[_Mapping[str, int]] = ..., extents: _Optional[_Mapping[str, int]] = ...) -> None: ...

class TaskResumed(_message.Message):
    __slots__ = ("task", "execution", "version")
    TASK_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    task: str
    execution: int
    version: str
    def __init__(self, task: _Optional[str] = ..., execution: _Optional[int] = ..., version: _Optional[str] = ...) -> None: ...

class TaskEnded(_message.Message):
    __slots__ = ("task", "execution", "reason")
    TASK_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    task: str
    execution: int
    reason: str
    def __init__(self, task: _Optional[str] = ..., execution: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class ValueStored(_message.Message):
    __slots__ = ("envelope", "place", "shared", "volatile")
    ENVELOPE_FIELD_NUMBER: _ClassVar[int]
    PLACE_FIELD_NUMBER: _ClassVar[int]
    SHARED_FIELD_NUMBER: _ClassVar[int]
    VOLATILE_FIELD_NUMBER: _ClassVar[int]
    envelope: bytes
    place: Place
    shared: bool
    volatile: bool
    def __init__(self, envelope: _Optional[bytes] = ..., place: _Optional[_Union[Place, _Mapping]] = ..., shared: bool = ..., volatile: bool = ...) -> None: ...

class SnapshotLeased(_message.Message):
    __slots__ = ("task", "execution", "snapshot_id", "token", "attempt", "portions", "settles", "partial")
    TASK_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_ID_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    PORTIONS_FIELD_NUMBER: _ClassVar[int]
    SETTLES_FIELD_NUMBER: _ClassVar[int]
    PARTIAL_FIELD_NUMBER: _ClassVar[int]
    task: str
    execution: int
    snapshot_id: bytes
    token: int
    attempt: int
    portions: _containers.RepeatedCompositeFieldContainer[Parent]
    settles: _containers.RepeatedCompositeFieldContainer[Parent]
    partial: bool
    def __init__(self, task: _Optional[str] = ..., execution: _Optional[int] = ..., snapshot_id: _Optional[bytes] = ..., token: _Optional[int] = ..., attempt: _Optional[int] = ..., portions: _Optional[_Iterable[_Union[Parent, _Mapping]]] = ..., settles: _Optional[_Iterable[_Union[Parent, _Mapping]]] = ..., partial: bool = ...) -> None: ...

class SnapshotFailed(_message.Message):
    __slots__ = ("task", "execution", "snapshot_id", "failures", "reason")
    TASK_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_ID_FIELD_NUMBER: _ClassVar[int]
    FAILURES_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    task: str
    execution: int
    snapshot_id: bytes
    failures: int
    reason: str
    def __init__(self, task: _Optional[str] = ..., execution: _Optional[int] = ..., snapshot_id: _Optional[bytes] = ..., failures: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class OutputRange(_message.Message):
    __slots__ = ("link", "incarnation", "generation", "first_sequence", "last_sequence")
    LINK_FIELD_NUMBER: _ClassVar[int]
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    FIRST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    LAST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    link: str
    incarnation: int
    generation: int
    first_sequence: int
    last_sequence: int
    def __init__(self, link: _Optional[str] = ..., incarnation: _Optional[int] = ..., generation: _Optional[int] = ..., first_sequence: _Optional[int] = ..., last_sequence: _Optional[int] = ...) -> None: ...

class SnapshotCommitted(_message.Message):
    __slots__ = ("task", "execution", "snapshot_id", "token", "attempt", "portions", "outputs", "request_xxh3", "committed_at_ns", "attributes", "settled")
    class AttributesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    TASK_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_ID_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    PORTIONS_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_XXH3_FIELD_NUMBER: _ClassVar[int]
    COMMITTED_AT_NS_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    SETTLED_FIELD_NUMBER: _ClassVar[int]
    task: str
    execution: int
    snapshot_id: bytes
    token: int
    attempt: int
    portions: _containers.RepeatedCompositeFieldContainer[Parent]
    outputs: _containers.RepeatedCompositeFieldContainer[OutputRange]
    request_xxh3: int
    committed_at_ns: int
    attributes: _containers.ScalarMap[str, str]
    settled: _containers.RepeatedCompositeFieldContainer[Parent]
    def __init__(self, task: _Optional[str] = ..., execution: _Optional[int] = ..., snapshot_id: _Optional[bytes] = ..., token: _Optional[int] = ..., attempt: _Optional[int] = ..., portions: _Optional[_Iterable[_Union[Parent, _Mapping]]] = ..., outputs: _Optional[_Iterable[_Union[OutputRange, _Mapping]]] = ..., request_xxh3: _Optional[int] = ..., committed_at_ns: _Optional[int] = ..., attributes: _Optional[_Mapping[str, str]] = ..., settled: _Optional[_Iterable[_Union[Parent, _Mapping]]] = ...) -> None: ...

class PolicySaved(_message.Message):
    __slots__ = ("task", "execution", "state")
    TASK_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    task: str
    execution: int
    state: bytes
    def __init__(self, task: _Optional[str] = ..., execution: _Optional[int] = ..., state: _Optional[bytes] = ...) -> None: ...

class GroupOpened(_message.Message):
    __slots__ = ("group", "link", "incarnation", "generation", "done_sequence", "follow", "order", "key", "lease_ms", "timeout_ms", "max_attempts")
    GROUP_FIELD_NUMBER: _ClassVar[int]
    LINK_FIELD_NUMBER: _ClassVar[int]
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    DONE_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    FOLLOW_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    LEASE_MS_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_MS_FIELD_NUMBER: _ClassVar[int]
    MAX_ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    group: str
    link: str
    incarnation: int
    generation: int
    done_sequence: int
    follow: bool
    order: str
    key: str
    lease_ms: int
    timeout_ms: int
    max_attempts: int
    def __init__(self, group: _Optional[str] = ..., link: _Optional[str] = ..., incarnation: _Optional[int] = ..., generation: _Optional[int] = ..., done_sequence: _Optional[int] = ..., follow: bool = ..., order: _Optional[str] = ..., key: _Optional[str] = ..., lease_ms: _Optional[int] = ..., timeout_ms: _Optional[int] = ..., max_attempts: _Optional[int] = ...) -> None: ...

class SequenceRange(_message.Message):
    __slots__ = ("first", "last")
    FIRST_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    first: int
    last: int
    def __init__(self, first: _Optional[int] = ..., last: _Optional[int] = ...) -> None: ...

class GroupMoved(_message.Message):
    __slots__ = ("group", "link", "incarnation", "generation", "done_sequence", "needed_sequence", "ahead", "run_generation", "settled", "token")
    GROUP_FIELD_NUMBER: _ClassVar[int]
    LINK_FIELD_NUMBER: _ClassVar[int]
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    DONE_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    NEEDED_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    AHEAD_FIELD_NUMBER: _ClassVar[int]
    RUN_GENERATION_FIELD_NUMBER: _ClassVar[int]
    SETTLED_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    group: str
    link: str
    incarnation: int
    generation: int
    done_sequence: int
    needed_sequence: int
    ahead: _containers.RepeatedCompositeFieldContainer[SequenceRange]
    run_generation: int
    settled: _containers.RepeatedCompositeFieldContainer[SequenceRange]
    token: int
    def __init__(self, group: _Optional[str] = ..., link: _Optional[str] = ..., incarnation: _Optional[int] = ..., generation: _Optional[int] = ..., done_sequence: _Optional[int] = ..., needed_sequence: _Optional[int] = ..., ahead: _Optional[_Iterable[_Union[SequenceRange, _Mapping]]] = ..., run_generation: _Optional[int] = ..., settled: _Optional[_Iterable[_Union[SequenceRange, _Mapping]]] = ..., token: _Optional[int] = ...) -> None: ...

class GroupLeased(_message.Message):
    __slots__ = ("group", "link", "position", "token", "attempt", "failures", "reason", "delay_ms", "failed")
    GROUP_FIELD_NUMBER: _ClassVar[int]
    LINK_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    FAILURES_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DELAY_MS_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    group: str
    link: str
    position: Position
    token: int
    attempt: int
    failures: int
    reason: str
    delay_ms: int
    failed: bool
    def __init__(self, group: _Optional[str] = ..., link: _Optional[str] = ..., position: _Optional[_Union[Position, _Mapping]] = ..., token: _Optional[int] = ..., attempt: _Optional[int] = ..., failures: _Optional[int] = ..., reason: _Optional[str] = ..., delay_ms: _Optional[int] = ..., failed: bool = ...) -> None: ...

class GroupFailed(_message.Message):
    __slots__ = ("group", "link", "position", "failures", "reason", "delay_ms")
    GROUP_FIELD_NUMBER: _ClassVar[int]
    LINK_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    FAILURES_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DELAY_MS_FIELD_NUMBER: _ClassVar[int]
    group: str
    link: str
    position: Position
    failures: int
    reason: str
    delay_ms: int
    def __init__(self, group: _Optional[str] = ..., link: _Optional[str] = ..., position: _Optional[_Union[Position, _Mapping]] = ..., failures: _Optional[int] = ..., reason: _Optional[str] = ..., delay_ms: _Optional[int] = ...) -> None: ...

class SourceMoved(_message.Message):
    __slots__ = ("link", "generation", "position", "digest", "rows_read", "rows_rejected", "final", "attributes")
    class AttributesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    LINK_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    ROWS_READ_FIELD_NUMBER: _ClassVar[int]
    ROWS_REJECTED_FIELD_NUMBER: _ClassVar[int]
    FINAL_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    link: str
    generation: int
    position: bytes
    digest: str
    rows_read: int
    rows_rejected: int
    final: bool
    attributes: _containers.ScalarMap[str, str]
    def __init__(self, link: _Optional[str] = ..., generation: _Optional[int] = ..., position: _Optional[bytes] = ..., digest: _Optional[str] = ..., rows_read: _Optional[int] = ..., rows_rejected: _Optional[int] = ..., final: bool = ..., attributes: _Optional[_Mapping[str, str]] = ...) -> None: ...

class ProducerOpened(_message.Message):
    __slots__ = ("producer", "epoch")
    PRODUCER_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    producer: str
    epoch: int
    def __init__(self, producer: _Optional[str] = ..., epoch: _Optional[int] = ...) -> None: ...

class DigestKnown(_message.Message):
    __slots__ = ("link", "position", "digest")
    LINK_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    link: str
    position: Position
    digest: bytes
    def __init__(self, link: _Optional[str] = ..., position: _Optional[_Union[Position, _Mapping]] = ..., digest: _Optional[bytes] = ...) -> None: ...

class Dropped(_message.Message):
    __slots__ = ("link", "incarnation", "first_sequence", "last_sequence", "reason", "generation", "forgotten", "dropped_at_ns", "producer")
    LINK_FIELD_NUMBER: _ClassVar[int]
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    FIRST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    LAST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    FORGOTTEN_FIELD_NUMBER: _ClassVar[int]
    DROPPED_AT_NS_FIELD_NUMBER: _ClassVar[int]
    PRODUCER_FIELD_NUMBER: _ClassVar[int]
    link: str
    incarnation: int
    first_sequence: int
    last_sequence: int
    reason: str
    generation: int
    forgotten: bool
    dropped_at_ns: int
    producer: Producer
    def __init__(self, link: _Optional[str] = ..., incarnation: _Optional[int] = ..., first_sequence: _Optional[int] = ..., last_sequence: _Optional[int] = ..., reason: _Optional[str] = ..., generation: _Optional[int] = ..., forgotten: bool = ..., dropped_at_ns: _Optional[int] = ..., producer: _Optional[_Union[Producer, _Mapping]] = ...) -> None: ...

class HoldPlaced(_message.Message):
    __slots__ = ("name", "link", "generation", "first_sequence", "last_sequence", "until_ns", "reason")
    NAME_FIELD_NUMBER: _ClassVar[int]
    LINK_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    FIRST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    LAST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    UNTIL_NS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    name: str
    link: str
    generation: int
    first_sequence: int
    last_sequence: int
    until_ns: int
    reason: str
    def __init__(self, name: _Optional[str] = ..., link: _Optional[str] = ..., generation: _Optional[int] = ..., first_sequence: _Optional[int] = ..., last_sequence: _Optional[int] = ..., until_ns: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class HoldReleased(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class HomeStarted(_message.Message):
    __slots__ = ("boot", "weak_links")
    BOOT_FIELD_NUMBER: _ClassVar[int]
    WEAK_LINKS_FIELD_NUMBER: _ClassVar[int]
    boot: str
    weak_links: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, boot: _Optional[str] = ..., weak_links: _Optional[_Iterable[str]] = ...) -> None: ...

class CheckpointPiece(_message.Message):
    __slots__ = ("kept",)
    KEPT_FIELD_NUMBER: _ClassVar[int]
    kept: _containers.RepeatedCompositeFieldContainer[Kept]
    def __init__(self, kept: _Optional[_Iterable[_Union[Kept, _Mapping]]] = ...) -> None: ...

class Kept(_message.Message):
    __slots__ = ("home", "schema", "link", "generation", "remembered", "task", "group", "producer", "hold")
    HOME_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    LINK_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    REMEMBERED_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    PRODUCER_FIELD_NUMBER: _ClassVar[int]
    HOLD_FIELD_NUMBER: _ClassVar[int]
    home: HomeKept
    schema: SchemaMessage
    link: LinkKept
    generation: GenerationKept
    remembered: RememberedKept
    task: TaskKept
    group: GroupKept
    producer: ProducerKept
    hold: HoldPlaced
    def __init__(self, home: _Optional[_Union[HomeKept, _Mapping]] = ..., schema: _Optional[_Union[SchemaMessage, _Mapping]] = ..., link: _Optional[_Union[LinkKept, _Mapping]] = ..., generation: _Optional[_Union[GenerationKept, _Mapping]] = ..., remembered: _Optional[_Union[RememberedKept, _Mapping]] = ..., task: _Optional[_Union[TaskKept, _Mapping]] = ..., group: _Optional[_Union[GroupKept, _Mapping]] = ..., producer: _Optional[_Union[ProducerKept, _Mapping]] = ..., hold: _Optional[_Union[HoldPlaced, _Mapping]] = ...) -> None: ...

class HomeKept(_message.Message):
    __slots__ = ("epoch", "last_token", "run", "run_outcome", "executions", "forgotten_epoch", "boot", "weak_links")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    LAST_TOKEN_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    RUN_OUTCOME_FIELD_NUMBER: _ClassVar[int]
    EXECUTIONS_FIELD_NUMBER: _ClassVar[int]
    FORGOTTEN_EPOCH_FIELD_NUMBER: _ClassVar[int]
    BOOT_FIELD_NUMBER: _ClassVar[int]
    WEAK_LINKS_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    last_token: int
    run: RunBegan
    run_outcome: str
    executions: _containers.RepeatedCompositeFieldContainer[NamedNumber]
    forgotten_epoch: int
    boot: str
    weak_links: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, epoch: _Optional[int] = ..., last_token: _Optional[int] = ..., run: _Optional[_Union[RunBegan, _Mapping]] = ..., run_outcome: _Optional[str] = ..., executions: _Optional[_Iterable[_Union[NamedNumber, _Mapping]]] = ..., forgotten_epoch: _Optional[int] = ..., boot: _Optional[str] = ..., weak_links: _Optional[_Iterable[str]] = ...) -> None: ...

class NamedNumber(_message.Message):
    __slots__ = ("name", "number")
    NAME_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    name: str
    number: int
    def __init__(self, name: _Optional[str] = ..., number: _Optional[int] = ...) -> None: ...

class SchemaMessage(_message.Message):
    __slots__ = ("schema_id", "schema")
    SCHEMA_ID_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    schema_id: bytes
    schema: bytes
    def __init__(self, schema_id: _Optional[bytes] = ..., schema: _Optional[bytes] = ...) -> None: ...

class LinkKept(_message.Message):
    __slots__ = ("link", "incarnation", "next_sequence", "durable_sequence", "last_created_at_ns", "newest", "gone", "incarnations", "dropped")
    LINK_FIELD_NUMBER: _ClassVar[int]
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    NEXT_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    DURABLE_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    LAST_CREATED_AT_NS_FIELD_NUMBER: _ClassVar[int]
    NEWEST_FIELD_NUMBER: _ClassVar[int]
    GONE_FIELD_NUMBER: _ClassVar[int]
    INCARNATIONS_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    link: str
    incarnation: int
    next_sequence: int
    durable_sequence: int
    last_created_at_ns: int
    newest: int
    gone: _containers.RepeatedCompositeFieldContainer[GoneKept]
    incarnations: _containers.RepeatedCompositeFieldContainer[IncarnationKept]
    dropped: _containers.RepeatedCompositeFieldContainer[DroppedKept]
    def __init__(self, link: _Optional[str] = ..., incarnation: _Optional[int] = ..., next_sequence: _Optional[int] = ..., durable_sequence: _Optional[int] = ..., last_created_at_ns: _Optional[int] = ..., newest: _Optional[int] = ..., gone: _Optional[_Iterable[_Union[GoneKept, _Mapping]]] = ..., incarnations: _Optional[_Iterable[_Union[IncarnationKept, _Mapping]]] = ..., dropped: _Optional[_Iterable[_Union[DroppedKept, _Mapping]]] = ...) -> None: ...

class DroppedKept(_message.Message):
    __slots__ = ("reason", "values", "last_at_ns")
    REASON_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    LAST_AT_NS_FIELD_NUMBER: _ClassVar[int]
    reason: str
    values: int
    last_at_ns: int
    def __init__(self, reason: _Optional[str] = ..., values: _Optional[int] = ..., last_at_ns: _Optional[int] = ...) -> None: ...

class IncarnationKept(_message.Message):
    __slots__ = ("incarnation", "first_sequence")
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    FIRST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    incarnation: int
    first_sequence: int
    def __init__(self, incarnation: _Optional[int] = ..., first_sequence: _Optional[int] = ...) -> None: ...

class GoneKept(_message.Message):
    __slots__ = ("first_sequence", "last_sequence", "reason", "dropped_at_ns")
    FIRST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    LAST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DROPPED_AT_NS_FIELD_NUMBER: _ClassVar[int]
    first_sequence: int
    last_sequence: int
    reason: str
    dropped_at_ns: int
    def __init__(self, first_sequence: _Optional[int] = ..., last_sequence: _Optional[int] = ..., reason: _Optional[str] = ..., dropped_at_ns: _Optional[int] = ...) -> None: ...

class StretchKept(_message.Message):
    __slots__ = ("last_sequence", "values", "rows", "size_bytes", "created_at_ns", "parents")
    class ParentsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    LAST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_NS_FIELD_NUMBER: _ClassVar[int]
    PARENTS_FIELD_NUMBER: _ClassVar[int]
    last_sequence: int
    values: int
    rows: int
    size_bytes: int
    created_at_ns: int
    parents: _containers.ScalarMap[str, int]
    def __init__(self, last_sequence: _Optional[int] = ..., values: _Optional[int] = ..., rows: _Optional[int] = ..., size_bytes: _Optional[int] = ..., created_at_ns: _Optional[int] = ..., parents: _Optional[_Mapping[str, int]] = ...) -> None: ...

class AccountKept(_message.Message):
    __slots__ = ("first_sequence", "stretches")
    FIRST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    STRETCHES_FIELD_NUMBER: _ClassVar[int]
    first_sequence: int
    stretches: _containers.RepeatedCompositeFieldContainer[StretchKept]
    def __init__(self, first_sequence: _Optional[int] = ..., stretches: _Optional[_Iterable[_Union[StretchKept, _Mapping]]] = ...) -> None: ...

class GenerationKept(_message.Message):
    __slots__ = ("link", "generation", "incarnation", "first_sequence", "last_sequence", "task", "task_version", "inputs", "state", "sealed_sequence", "was_sealed", "values", "rows", "size_bytes", "schema_id", "schema_ids", "declared", "source", "account", "past", "forgotten_sequence")
    LINK_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    FIRST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    LAST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    TASK_VERSION_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    SEALED_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    WAS_SEALED_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_ID_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_IDS_FIELD_NUMBER: _ClassVar[int]
    DECLARED_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    PAST_FIELD_NUMBER: _ClassVar[int]
    FORGOTTEN_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    link: str
    generation: int
    incarnation: int
    first_sequence: int
    last_sequence: int
    task: str
    task_version: str
    inputs: _containers.RepeatedCompositeFieldContainer[Parent]
    state: str
    sealed_sequence: int
    was_sealed: bool
    values: int
    rows: int
    size_bytes: int
    schema_id: bytes
    schema_ids: _containers.RepeatedScalarFieldContainer[bytes]
    declared: bool
    source: SourceMoved
    account: AccountKept
    past: _containers.RepeatedCompositeFieldContainer[StretchKept]
    forgotten_sequence: int
    def __init__(self, link: _Optional[str] = ..., generation: _Optional[int] = ..., incarnation: _Optional[int] = ..., first_sequence: _Optional[int] = ..., last_sequence: _Optional[int] = ..., task: _Optional[str] = ..., task_version: _Optional[str] = ..., inputs: _Optional[_Iterable[_Union[Parent, _Mapping]]] = ..., state: _Optional[str] = ..., sealed_sequence: _Optional[int] = ..., was_sealed: bool = ..., values: _Optional[int] = ..., rows: _Optional[int] = ..., size_bytes: _Optional[int] = ..., schema_id: _Optional[bytes] = ..., schema_ids: _Optional[_Iterable[bytes]] = ..., declared: bool = ..., source: _Optional[_Union[SourceMoved, _Mapping]] = ..., account: _Optional[_Union[AccountKept, _Mapping]] = ..., past: _Optional[_Iterable[_Union[StretchKept, _Mapping]]] = ..., forgotten_sequence: _Optional[int] = ...) -> None: ...

class RememberedKept(_message.Message):
    __slots__ = ("link", "generation", "incarnation", "first_sequence", "last_sequence", "inputs")
    LINK_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    FIRST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    LAST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    link: str
    generation: int
    incarnation: int
    first_sequence: int
    last_sequence: int
    inputs: _containers.RepeatedCompositeFieldContainer[Parent]
    def __init__(self, link: _Optional[str] = ..., generation: _Optional[int] = ..., incarnation: _Optional[int] = ..., first_sequence: _Optional[int] = ..., last_sequence: _Optional[int] = ..., inputs: _Optional[_Iterable[_Union[Parent, _Mapping]]] = ...) -> None: ...

class CursorKept(_message.Message):
    __slots__ = ("link", "done_sequence", "ahead")
    LINK_FIELD_NUMBER: _ClassVar[int]
    DONE_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    AHEAD_FIELD_NUMBER: _ClassVar[int]
    link: str
    done_sequence: int
    ahead: _containers.RepeatedCompositeFieldContainer[SequenceRange]
    def __init__(self, link: _Optional[str] = ..., done_sequence: _Optional[int] = ..., ahead: _Optional[_Iterable[_Union[SequenceRange, _Mapping]]] = ...) -> None: ...

class TaskKept(_message.Message):
    __slots__ = ("task", "execution", "version", "inputs", "outputs", "extents", "ended", "cursors", "open", "committed", "commits", "refused_late", "done_rows", "policy_state", "recorded", "failed", "given_up")
    class InputsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class OutputsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class ExtentsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class DoneRowsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class RecordedEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    TASK_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    EXTENTS_FIELD_NUMBER: _ClassVar[int]
    ENDED_FIELD_NUMBER: _ClassVar[int]
    CURSORS_FIELD_NUMBER: _ClassVar[int]
    OPEN_FIELD_NUMBER: _ClassVar[int]
    COMMITTED_FIELD_NUMBER: _ClassVar[int]
    COMMITS_FIELD_NUMBER: _ClassVar[int]
    REFUSED_LATE_FIELD_NUMBER: _ClassVar[int]
    DONE_ROWS_FIELD_NUMBER: _ClassVar[int]
    POLICY_STATE_FIELD_NUMBER: _ClassVar[int]
    RECORDED_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    GIVEN_UP_FIELD_NUMBER: _ClassVar[int]
    task: str
    execution: int
    version: str
    inputs: _containers.ScalarMap[str, int]
    outputs: _containers.ScalarMap[str, int]
    extents: _containers.ScalarMap[str, int]
    ended: bool
    cursors: _containers.RepeatedCompositeFieldContainer[CursorKept]
    open: _containers.RepeatedCompositeFieldContainer[SnapshotLeased]
    committed: _containers.RepeatedCompositeFieldContainer[SnapshotCommitted]
    commits: int
    refused_late: int
    done_rows: _containers.ScalarMap[str, int]
    policy_state: bytes
    recorded: _containers.ScalarMap[str, str]
    failed: _containers.RepeatedCompositeFieldContainer[SnapshotFailed]
    given_up: int
    def __init__(self, task: _Optional[str] = ..., execution: _Optional[int] = ..., version: _Optional[str] = ..., inputs: _Optional[_Mapping[str, int]] = ..., outputs: _Optional[_Mapping[str, int]] = ..., extents: _Optional[_Mapping[str, int]] = ..., ended: bool = ..., cursors: _Optional[_Iterable[_Union[CursorKept, _Mapping]]] = ..., open: _Optional[_Iterable[_Union[SnapshotLeased, _Mapping]]] = ..., committed: _Optional[_Iterable[_Union[SnapshotCommitted, _Mapping]]] = ..., commits: _Optional[int] = ..., refused_late: _Optional[int] = ..., done_rows: _Optional[_Mapping[str, int]] = ..., policy_state: _Optional[bytes] = ..., recorded: _Optional[_Mapping[str, str]] = ..., failed: _Optional[_Iterable[_Union[SnapshotFailed, _Mapping]]] = ..., given_up: _Optional[int] = ...) -> None: ...

class GroupKept(_message.Message):
    __slots__ = ("group", "link", "incarnation", "generation", "done_sequence", "ahead", "handed_sequence", "leases", "order", "key", "lease_ms", "timeout_ms", "max_attempts", "run_generation", "acked", "lost_values")
    GROUP_FIELD_NUMBER: _ClassVar[int]
    LINK_FIELD_NUMBER: _ClassVar[int]
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    DONE_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    AHEAD_FIELD_NUMBER: _ClassVar[int]
    HANDED_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    LEASES_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    LEASE_MS_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_MS_FIELD_NUMBER: _ClassVar[int]
    MAX_ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    RUN_GENERATION_FIELD_NUMBER: _ClassVar[int]
    ACKED_FIELD_NUMBER: _ClassVar[int]
    LOST_VALUES_FIELD_NUMBER: _ClassVar[int]
    group: str
    link: str
    incarnation: int
    generation: int
    done_sequence: int
    ahead: _containers.RepeatedCompositeFieldContainer[SequenceRange]
    handed_sequence: int
    leases: _containers.RepeatedCompositeFieldContainer[GroupLeased]
    order: str
    key: str
    lease_ms: int
    timeout_ms: int
    max_attempts: int
    run_generation: int
    acked: _containers.RepeatedScalarFieldContainer[int]
    lost_values: int
    def __init__(self, group: _Optional[str] = ..., link: _Optional[str] = ..., incarnation: _Optional[int] = ..., generation: _Optional[int] = ..., done_sequence: _Optional[int] = ..., ahead: _Optional[_Iterable[_Union[SequenceRange, _Mapping]]] = ..., handed_sequence: _Optional[int] = ..., leases: _Optional[_Iterable[_Union[GroupLeased, _Mapping]]] = ..., order: _Optional[str] = ..., key: _Optional[str] = ..., lease_ms: _Optional[int] = ..., timeout_ms: _Optional[int] = ..., max_attempts: _Optional[int] = ..., run_generation: _Optional[int] = ..., acked: _Optional[_Iterable[int]] = ..., lost_values: _Optional[int] = ...) -> None: ...

class AnswerKept(_message.Message):
    __slots__ = ("sequence", "link", "incarnation", "generation", "first_sequence", "last_sequence", "rows", "value_id", "request_xxh3")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    LINK_FIELD_NUMBER: _ClassVar[int]
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    FIRST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    LAST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    VALUE_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_XXH3_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    link: str
    incarnation: int
    generation: int
    first_sequence: int
    last_sequence: int
    rows: int
    value_id: bytes
    request_xxh3: int
    def __init__(self, sequence: _Optional[int] = ..., link: _Optional[str] = ..., incarnation: _Optional[int] = ..., generation: _Optional[int] = ..., first_sequence: _Optional[int] = ..., last_sequence: _Optional[int] = ..., rows: _Optional[int] = ..., value_id: _Optional[bytes] = ..., request_xxh3: _Optional[int] = ...) -> None: ...

class ProducerKept(_message.Message):
    __slots__ = ("producer", "epoch", "last_sequence", "answers")
    PRODUCER_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    LAST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    ANSWERS_FIELD_NUMBER: _ClassVar[int]
    producer: str
    epoch: int
    last_sequence: int
    answers: _containers.RepeatedCompositeFieldContainer[AnswerKept]
    def __init__(self, producer: _Optional[str] = ..., epoch: _Optional[int] = ..., last_sequence: _Optional[int] = ..., answers: _Optional[_Iterable[_Union[AnswerKept, _Mapping]]] = ...) -> None: ...

class Held(_message.Message):
    __slots__ = ("copied_file", "links", "copied_lsn")
    COPIED_FILE_FIELD_NUMBER: _ClassVar[int]
    LINKS_FIELD_NUMBER: _ClassVar[int]
    COPIED_LSN_FIELD_NUMBER: _ClassVar[int]
    copied_file: int
    links: _containers.RepeatedCompositeFieldContainer[LinkHeld]
    copied_lsn: int
    def __init__(self, copied_file: _Optional[int] = ..., links: _Optional[_Iterable[_Union[LinkHeld, _Mapping]]] = ..., copied_lsn: _Optional[int] = ...) -> None: ...

class LinkHeld(_message.Message):
    __slots__ = ("link", "last_file", "files", "generations", "dropped", "gone", "parts")
    class GenerationsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: int
        value: int
        def __init__(self, key: _Optional[int] = ..., value: _Optional[int] = ...) -> None: ...
    class DroppedEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: int
        value: bool
        def __init__(self, key: _Optional[int] = ..., value: bool = ...) -> None: ...
    LINK_FIELD_NUMBER: _ClassVar[int]
    LAST_FILE_FIELD_NUMBER: _ClassVar[int]
    FILES_FIELD_NUMBER: _ClassVar[int]
    GENERATIONS_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    GONE_FIELD_NUMBER: _ClassVar[int]
    PARTS_FIELD_NUMBER: _ClassVar[int]
    link: str
    last_file: int
    files: _containers.RepeatedCompositeFieldContainer[SegmentFileHeld]
    generations: _containers.ScalarMap[int, int]
    dropped: _containers.ScalarMap[int, bool]
    gone: _containers.RepeatedCompositeFieldContainer[SequenceRange]
    parts: _containers.RepeatedCompositeFieldContainer[PartDropped]
    def __init__(self, link: _Optional[str] = ..., last_file: _Optional[int] = ..., files: _Optional[_Iterable[_Union[SegmentFileHeld, _Mapping]]] = ..., generations: _Optional[_Mapping[int, int]] = ..., dropped: _Optional[_Mapping[int, bool]] = ..., gone: _Optional[_Iterable[_Union[SequenceRange, _Mapping]]] = ..., parts: _Optional[_Iterable[_Union[PartDropped, _Mapping]]] = ...) -> None: ...

class PartDropped(_message.Message):
    __slots__ = ("first", "last", "forgotten")
    FIRST_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    FORGOTTEN_FIELD_NUMBER: _ClassVar[int]
    first: int
    last: int
    forgotten: bool
    def __init__(self, first: _Optional[int] = ..., last: _Optional[int] = ..., forgotten: bool = ...) -> None: ...

class SegmentFileHeld(_message.Message):
    __slots__ = ("file", "generation", "schema_id", "end", "copies", "gate_offset", "gate_metadata_bytes", "first_sequence", "last_sequence", "closed", "shared", "volatile")
    FILE_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_ID_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    COPIES_FIELD_NUMBER: _ClassVar[int]
    GATE_OFFSET_FIELD_NUMBER: _ClassVar[int]
    GATE_METADATA_BYTES_FIELD_NUMBER: _ClassVar[int]
    FIRST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    LAST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    CLOSED_FIELD_NUMBER: _ClassVar[int]
    SHARED_FIELD_NUMBER: _ClassVar[int]
    VOLATILE_FIELD_NUMBER: _ClassVar[int]
    file: int
    generation: int
    schema_id: bytes
    end: int
    copies: bool
    gate_offset: int
    gate_metadata_bytes: int
    first_sequence: int
    last_sequence: int
    closed: bool
    shared: bool
    volatile: bool
    def __init__(self, file: _Optional[int] = ..., generation: _Optional[int] = ..., schema_id: _Optional[bytes] = ..., end: _Optional[int] = ..., copies: bool = ..., gate_offset: _Optional[int] = ..., gate_metadata_bytes: _Optional[int] = ..., first_sequence: _Optional[int] = ..., last_sequence: _Optional[int] = ..., closed: bool = ..., shared: bool = ..., volatile: bool = ...) -> None: ...
