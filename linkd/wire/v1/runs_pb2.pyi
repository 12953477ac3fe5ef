from linkd.wire.v1 import links_pb2 as _links_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class BeginRequest(_message.Message):
    __slots__ = ("run_id", "fresh", "reason", "fingerprint", "traceparent", "task_versions", "again", "resumed", "tasks", "open_places", "follow", "every_ms", "memo", "checks_memo")
    class FingerprintEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class TaskVersionsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class EveryMsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class MemoEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    FRESH_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    TRACEPARENT_FIELD_NUMBER: _ClassVar[int]
    TASK_VERSIONS_FIELD_NUMBER: _ClassVar[int]
    AGAIN_FIELD_NUMBER: _ClassVar[int]
    RESUMED_FIELD_NUMBER: _ClassVar[int]
    TASKS_FIELD_NUMBER: _ClassVar[int]
    OPEN_PLACES_FIELD_NUMBER: _ClassVar[int]
    FOLLOW_FIELD_NUMBER: _ClassVar[int]
    EVERY_MS_FIELD_NUMBER: _ClassVar[int]
    MEMO_FIELD_NUMBER: _ClassVar[int]
    CHECKS_MEMO_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    fresh: bool
    reason: str
    fingerprint: _containers.ScalarMap[str, str]
    traceparent: str
    task_versions: _containers.ScalarMap[str, str]
    again: _containers.RepeatedScalarFieldContainer[str]
    resumed: _containers.RepeatedScalarFieldContainer[str]
    tasks: _containers.RepeatedScalarFieldContainer[str]
    open_places: _containers.RepeatedScalarFieldContainer[str]
    follow: bool
    every_ms: _containers.ScalarMap[str, int]
    memo: _containers.ScalarMap[str, str]
    checks_memo: bool
    def __init__(self, run_id: _Optional[str] = ..., fresh: bool = ..., reason: _Optional[str] = ..., fingerprint: _Optional[_Mapping[str, str]] = ..., traceparent: _Optional[str] = ..., task_versions: _Optional[_Mapping[str, str]] = ..., again: _Optional[_Iterable[str]] = ..., resumed: _Optional[_Iterable[str]] = ..., tasks: _Optional[_Iterable[str]] = ..., open_places: _Optional[_Iterable[str]] = ..., follow: bool = ..., every_ms: _Optional[_Mapping[str, int]] = ..., memo: _Optional[_Mapping[str, str]] = ..., checks_memo: bool = ...) -> None: ...

class BeginResponse(_message.Message):
    __slots__ = ("epoch", "tokens")
    class TokensEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    tokens: _containers.ScalarMap[str, str]
    def __init__(self, epoch: _Optional[int] = ..., tokens: _Optional[_Mapping[str, str]] = ...) -> None: ...

class TaskExitedRequest(_message.Message):
    __slots__ = ("task", "exit_code")
    TASK_FIELD_NUMBER: _ClassVar[int]
    EXIT_CODE_FIELD_NUMBER: _ClassVar[int]
    task: str
    exit_code: int
    def __init__(self, task: _Optional[str] = ..., exit_code: _Optional[int] = ...) -> None: ...

class TaskExitedResponse(_message.Message):
    __slots__ = ("unread",)
    class UnreadEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    UNREAD_FIELD_NUMBER: _ClassVar[int]
    unread: _containers.ScalarMap[str, int]
    def __init__(self, unread: _Optional[_Mapping[str, int]] = ...) -> None: ...

class PauseRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class PauseResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class EndRequest(_message.Message):
    __slots__ = ("outcome",)
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    outcome: str
    def __init__(self, outcome: _Optional[str] = ...) -> None: ...

class EndResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class WatchRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
