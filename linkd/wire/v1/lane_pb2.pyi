from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class LaneCall(_message.Message):
    __slots__ = ("method", "token", "traceparent", "session")
    METHOD_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    TRACEPARENT_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    method: str
    token: str
    traceparent: str
    session: bytes
    def __init__(self, method: _Optional[str] = ..., token: _Optional[str] = ..., traceparent: _Optional[str] = ..., session: _Optional[bytes] = ...) -> None: ...

class LaneStatus(_message.Message):
    __slots__ = ("status", "details", "code")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    DETAILS_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    status: int
    details: str
    code: str
    def __init__(self, status: _Optional[int] = ..., details: _Optional[str] = ..., code: _Optional[str] = ...) -> None: ...
