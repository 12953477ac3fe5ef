from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PutArtifactRequest(_message.Message):
    __slots__ = ("begin", "chunk", "written", "end")
    BEGIN_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    WRITTEN_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    begin: PutBegin
    chunk: bytes
    written: int
    end: PutEnd
    def __init__(self, begin: _Optional[_Union[PutBegin, _Mapping]] = ..., chunk: _Optional[bytes] = ..., written: _Optional[int] = ..., end: _Optional[_Union[PutEnd, _Mapping]] = ...) -> None: ...

class PutBegin(_message.Message):
    __slots__ = ("size_bytes", "unsized", "data", "digest", "directory", "upload_id", "resume", "by_place")
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    UNSIZED_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    DIRECTORY_FIELD_NUMBER: _ClassVar[int]
    UPLOAD_ID_FIELD_NUMBER: _ClassVar[int]
    RESUME_FIELD_NUMBER: _ClassVar[int]
    BY_PLACE_FIELD_NUMBER: _ClassVar[int]
    size_bytes: int
    unsized: bool
    data: bytes
    digest: bytes
    directory: bool
    upload_id: bytes
    resume: bool
    by_place: bool
    def __init__(self, size_bytes: _Optional[int] = ..., unsized: bool = ..., data: _Optional[bytes] = ..., digest: _Optional[bytes] = ..., directory: bool = ..., upload_id: _Optional[bytes] = ..., resume: bool = ..., by_place: bool = ...) -> None: ...

class PutEnd(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class PutArtifactResponse(_message.Message):
    __slots__ = ("kept", "held", "granted")
    KEPT_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    GRANTED_FIELD_NUMBER: _ClassVar[int]
    kept: Artifact
    held: int
    granted: PutGranted
    def __init__(self, kept: _Optional[_Union[Artifact, _Mapping]] = ..., held: _Optional[int] = ..., granted: _Optional[_Union[PutGranted, _Mapping]] = ...) -> None: ...

class PutGranted(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Artifact(_message.Message):
    __slots__ = ("digest", "size_bytes", "directory")
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    DIRECTORY_FIELD_NUMBER: _ClassVar[int]
    digest: bytes
    size_bytes: int
    directory: bool
    def __init__(self, digest: _Optional[bytes] = ..., size_bytes: _Optional[int] = ..., directory: bool = ...) -> None: ...

class GetArtifactRequest(_message.Message):
    __slots__ = ("digest", "start", "end", "by_place")
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    BY_PLACE_FIELD_NUMBER: _ClassVar[int]
    digest: bytes
    start: int
    end: int
    by_place: bool
    def __init__(self, digest: _Optional[bytes] = ..., start: _Optional[int] = ..., end: _Optional[int] = ..., by_place: bool = ...) -> None: ...

class GetArtifactResponse(_message.Message):
    __slots__ = ("found", "chunk")
    FOUND_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    found: ArtifactFound
    chunk: bytes
    def __init__(self, found: _Optional[_Union[ArtifactFound, _Mapping]] = ..., chunk: _Optional[bytes] = ...) -> None: ...

class ArtifactFound(_message.Message):
    __slots__ = ("artifact", "placed")
    ARTIFACT_FIELD_NUMBER: _ClassVar[int]
    PLACED_FIELD_NUMBER: _ClassVar[int]
    artifact: Artifact
    placed: bool
    def __init__(self, artifact: _Optional[_Union[Artifact, _Mapping]] = ..., placed: bool = ...) -> None: ...

class StatArtifactsRequest(_message.Message):
    __slots__ = ("digests",)
    DIGESTS_FIELD_NUMBER: _ClassVar[int]
    digests: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, digests: _Optional[_Iterable[bytes]] = ...) -> None: ...

class StatArtifactsResponse(_message.Message):
    __slots__ = ("found",)
    FOUND_FIELD_NUMBER: _ClassVar[int]
    found: _containers.RepeatedCompositeFieldContainer[Artifact]
    def __init__(self, found: _Optional[_Iterable[_Union[Artifact, _Mapping]]] = ...) -> None: ...
