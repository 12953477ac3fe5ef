from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class LaneCall(_message.Message):
    __slots__ = ("method", "token", "traceparent", "session", "tells_taken")
    METHOD_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    TRACEPARENT_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    TELLS_TAKEN_FIELD_NUMBER: _ClassVar[int]
    method: str
    token: str
    traceparent: str
    session: bytes
    tells_taken: bool
    def __init__(self, method: _Optional[str] = ..., token: _Optional[str] = ..., traceparent: _Optional[str] = ..., session: _Optional[bytes] = ..., tells_taken: bool = ...) -> None: ...

class FilesRequest(_message.Message):
    __slots__ = ("file", "released")
    FILE_FIELD_NUMBER: _ClassVar[int]
    RELEASED_FIELD_NUMBER: _ClassVar[int]
    file: int
    released: int
    def __init__(self, file: _Optional[int] = ..., released: _Optional[int] = ...) -> None: ...

class FilesResponse(_message.Message):
    __slots__ = ("shown", "gone")
    SHOWN_FIELD_NUMBER: _ClassVar[int]
    GONE_FIELD_NUMBER: _ClassVar[int]
    shown: FileShown
    gone: int
    def __init__(self, shown: _Optional[_Union[FileShown, _Mapping]] = ..., gone: _Optional[int] = ...) -> None: ...

class FileShown(_message.Message):
    __slots__ = ("file", "size_bytes", "writable")
    FILE_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    WRITABLE_FIELD_NUMBER: _ClassVar[int]
    file: int
    size_bytes: int
    writable: bool
    def __init__(self, file: _Optional[int] = ..., size_bytes: _Optional[int] = ..., writable: bool = ...) -> None: ...

class LaneStatus(_message.Message):
    __slots__ = ("status", "details", "code")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    DETAILS_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    status: int
    details: str
    code: str
    def __init__(self, status: _Optional[int] = ..., details: _Optional[str] = ..., code: _Optional[str] = ...) -> None: ...
