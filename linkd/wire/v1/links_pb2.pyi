from linkd.wire.v1 import value_pb2 as _value_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class HomeState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    HOME_STATE_UNSPECIFIED: _ClassVar[HomeState]
    SERVING: _ClassVar[HomeState]
    DRAINING: _ClassVar[HomeState]
HOME_STATE_UNSPECIFIED: HomeState
SERVING: HomeState
DRAINING: HomeState

class PublishRequest(_message.Message):
    __slots__ = ("value", "chunk", "reserve")
    VALUE_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    RESERVE_FIELD_NUMBER: _ClassVar[int]
    value: PublishValue
    chunk: bytes
    reserve: Reserve
    def __init__(self, value: _Optional[_Union[PublishValue, _Mapping]] = ..., chunk: _Optional[bytes] = ..., reserve: _Optional[_Union[Reserve, _Mapping]] = ...) -> None: ...

class Reserve(_message.Message):
    __slots__ = ("link", "schema", "size_bytes", "stage")
    LINK_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    link: str
    schema: bytes
    size_bytes: int
    stage: Stage
    def __init__(self, link: _Optional[str] = ..., schema: _Optional[bytes] = ..., size_bytes: _Optional[int] = ..., stage: _Optional[_Union[Stage, _Mapping]] = ...) -> None: ...

class Granted(_message.Message):
    __slots__ = ("file", "start", "end", "head_bytes", "fresh")
    FILE_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    HEAD_BYTES_FIELD_NUMBER: _ClassVar[int]
    FRESH_FIELD_NUMBER: _ClassVar[int]
    file: int
    start: int
    end: int
    head_bytes: int
    fresh: bool
    def __init__(self, file: _Optional[int] = ..., start: _Optional[int] = ..., end: _Optional[int] = ..., head_bytes: _Optional[int] = ..., fresh: bool = ...) -> None: ...

class PublishValue(_message.Message):
    __slots__ = ("link", "format", "payload_bytes", "schema", "data", "more", "attributes", "producer", "stage", "source", "placed")
    class AttributesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    LINK_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_BYTES_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    PRODUCER_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    PLACED_FIELD_NUMBER: _ClassVar[int]
    link: str
    format: _value_pb2.Format
    payload_bytes: int
    schema: bytes
    data: bytes
    more: bool
    attributes: _containers.ScalarMap[str, str]
    producer: _value_pb2.Producer
    stage: Stage
    source: SourcePosition
    placed: _value_pb2.Placed
    def __init__(self, link: _Optional[str] = ..., format: _Optional[_Union[_value_pb2.Format, str]] = ..., payload_bytes: _Optional[int] = ..., schema: _Optional[bytes] = ..., data: _Optional[bytes] = ..., more: bool = ..., attributes: _Optional[_Mapping[str, str]] = ..., producer: _Optional[_Union[_value_pb2.Producer, _Mapping]] = ..., stage: _Optional[_Union[Stage, _Mapping]] = ..., source: _Optional[_Union[SourcePosition, _Mapping]] = ..., placed: _Optional[_Union[_value_pb2.Placed, _Mapping]] = ...) -> None: ...

class Stage(_message.Message):
    __slots__ = ("snapshot_id", "token")
    SNAPSHOT_ID_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    snapshot_id: bytes
    token: int
    def __init__(self, snapshot_id: _Optional[bytes] = ..., token: _Optional[int] = ...) -> None: ...

class SourcePosition(_message.Message):
    __slots__ = ("position", "digest", "rows_read", "rows_rejected", "final")
    POSITION_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    ROWS_READ_FIELD_NUMBER: _ClassVar[int]
    ROWS_REJECTED_FIELD_NUMBER: _ClassVar[int]
    FINAL_FIELD_NUMBER: _ClassVar[int]
    position: bytes
    digest: str
    rows_read: int
    rows_rejected: int
    final: bool
    def __init__(self, position: _Optional[bytes] = ..., digest: _Optional[str] = ..., rows_read: _Optional[int] = ..., rows_rejected: _Optional[int] = ..., final: bool = ...) -> None: ...

class PublishResponse(_message.Message):
    __slots__ = ("acked", "link", "first", "last", "durability", "place", "rows", "generation", "id", "repeated", "staged", "dropped", "granted")
    ACKED_FIELD_NUMBER: _ClassVar[int]
    LINK_FIELD_NUMBER: _ClassVar[int]
    FIRST_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    DURABILITY_FIELD_NUMBER: _ClassVar[int]
    PLACE_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    REPEATED_FIELD_NUMBER: _ClassVar[int]
    STAGED_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    GRANTED_FIELD_NUMBER: _ClassVar[int]
    acked: int
    link: str
    first: _value_pb2.Position
    last: _value_pb2.Position
    durability: _value_pb2.Durability
    place: str
    rows: int
    generation: int
    id: bytes
    repeated: bool
    staged: _containers.RepeatedCompositeFieldContainer[Staged]
    dropped: bool
    granted: Granted
    def __init__(self, acked: _Optional[int] = ..., link: _Optional[str] = ..., first: _Optional[_Union[_value_pb2.Position, _Mapping]] = ..., last: _Optional[_Union[_value_pb2.Position, _Mapping]] = ..., durability: _Optional[_Union[_value_pb2.Durability, str]] = ..., place: _Optional[str] = ..., rows: _Optional[int] = ..., generation: _Optional[int] = ..., id: _Optional[bytes] = ..., repeated: bool = ..., staged: _Optional[_Iterable[_Union[Staged, _Mapping]]] = ..., dropped: bool = ..., granted: _Optional[_Union[Granted, _Mapping]] = ...) -> None: ...

class OpenProducerRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class OpenProducerResponse(_message.Message):
    __slots__ = ("epoch", "next_sequence")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    NEXT_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    next_sequence: int
    def __init__(self, epoch: _Optional[int] = ..., next_sequence: _Optional[int] = ...) -> None: ...

class Staged(_message.Message):
    __slots__ = ("staged_id", "payload_xxh3")
    STAGED_ID_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_XXH3_FIELD_NUMBER: _ClassVar[int]
    staged_id: int
    payload_xxh3: int
    def __init__(self, staged_id: _Optional[int] = ..., payload_xxh3: _Optional[int] = ...) -> None: ...

class SubscribeRequest(_message.Message):
    __slots__ = ("open", "credit_bytes", "ack", "nack", "started", "renew", "released")
    OPEN_FIELD_NUMBER: _ClassVar[int]
    CREDIT_BYTES_FIELD_NUMBER: _ClassVar[int]
    ACK_FIELD_NUMBER: _ClassVar[int]
    NACK_FIELD_NUMBER: _ClassVar[int]
    STARTED_FIELD_NUMBER: _ClassVar[int]
    RENEW_FIELD_NUMBER: _ClassVar[int]
    RELEASED_FIELD_NUMBER: _ClassVar[int]
    open: SubscribeOpen
    credit_bytes: int
    ack: Ack
    nack: Nack
    started: Started
    renew: Renew
    released: Released
    def __init__(self, open: _Optional[_Union[SubscribeOpen, _Mapping]] = ..., credit_bytes: _Optional[int] = ..., ack: _Optional[_Union[Ack, _Mapping]] = ..., nack: _Optional[_Union[Nack, _Mapping]] = ..., started: _Optional[_Union[Started, _Mapping]] = ..., renew: _Optional[_Union[Renew, _Mapping]] = ..., released: _Optional[_Union[Released, _Mapping]] = ...) -> None: ...

class SubscribeOpen(_message.Message):
    __slots__ = ("link", "group", "follow", "credit_bytes", "format", "says_started", "start", "order", "key", "lease_ms", "timeout_ms", "max_attempts", "seen", "unanswered")
    LINK_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    FOLLOW_FIELD_NUMBER: _ClassVar[int]
    CREDIT_BYTES_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    SAYS_STARTED_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    LEASE_MS_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_MS_FIELD_NUMBER: _ClassVar[int]
    MAX_ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    SEEN_FIELD_NUMBER: _ClassVar[int]
    UNANSWERED_FIELD_NUMBER: _ClassVar[int]
    link: str
    group: str
    follow: bool
    credit_bytes: int
    format: _value_pb2.Format
    says_started: bool
    start: str
    order: str
    key: str
    lease_ms: int
    timeout_ms: int
    max_attempts: int
    seen: _value_pb2.Position
    unanswered: int
    def __init__(self, link: _Optional[str] = ..., group: _Optional[str] = ..., follow: bool = ..., credit_bytes: _Optional[int] = ..., format: _Optional[_Union[_value_pb2.Format, str]] = ..., says_started: bool = ..., start: _Optional[str] = ..., order: _Optional[str] = ..., key: _Optional[str] = ..., lease_ms: _Optional[int] = ..., timeout_ms: _Optional[int] = ..., max_attempts: _Optional[int] = ..., seen: _Optional[_Union[_value_pb2.Position, _Mapping]] = ..., unanswered: _Optional[int] = ...) -> None: ...

class Started(_message.Message):
    __slots__ = ("token", "credit_bytes")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    CREDIT_BYTES_FIELD_NUMBER: _ClassVar[int]
    token: int
    credit_bytes: int
    def __init__(self, token: _Optional[int] = ..., credit_bytes: _Optional[int] = ...) -> None: ...

class Renew(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Released(_message.Message):
    __slots__ = ("tokens",)
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    tokens: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, tokens: _Optional[_Iterable[int]] = ...) -> None: ...

class Ack(_message.Message):
    __slots__ = ("position", "token")
    POSITION_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    position: _value_pb2.Position
    token: int
    def __init__(self, position: _Optional[_Union[_value_pb2.Position, _Mapping]] = ..., token: _Optional[int] = ...) -> None: ...

class Nack(_message.Message):
    __slots__ = ("position", "token", "delay_ms", "reason")
    POSITION_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    DELAY_MS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    position: _value_pb2.Position
    token: int
    delay_ms: int
    reason: str
    def __init__(self, position: _Optional[_Union[_value_pb2.Position, _Mapping]] = ..., token: _Optional[int] = ..., delay_ms: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class SubscribeResponse(_message.Message):
    __slots__ = ("opened", "value", "chunk", "ack_done", "end", "recall", "refused", "dropped")
    OPENED_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    ACK_DONE_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    RECALL_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    opened: SubscribeOpened
    value: _value_pb2.Value
    chunk: bytes
    ack_done: AckDone
    end: EndOfLink
    recall: Recall
    refused: SettleRefused
    dropped: ValuesDropped
    def __init__(self, opened: _Optional[_Union[SubscribeOpened, _Mapping]] = ..., value: _Optional[_Union[_value_pb2.Value, _Mapping]] = ..., chunk: _Optional[bytes] = ..., ack_done: _Optional[_Union[AckDone, _Mapping]] = ..., end: _Optional[_Union[EndOfLink, _Mapping]] = ..., recall: _Optional[_Union[Recall, _Mapping]] = ..., refused: _Optional[_Union[SettleRefused, _Mapping]] = ..., dropped: _Optional[_Union[ValuesDropped, _Mapping]] = ...) -> None: ...

class SubscribeOpened(_message.Message):
    __slots__ = ("generation", "schema", "lease_ms", "lost")
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    LEASE_MS_FIELD_NUMBER: _ClassVar[int]
    LOST_FIELD_NUMBER: _ClassVar[int]
    generation: int
    schema: bytes
    lease_ms: int
    lost: int
    def __init__(self, generation: _Optional[int] = ..., schema: _Optional[bytes] = ..., lease_ms: _Optional[int] = ..., lost: _Optional[int] = ...) -> None: ...

class Recall(_message.Message):
    __slots__ = ("tokens",)
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    tokens: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, tokens: _Optional[_Iterable[int]] = ...) -> None: ...

class SettleRefused(_message.Message):
    __slots__ = ("position", "token", "message")
    POSITION_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    position: _value_pb2.Position
    token: int
    message: str
    def __init__(self, position: _Optional[_Union[_value_pb2.Position, _Mapping]] = ..., token: _Optional[int] = ..., message: _Optional[str] = ...) -> None: ...

class ValuesDropped(_message.Message):
    __slots__ = ("first", "last", "reason")
    FIRST_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    first: int
    last: int
    reason: str
    def __init__(self, first: _Optional[int] = ..., last: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class AckDone(_message.Message):
    __slots__ = ("position",)
    POSITION_FIELD_NUMBER: _ClassVar[int]
    position: _value_pb2.Position
    def __init__(self, position: _Optional[_Union[_value_pb2.Position, _Mapping]] = ...) -> None: ...

class SeekRequest(_message.Message):
    __slots__ = ("group", "link", "to")
    GROUP_FIELD_NUMBER: _ClassVar[int]
    LINK_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    group: str
    link: str
    to: str
    def __init__(self, group: _Optional[str] = ..., link: _Optional[str] = ..., to: _Optional[str] = ...) -> None: ...

class SeekResponse(_message.Message):
    __slots__ = ("generation", "next_sequence", "run_generation")
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    NEXT_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    RUN_GENERATION_FIELD_NUMBER: _ClassVar[int]
    generation: int
    next_sequence: int
    run_generation: int
    def __init__(self, generation: _Optional[int] = ..., next_sequence: _Optional[int] = ..., run_generation: _Optional[int] = ...) -> None: ...

class EndOfLink(_message.Message):
    __slots__ = ("generation",)
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    generation: int
    def __init__(self, generation: _Optional[int] = ...) -> None: ...

class SnapshotsRequest(_message.Message):
    __slots__ = ("open", "credit_bytes", "release", "started", "renew")
    OPEN_FIELD_NUMBER: _ClassVar[int]
    CREDIT_BYTES_FIELD_NUMBER: _ClassVar[int]
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    STARTED_FIELD_NUMBER: _ClassVar[int]
    RENEW_FIELD_NUMBER: _ClassVar[int]
    open: SnapshotsOpen
    credit_bytes: int
    release: SnapshotRelease
    started: SnapshotToken
    renew: SnapshotToken
    def __init__(self, open: _Optional[_Union[SnapshotsOpen, _Mapping]] = ..., credit_bytes: _Optional[int] = ..., release: _Optional[_Union[SnapshotRelease, _Mapping]] = ..., started: _Optional[_Union[SnapshotToken, _Mapping]] = ..., renew: _Optional[_Union[SnapshotToken, _Mapping]] = ...) -> None: ...

class SnapshotToken(_message.Message):
    __slots__ = ("snapshot_id", "token")
    SNAPSHOT_ID_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    snapshot_id: bytes
    token: int
    def __init__(self, snapshot_id: _Optional[bytes] = ..., token: _Optional[int] = ...) -> None: ...

class SnapshotsOpen(_message.Message):
    __slots__ = ("credit_bytes", "format", "prefetch", "task", "says_started")
    CREDIT_BYTES_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    PREFETCH_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    SAYS_STARTED_FIELD_NUMBER: _ClassVar[int]
    credit_bytes: int
    format: _value_pb2.Format
    prefetch: int
    task: str
    says_started: bool
    def __init__(self, credit_bytes: _Optional[int] = ..., format: _Optional[_Union[_value_pb2.Format, str]] = ..., prefetch: _Optional[int] = ..., task: _Optional[str] = ..., says_started: bool = ...) -> None: ...

class SnapshotRelease(_message.Message):
    __slots__ = ("snapshot_id", "token", "reason", "delay_ms", "untried")
    SNAPSHOT_ID_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DELAY_MS_FIELD_NUMBER: _ClassVar[int]
    UNTRIED_FIELD_NUMBER: _ClassVar[int]
    snapshot_id: bytes
    token: int
    reason: str
    delay_ms: int
    untried: bool
    def __init__(self, snapshot_id: _Optional[bytes] = ..., token: _Optional[int] = ..., reason: _Optional[str] = ..., delay_ms: _Optional[int] = ..., untried: bool = ...) -> None: ...

class SnapshotsResponse(_message.Message):
    __slots__ = ("opened", "begin", "value", "chunk", "ready", "void", "end", "recall", "released")
    OPENED_FIELD_NUMBER: _ClassVar[int]
    BEGIN_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    READY_FIELD_NUMBER: _ClassVar[int]
    VOID_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    RECALL_FIELD_NUMBER: _ClassVar[int]
    RELEASED_FIELD_NUMBER: _ClassVar[int]
    opened: SnapshotsOpened
    begin: SnapshotBegin
    value: _value_pb2.Value
    chunk: bytes
    ready: SnapshotReady
    void: SnapshotVoid
    end: SnapshotsEnd
    recall: SnapshotToken
    released: SnapshotToken
    def __init__(self, opened: _Optional[_Union[SnapshotsOpened, _Mapping]] = ..., begin: _Optional[_Union[SnapshotBegin, _Mapping]] = ..., value: _Optional[_Union[_value_pb2.Value, _Mapping]] = ..., chunk: _Optional[bytes] = ..., ready: _Optional[_Union[SnapshotReady, _Mapping]] = ..., void: _Optional[_Union[SnapshotVoid, _Mapping]] = ..., end: _Optional[_Union[SnapshotsEnd, _Mapping]] = ..., recall: _Optional[_Union[SnapshotToken, _Mapping]] = ..., released: _Optional[_Union[SnapshotToken, _Mapping]] = ...) -> None: ...

class SnapshotsOpened(_message.Message):
    __slots__ = ("task", "inputs", "outputs", "lease_ms")
    TASK_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    LEASE_MS_FIELD_NUMBER: _ClassVar[int]
    task: str
    inputs: _containers.RepeatedCompositeFieldContainer[TaskInput]
    outputs: _containers.RepeatedCompositeFieldContainer[LinkSchema]
    lease_ms: int
    def __init__(self, task: _Optional[str] = ..., inputs: _Optional[_Iterable[_Union[TaskInput, _Mapping]]] = ..., outputs: _Optional[_Iterable[_Union[LinkSchema, _Mapping]]] = ..., lease_ms: _Optional[int] = ...) -> None: ...

class TaskInput(_message.Message):
    __slots__ = ("link", "policy", "generation")
    LINK_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    link: str
    policy: str
    generation: int
    def __init__(self, link: _Optional[str] = ..., policy: _Optional[str] = ..., generation: _Optional[int] = ...) -> None: ...

class LinkSchema(_message.Message):
    __slots__ = ("link", "schema", "declared")
    LINK_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    DECLARED_FIELD_NUMBER: _ClassVar[int]
    link: str
    schema: bytes
    declared: bool
    def __init__(self, link: _Optional[str] = ..., schema: _Optional[bytes] = ..., declared: bool = ...) -> None: ...

class SnapshotBegin(_message.Message):
    __slots__ = ("snapshot_id", "token", "attempt", "traceparent")
    SNAPSHOT_ID_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    TRACEPARENT_FIELD_NUMBER: _ClassVar[int]
    snapshot_id: bytes
    token: int
    attempt: int
    traceparent: str
    def __init__(self, snapshot_id: _Optional[bytes] = ..., token: _Optional[int] = ..., attempt: _Optional[int] = ..., traceparent: _Optional[str] = ...) -> None: ...

class SnapshotReady(_message.Message):
    __slots__ = ("snapshot_id", "token", "attempt", "portions", "traceparent", "inputs", "partial")
    SNAPSHOT_ID_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    PORTIONS_FIELD_NUMBER: _ClassVar[int]
    TRACEPARENT_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    PARTIAL_FIELD_NUMBER: _ClassVar[int]
    snapshot_id: bytes
    token: int
    attempt: int
    portions: _containers.RepeatedCompositeFieldContainer[_value_pb2.Portion]
    traceparent: str
    inputs: _containers.RepeatedCompositeFieldContainer[LinkSchema]
    partial: bool
    def __init__(self, snapshot_id: _Optional[bytes] = ..., token: _Optional[int] = ..., attempt: _Optional[int] = ..., portions: _Optional[_Iterable[_Union[_value_pb2.Portion, _Mapping]]] = ..., traceparent: _Optional[str] = ..., inputs: _Optional[_Iterable[_Union[LinkSchema, _Mapping]]] = ..., partial: bool = ...) -> None: ...

class SnapshotVoid(_message.Message):
    __slots__ = ("reason",)
    REASON_FIELD_NUMBER: _ClassVar[int]
    reason: str
    def __init__(self, reason: _Optional[str] = ...) -> None: ...

class SnapshotsEnd(_message.Message):
    __slots__ = ("reason",)
    REASON_FIELD_NUMBER: _ClassVar[int]
    reason: str
    def __init__(self, reason: _Optional[str] = ...) -> None: ...

class CommitRequest(_message.Message):
    __slots__ = ("snapshot_id", "token", "staged", "attributes", "final", "task")
    class AttributesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    SNAPSHOT_ID_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    STAGED_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    FINAL_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    snapshot_id: bytes
    token: int
    staged: _containers.RepeatedCompositeFieldContainer[Staged]
    attributes: _containers.ScalarMap[str, str]
    final: bool
    task: str
    def __init__(self, snapshot_id: _Optional[bytes] = ..., token: _Optional[int] = ..., staged: _Optional[_Iterable[_Union[Staged, _Mapping]]] = ..., attributes: _Optional[_Mapping[str, str]] = ..., final: bool = ..., task: _Optional[str] = ...) -> None: ...

class CommitResponse(_message.Message):
    __slots__ = ("outputs", "durability", "place", "repeated")
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    DURABILITY_FIELD_NUMBER: _ClassVar[int]
    PLACE_FIELD_NUMBER: _ClassVar[int]
    REPEATED_FIELD_NUMBER: _ClassVar[int]
    outputs: _containers.RepeatedCompositeFieldContainer[_value_pb2.Portion]
    durability: _value_pb2.Durability
    place: str
    repeated: bool
    def __init__(self, outputs: _Optional[_Iterable[_Union[_value_pb2.Portion, _Mapping]]] = ..., durability: _Optional[_Union[_value_pb2.Durability, str]] = ..., place: _Optional[str] = ..., repeated: bool = ...) -> None: ...

class ReadRequest(_message.Message):
    __slots__ = ("link", "generation", "first_sequence", "last_sequence", "last_values", "format", "envelopes_only", "follow", "incarnation")
    LINK_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    FIRST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    LAST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    LAST_VALUES_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    ENVELOPES_ONLY_FIELD_NUMBER: _ClassVar[int]
    FOLLOW_FIELD_NUMBER: _ClassVar[int]
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    link: str
    generation: int
    first_sequence: int
    last_sequence: int
    last_values: int
    format: _value_pb2.Format
    envelopes_only: bool
    follow: bool
    incarnation: int
    def __init__(self, link: _Optional[str] = ..., generation: _Optional[int] = ..., first_sequence: _Optional[int] = ..., last_sequence: _Optional[int] = ..., last_values: _Optional[int] = ..., format: _Optional[_Union[_value_pb2.Format, str]] = ..., envelopes_only: bool = ..., follow: bool = ..., incarnation: _Optional[int] = ...) -> None: ...

class ReadResponse(_message.Message):
    __slots__ = ("opened", "value", "chunk")
    OPENED_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    opened: ReadOpened
    value: _value_pb2.Value
    chunk: bytes
    def __init__(self, opened: _Optional[_Union[ReadOpened, _Mapping]] = ..., value: _Optional[_Union[_value_pb2.Value, _Mapping]] = ..., chunk: _Optional[bytes] = ...) -> None: ...

class ReadOpened(_message.Message):
    __slots__ = ("link", "generation", "sealed", "schema", "first_sequence", "last_sequence", "lost")
    LINK_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    SEALED_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    FIRST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    LAST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    LOST_FIELD_NUMBER: _ClassVar[int]
    link: str
    generation: int
    sealed: bool
    schema: bytes
    first_sequence: int
    last_sequence: int
    lost: int
    def __init__(self, link: _Optional[str] = ..., generation: _Optional[int] = ..., sealed: bool = ..., schema: _Optional[bytes] = ..., first_sequence: _Optional[int] = ..., last_sequence: _Optional[int] = ..., lost: _Optional[int] = ...) -> None: ...

class QueryRequest(_message.Message):
    __slots__ = ("sql", "timeout_ms", "insert")
    SQL_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_MS_FIELD_NUMBER: _ClassVar[int]
    INSERT_FIELD_NUMBER: _ClassVar[int]
    sql: str
    timeout_ms: int
    insert: bool
    def __init__(self, sql: _Optional[str] = ..., timeout_ms: _Optional[int] = ..., insert: bool = ...) -> None: ...

class QueryResponse(_message.Message):
    __slots__ = ("data", "inserted")
    DATA_FIELD_NUMBER: _ClassVar[int]
    INSERTED_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    inserted: int
    def __init__(self, data: _Optional[bytes] = ..., inserted: _Optional[int] = ...) -> None: ...

class SealRequest(_message.Message):
    __slots__ = ("link",)
    LINK_FIELD_NUMBER: _ClassVar[int]
    link: str
    def __init__(self, link: _Optional[str] = ...) -> None: ...

class SealResponse(_message.Message):
    __slots__ = ("generation", "last_sequence")
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    LAST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    generation: int
    last_sequence: int
    def __init__(self, generation: _Optional[int] = ..., last_sequence: _Optional[int] = ...) -> None: ...

class AttendRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class AttendResponse(_message.Message):
    __slots__ = ("state",)
    STATE_FIELD_NUMBER: _ClassVar[int]
    state: HomeState
    def __init__(self, state: _Optional[_Union[HomeState, str]] = ...) -> None: ...

class DescribeRequest(_message.Message):
    __slots__ = ("link",)
    LINK_FIELD_NUMBER: _ClassVar[int]
    link: str
    def __init__(self, link: _Optional[str] = ...) -> None: ...

class DescribeResponse(_message.Message):
    __slots__ = ("pipeline", "version", "directory", "transport", "open", "epoch", "links", "tasks", "groups", "run", "you", "pid", "told_at_ns", "notes", "holds", "artifacts_bytes")
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    DIRECTORY_FIELD_NUMBER: _ClassVar[int]
    TRANSPORT_FIELD_NUMBER: _ClassVar[int]
    OPEN_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    LINKS_FIELD_NUMBER: _ClassVar[int]
    TASKS_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    YOU_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    TOLD_AT_NS_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    HOLDS_FIELD_NUMBER: _ClassVar[int]
    ARTIFACTS_BYTES_FIELD_NUMBER: _ClassVar[int]
    pipeline: str
    version: str
    directory: str
    transport: str
    open: bool
    epoch: int
    links: _containers.RepeatedCompositeFieldContainer[LinkInfo]
    tasks: _containers.RepeatedCompositeFieldContainer[TaskInfo]
    groups: _containers.RepeatedCompositeFieldContainer[GroupInfo]
    run: RunInfo
    you: str
    pid: int
    told_at_ns: int
    notes: _containers.RepeatedScalarFieldContainer[str]
    holds: _containers.RepeatedCompositeFieldContainer[HoldInfo]
    artifacts_bytes: int
    def __init__(self, pipeline: _Optional[str] = ..., version: _Optional[str] = ..., directory: _Optional[str] = ..., transport: _Optional[str] = ..., open: bool = ..., epoch: _Optional[int] = ..., links: _Optional[_Iterable[_Union[LinkInfo, _Mapping]]] = ..., tasks: _Optional[_Iterable[_Union[TaskInfo, _Mapping]]] = ..., groups: _Optional[_Iterable[_Union[GroupInfo, _Mapping]]] = ..., run: _Optional[_Union[RunInfo, _Mapping]] = ..., you: _Optional[str] = ..., pid: _Optional[int] = ..., told_at_ns: _Optional[int] = ..., notes: _Optional[_Iterable[str]] = ..., holds: _Optional[_Iterable[_Union[HoldInfo, _Mapping]]] = ..., artifacts_bytes: _Optional[int] = ...) -> None: ...

class GenerationInfo(_message.Message):
    __slots__ = ("generation", "state", "task", "task_version", "first_sequence", "last_sequence", "values", "rows", "size_bytes", "schema")
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    TASK_VERSION_FIELD_NUMBER: _ClassVar[int]
    FIRST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    LAST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    generation: int
    state: str
    task: str
    task_version: str
    first_sequence: int
    last_sequence: int
    values: int
    rows: int
    size_bytes: int
    schema: bytes
    def __init__(self, generation: _Optional[int] = ..., state: _Optional[str] = ..., task: _Optional[str] = ..., task_version: _Optional[str] = ..., first_sequence: _Optional[int] = ..., last_sequence: _Optional[int] = ..., values: _Optional[int] = ..., rows: _Optional[int] = ..., size_bytes: _Optional[int] = ..., schema: _Optional[bytes] = ...) -> None: ...

class LinkInfo(_message.Message):
    __slots__ = ("name", "writer", "readers", "source", "sink", "open", "declared", "durability", "schema", "read", "current", "size_bytes", "values", "source_state", "on_bad_row", "last_created_at_ns", "rate", "bound_bytes", "on_full", "waiting_bytes", "retain", "dropped")
    NAME_FIELD_NUMBER: _ClassVar[int]
    WRITER_FIELD_NUMBER: _ClassVar[int]
    READERS_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    SINK_FIELD_NUMBER: _ClassVar[int]
    OPEN_FIELD_NUMBER: _ClassVar[int]
    DECLARED_FIELD_NUMBER: _ClassVar[int]
    DURABILITY_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    READ_FIELD_NUMBER: _ClassVar[int]
    CURRENT_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    SOURCE_STATE_FIELD_NUMBER: _ClassVar[int]
    ON_BAD_ROW_FIELD_NUMBER: _ClassVar[int]
    LAST_CREATED_AT_NS_FIELD_NUMBER: _ClassVar[int]
    RATE_FIELD_NUMBER: _ClassVar[int]
    BOUND_BYTES_FIELD_NUMBER: _ClassVar[int]
    ON_FULL_FIELD_NUMBER: _ClassVar[int]
    WAITING_BYTES_FIELD_NUMBER: _ClassVar[int]
    RETAIN_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    name: str
    writer: str
    readers: _containers.RepeatedScalarFieldContainer[str]
    source: str
    sink: str
    open: bool
    declared: bool
    durability: _value_pb2.Durability
    schema: bytes
    read: GenerationInfo
    current: GenerationInfo
    size_bytes: int
    values: int
    source_state: SourceInfo
    on_bad_row: str
    last_created_at_ns: int
    rate: Rate
    bound_bytes: int
    on_full: str
    waiting_bytes: int
    retain: str
    dropped: _containers.RepeatedCompositeFieldContainer[DroppedInfo]
    def __init__(self, name: _Optional[str] = ..., writer: _Optional[str] = ..., readers: _Optional[_Iterable[str]] = ..., source: _Optional[str] = ..., sink: _Optional[str] = ..., open: bool = ..., declared: bool = ..., durability: _Optional[_Union[_value_pb2.Durability, str]] = ..., schema: _Optional[bytes] = ..., read: _Optional[_Union[GenerationInfo, _Mapping]] = ..., current: _Optional[_Union[GenerationInfo, _Mapping]] = ..., size_bytes: _Optional[int] = ..., values: _Optional[int] = ..., source_state: _Optional[_Union[SourceInfo, _Mapping]] = ..., on_bad_row: _Optional[str] = ..., last_created_at_ns: _Optional[int] = ..., rate: _Optional[_Union[Rate, _Mapping]] = ..., bound_bytes: _Optional[int] = ..., on_full: _Optional[str] = ..., waiting_bytes: _Optional[int] = ..., retain: _Optional[str] = ..., dropped: _Optional[_Iterable[_Union[DroppedInfo, _Mapping]]] = ...) -> None: ...

class Rate(_message.Message):
    __slots__ = ("values_per_s", "rows_per_s", "bytes_per_s")
    VALUES_PER_S_FIELD_NUMBER: _ClassVar[int]
    ROWS_PER_S_FIELD_NUMBER: _ClassVar[int]
    BYTES_PER_S_FIELD_NUMBER: _ClassVar[int]
    values_per_s: float
    rows_per_s: float
    bytes_per_s: float
    def __init__(self, values_per_s: _Optional[float] = ..., rows_per_s: _Optional[float] = ..., bytes_per_s: _Optional[float] = ...) -> None: ...

class SourceInfo(_message.Message):
    __slots__ = ("digest", "rows_read", "rows_rejected", "final", "position", "attributes")
    class AttributesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    ROWS_READ_FIELD_NUMBER: _ClassVar[int]
    ROWS_REJECTED_FIELD_NUMBER: _ClassVar[int]
    FINAL_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    digest: str
    rows_read: int
    rows_rejected: int
    final: bool
    position: bytes
    attributes: _containers.ScalarMap[str, str]
    def __init__(self, digest: _Optional[str] = ..., rows_read: _Optional[int] = ..., rows_rejected: _Optional[int] = ..., final: bool = ..., position: _Optional[bytes] = ..., attributes: _Optional[_Mapping[str, str]] = ...) -> None: ...

class TaskInfo(_message.Message):
    __slots__ = ("name", "kind", "version", "inputs", "outputs", "execution", "ended", "commits", "leased", "connections", "progress", "refused_late", "state", "leases", "last_commit_attributes", "given_up", "failures", "overran", "memo")
    class LastCommitAttributesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_FIELD_NUMBER: _ClassVar[int]
    ENDED_FIELD_NUMBER: _ClassVar[int]
    COMMITS_FIELD_NUMBER: _ClassVar[int]
    LEASED_FIELD_NUMBER: _ClassVar[int]
    CONNECTIONS_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    REFUSED_LATE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    LEASES_FIELD_NUMBER: _ClassVar[int]
    LAST_COMMIT_ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    GIVEN_UP_FIELD_NUMBER: _ClassVar[int]
    FAILURES_FIELD_NUMBER: _ClassVar[int]
    OVERRAN_FIELD_NUMBER: _ClassVar[int]
    MEMO_FIELD_NUMBER: _ClassVar[int]
    name: str
    kind: str
    version: str
    inputs: _containers.RepeatedCompositeFieldContainer[TaskInput]
    outputs: _containers.RepeatedScalarFieldContainer[str]
    execution: int
    ended: bool
    commits: int
    leased: int
    connections: int
    progress: _containers.RepeatedCompositeFieldContainer[InputProgress]
    refused_late: int
    state: str
    leases: _containers.RepeatedCompositeFieldContainer[LeaseInfo]
    last_commit_attributes: _containers.ScalarMap[str, str]
    given_up: int
    failures: int
    overran: int
    memo: MemoInfo
    def __init__(self, name: _Optional[str] = ..., kind: _Optional[str] = ..., version: _Optional[str] = ..., inputs: _Optional[_Iterable[_Union[TaskInput, _Mapping]]] = ..., outputs: _Optional[_Iterable[str]] = ..., execution: _Optional[int] = ..., ended: bool = ..., commits: _Optional[int] = ..., leased: _Optional[int] = ..., connections: _Optional[int] = ..., progress: _Optional[_Iterable[_Union[InputProgress, _Mapping]]] = ..., refused_late: _Optional[int] = ..., state: _Optional[str] = ..., leases: _Optional[_Iterable[_Union[LeaseInfo, _Mapping]]] = ..., last_commit_attributes: _Optional[_Mapping[str, str]] = ..., given_up: _Optional[int] = ..., failures: _Optional[int] = ..., overran: _Optional[int] = ..., memo: _Optional[_Union[MemoInfo, _Mapping]] = ...) -> None: ...

class MemoInfo(_message.Message):
    __slots__ = ("recalled", "checked", "differing", "outputs")
    RECALLED_FIELD_NUMBER: _ClassVar[int]
    CHECKED_FIELD_NUMBER: _ClassVar[int]
    DIFFERING_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    recalled: int
    checked: int
    differing: int
    outputs: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, recalled: _Optional[int] = ..., checked: _Optional[int] = ..., differing: _Optional[int] = ..., outputs: _Optional[_Iterable[str]] = ...) -> None: ...

class LeaseInfo(_message.Message):
    __slots__ = ("snapshot_id", "portions", "attempt", "since_ns")
    SNAPSHOT_ID_FIELD_NUMBER: _ClassVar[int]
    PORTIONS_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    SINCE_NS_FIELD_NUMBER: _ClassVar[int]
    snapshot_id: bytes
    portions: _containers.RepeatedCompositeFieldContainer[_value_pb2.Portion]
    attempt: int
    since_ns: int
    def __init__(self, snapshot_id: _Optional[bytes] = ..., portions: _Optional[_Iterable[_Union[_value_pb2.Portion, _Mapping]]] = ..., attempt: _Optional[int] = ..., since_ns: _Optional[int] = ...) -> None: ...

class InputProgress(_message.Message):
    __slots__ = ("link", "done_values", "done_rows", "waiting_values")
    LINK_FIELD_NUMBER: _ClassVar[int]
    DONE_VALUES_FIELD_NUMBER: _ClassVar[int]
    DONE_ROWS_FIELD_NUMBER: _ClassVar[int]
    WAITING_VALUES_FIELD_NUMBER: _ClassVar[int]
    link: str
    done_values: int
    done_rows: int
    waiting_values: int
    def __init__(self, link: _Optional[str] = ..., done_values: _Optional[int] = ..., done_rows: _Optional[int] = ..., waiting_values: _Optional[int] = ...) -> None: ...

class DroppedInfo(_message.Message):
    __slots__ = ("reason", "values", "last_at_ns")
    REASON_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    LAST_AT_NS_FIELD_NUMBER: _ClassVar[int]
    reason: str
    values: int
    last_at_ns: int
    def __init__(self, reason: _Optional[str] = ..., values: _Optional[int] = ..., last_at_ns: _Optional[int] = ...) -> None: ...

class HoldInfo(_message.Message):
    __slots__ = ("name", "holder", "link", "generation", "first_sequence", "last_sequence", "until_ns", "reason")
    NAME_FIELD_NUMBER: _ClassVar[int]
    HOLDER_FIELD_NUMBER: _ClassVar[int]
    LINK_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    FIRST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    LAST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    UNTIL_NS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    name: str
    holder: str
    link: str
    generation: int
    first_sequence: int
    last_sequence: int
    until_ns: int
    reason: str
    def __init__(self, name: _Optional[str] = ..., holder: _Optional[str] = ..., link: _Optional[str] = ..., generation: _Optional[int] = ..., first_sequence: _Optional[int] = ..., last_sequence: _Optional[int] = ..., until_ns: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class GroupInfo(_message.Message):
    __slots__ = ("group", "link", "done_sequence", "lag_values", "leased", "connections", "generation", "order", "run_generation", "lost_values")
    GROUP_FIELD_NUMBER: _ClassVar[int]
    LINK_FIELD_NUMBER: _ClassVar[int]
    DONE_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    LAG_VALUES_FIELD_NUMBER: _ClassVar[int]
    LEASED_FIELD_NUMBER: _ClassVar[int]
    CONNECTIONS_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    RUN_GENERATION_FIELD_NUMBER: _ClassVar[int]
    LOST_VALUES_FIELD_NUMBER: _ClassVar[int]
    group: str
    link: str
    done_sequence: int
    lag_values: int
    leased: int
    connections: int
    generation: int
    order: str
    run_generation: int
    lost_values: int
    def __init__(self, group: _Optional[str] = ..., link: _Optional[str] = ..., done_sequence: _Optional[int] = ..., lag_values: _Optional[int] = ..., leased: _Optional[int] = ..., connections: _Optional[int] = ..., generation: _Optional[int] = ..., order: _Optional[str] = ..., run_generation: _Optional[int] = ..., lost_values: _Optional[int] = ...) -> None: ...

class RunInfo(_message.Message):
    __slots__ = ("epoch", "run_id", "began_at_ns", "outcome", "reason", "complete")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    BEGAN_AT_NS_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    run_id: str
    began_at_ns: int
    outcome: str
    reason: str
    complete: bool
    def __init__(self, epoch: _Optional[int] = ..., run_id: _Optional[str] = ..., began_at_ns: _Optional[int] = ..., outcome: _Optional[str] = ..., reason: _Optional[str] = ..., complete: bool = ...) -> None: ...

class TraceRequest(_message.Message):
    __slots__ = ("value", "limit", "forward", "depth")
    VALUE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    FORWARD_FIELD_NUMBER: _ClassVar[int]
    DEPTH_FIELD_NUMBER: _ClassVar[int]
    value: str
    limit: int
    forward: bool
    depth: int
    def __init__(self, value: _Optional[str] = ..., limit: _Optional[int] = ..., forward: bool = ..., depth: _Optional[int] = ...) -> None: ...

class TraceResponse(_message.Message):
    __slots__ = ("ancestors", "cut", "descendants", "sinks")
    ANCESTORS_FIELD_NUMBER: _ClassVar[int]
    CUT_FIELD_NUMBER: _ClassVar[int]
    DESCENDANTS_FIELD_NUMBER: _ClassVar[int]
    SINKS_FIELD_NUMBER: _ClassVar[int]
    ancestors: _containers.RepeatedCompositeFieldContainer[Ancestor]
    cut: bool
    descendants: _containers.RepeatedCompositeFieldContainer[Ancestor]
    sinks: _containers.RepeatedCompositeFieldContainer[SinkCommit]
    def __init__(self, ancestors: _Optional[_Iterable[_Union[Ancestor, _Mapping]]] = ..., cut: bool = ..., descendants: _Optional[_Iterable[_Union[Ancestor, _Mapping]]] = ..., sinks: _Optional[_Iterable[_Union[SinkCommit, _Mapping]]] = ...) -> None: ...

class Ancestor(_message.Message):
    __slots__ = ("envelope", "depth", "source")
    ENVELOPE_FIELD_NUMBER: _ClassVar[int]
    DEPTH_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    envelope: _value_pb2.Envelope
    depth: int
    source: SourceInfo
    def __init__(self, envelope: _Optional[_Union[_value_pb2.Envelope, _Mapping]] = ..., depth: _Optional[int] = ..., source: _Optional[_Union[SourceInfo, _Mapping]] = ...) -> None: ...

class SinkCommit(_message.Message):
    __slots__ = ("task", "portions", "committed_at_ns", "attributes")
    class AttributesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    TASK_FIELD_NUMBER: _ClassVar[int]
    PORTIONS_FIELD_NUMBER: _ClassVar[int]
    COMMITTED_AT_NS_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    task: str
    portions: _containers.RepeatedCompositeFieldContainer[_value_pb2.Portion]
    committed_at_ns: int
    attributes: _containers.ScalarMap[str, str]
    def __init__(self, task: _Optional[str] = ..., portions: _Optional[_Iterable[_Union[_value_pb2.Portion, _Mapping]]] = ..., committed_at_ns: _Optional[int] = ..., attributes: _Optional[_Mapping[str, str]] = ...) -> None: ...
