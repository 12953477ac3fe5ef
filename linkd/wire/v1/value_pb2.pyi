from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Durability(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DURABILITY_UNSPECIFIED: _ClassVar[Durability]
    FSYNC: _ClassVar[Durability]
    INTERVAL: _ClassVar[Durability]
    MEMORY: _ClassVar[Durability]

class Format(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FORMAT_UNSPECIFIED: _ClassVar[Format]
    ARROW: _ClassVar[Format]
    ROWS: _ClassVar[Format]
    BYTES: _ClassVar[Format]
DURABILITY_UNSPECIFIED: Durability
FSYNC: Durability
INTERVAL: Durability
MEMORY: Durability
FORMAT_UNSPECIFIED: Format
ARROW: Format
ROWS: Format
BYTES: Format

class Position(_message.Message):
    __slots__ = ("incarnation", "sequence")
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    incarnation: int
    sequence: int
    def __init__(self, incarnation: _Optional[int] = ..., sequence: _Optional[int] = ...) -> None: ...

class Portion(_message.Message):
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

class Producer(_message.Message):
    __slots__ = ("id", "epoch", "sequence")
    ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    id: str
    epoch: int
    sequence: int
    def __init__(self, id: _Optional[str] = ..., epoch: _Optional[int] = ..., sequence: _Optional[int] = ...) -> None: ...

class Envelope(_message.Message):
    __slots__ = ("id", "link", "position", "generation", "rows", "size_bytes", "schema_id", "payload_xxh3", "created_at_ns", "task", "task_version", "attempt", "parents", "producer", "traceparent", "attributes")
    class AttributesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    LINK_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_ID_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_XXH3_FIELD_NUMBER: _ClassVar[int]
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
    position: Position
    generation: int
    rows: int
    size_bytes: int
    schema_id: bytes
    payload_xxh3: int
    created_at_ns: int
    task: str
    task_version: str
    attempt: int
    parents: _containers.RepeatedCompositeFieldContainer[Portion]
    producer: Producer
    traceparent: str
    attributes: _containers.ScalarMap[str, str]
    def __init__(self, id: _Optional[bytes] = ..., link: _Optional[str] = ..., position: _Optional[_Union[Position, _Mapping]] = ..., generation: _Optional[int] = ..., rows: _Optional[int] = ..., size_bytes: _Optional[int] = ..., schema_id: _Optional[bytes] = ..., payload_xxh3: _Optional[int] = ..., created_at_ns: _Optional[int] = ..., task: _Optional[str] = ..., task_version: _Optional[str] = ..., attempt: _Optional[int] = ..., parents: _Optional[_Iterable[_Union[Portion, _Mapping]]] = ..., producer: _Optional[_Union[Producer, _Mapping]] = ..., traceparent: _Optional[str] = ..., attributes: _Optional[_Mapping[str, str]] = ...) -> None: ...

class Placed(_message.Message):
    __slots__ = ("file", "offset", "body_bytes", "metadata", "xxh3")
    FILE_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    BODY_BYTES_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    XXH3_FIELD_NUMBER: _ClassVar[int]
    file: int
    offset: int
    body_bytes: int
    metadata: bytes
    xxh3: int
    def __init__(self, file: _Optional[int] = ..., offset: _Optional[int] = ..., body_bytes: _Optional[int] = ..., metadata: _Optional[bytes] = ..., xxh3: _Optional[int] = ...) -> None: ...

class Value(_message.Message):
    __slots__ = ("envelope", "format", "payload_bytes", "schema", "data", "input", "token", "attempt", "first_row", "end_row", "placed")
    ENVELOPE_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_BYTES_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    FIRST_ROW_FIELD_NUMBER: _ClassVar[int]
    END_ROW_FIELD_NUMBER: _ClassVar[int]
    PLACED_FIELD_NUMBER: _ClassVar[int]
    envelope: Envelope
    format: Format
    payload_bytes: int
    schema: bytes
    data: bytes
    input: str
    token: int
    attempt: int
    first_row: int
    end_row: int
    placed: Placed
    def __init__(self, envelope: _Optional[_Union[Envelope, _Mapping]] = ..., format: _Optional[_Union[Format, str]] = ..., payload_bytes: _Optional[int] = ..., schema: _Optional[bytes] = ..., data: _Optional[bytes] = ..., input: _Optional[str] = ..., token: _Optional[int] = ..., attempt: _Optional[int] = ..., first_row: _Optional[int] = ..., end_row: _Optional[int] = ..., placed: _Optional[_Union[Placed, _Mapping]] = ...) -> None: ...
