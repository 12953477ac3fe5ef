"""Artifacts by place: content goes between a file of the program's and one of linkd's without passing through either process (lane.proto).

Each artifact takes a connection of its own, and blocks: it is for a thread. Whoever needs to trust the bytes hashes them where they were written, at
once behind the copying (`file_copies`): linkd what a client puts, a client what it got.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections import deque
from typing import Any

from linkd.client.file_copies import HashedBehind, copied
from linkd.errors import ConnectionFailed, SourceChanged, StateDamaged
from linkd.limits import ARTIFACT_STEP_BYTES, LANE_DESCRIPTORS_AT_ONCE, LANE_READ_BYTES
from linkd.wire.lane import FrameKind, FrameReader, frame
from linkd.wire.methods import GET_ARTIFACT, PUT_ARTIFACT, Method
from linkd.wire.status import lane_error
from linkd.wire.v1 import artifacts_pb2 as pb
from linkd.wire.v1 import lane_pb2


class LaneArtifacts:
    """One call. `abort`, from any thread, ends it."""

    def __init__(self, path: str, token: str, traceparent: str) -> None:
        self._path = path
        self._token = token
        self._traceparent = traceparent
        self._socket = socket.socket(socket.AF_UNIX)
        self._frames = FrameReader()
        self._messages: deque[tuple[FrameKind, bytes | memoryview]] = deque()
        self._descriptors: deque[int] = deque()
        self._is_aborted = False

    def abort(self) -> None:
        self._is_aborted = True
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def put(self, source: int, size_bytes: int) -> Any:
        """All of an open file, of this size: the `Artifact` message of it. Raises what linkd refuses it with, SourceChanged, ConnectionFailed."""
        try:
            self._begin(PUT_ARTIFACT)
            self._send(pb.PutArtifactRequest(begin=pb.PutBegin(size_bytes=size_bytes, by_place=True)))
            self._receive(PUT_ARTIFACT)
            target = self._descriptor()
            try:
                at = 0
                while at < size_bytes:
                    more_bytes = copied(source, target, at, min(ARTIFACT_STEP_BYTES, size_bytes - at))
                    if not more_bytes:
                        raise SourceChanged("the file got shorter while it was read: put it when nobody writes to it any more")
                    at += more_bytes
                    self._send(pb.PutArtifactRequest(written=at))
            finally:
                os.close(target)
            self._socket.sendall(frame(FrameKind.DONE))
            return self._receive(PUT_ARTIFACT).kept
        finally:
            self._close()

    def get(self, digest: bytes, target: int) -> bool:
        """All of it, into an open file that is empty; False if it does not lie in a file of its own. Raises StateDamaged if it is not what was
        put."""
        try:
            self._begin(GET_ARTIFACT)
            self._send(pb.GetArtifactRequest(digest=digest, by_place=True))
            found = self._receive(GET_ARTIFACT).found
            if not found.placed:
                return False
            source = self._descriptor()
            try:
                self._copy_checked(source, target, found.artifact.size_bytes, digest)
            finally:
                os.close(source)
            return True
        finally:
            self._close()

    def _copy_checked(self, source: int, target: int, size_bytes: int, digest: bytes) -> None:
        with HashedBehind(target) as hashed:
            at = 0
            while at < size_bytes and (more_bytes := copied(source, target, at, min(ARTIFACT_STEP_BYTES, size_bytes - at))):
                if self._is_aborted:
                    raise ConnectionFailed("the call was cancelled")
                at += more_bytes
                hashed.reached(at)
            found = hashed.digest()
        if found != digest:
            raise StateDamaged(
                f"artifact {digest.hex()} is not what was put: the disk has changed it. linkd sets it aside when its bytes are asked for: put "
                "it anew"
            )

    def _begin(self, method: Method) -> None:
        asked = lane_pb2.LaneCall(method=method.path, token=self._token, traceparent=self._traceparent)
        try:
            self._socket.connect(self._path)
            self._socket.sendall(frame(FrameKind.CALL, asked.SerializeToString()))
        except OSError as problem:
            raise ConnectionFailed(f"no linkd answers at {self._path} ({problem.strerror or problem})") from None

    def _send(self, message: Any) -> None:
        try:
            self._socket.sendall(frame(FrameKind.MESSAGE, message.SerializeToString()))
        except OSError:
            self._receive(PUT_ARTIFACT)  # which raises what the call was ended with
            raise ConnectionFailed("linkd closed the connection") from None

    def _receive(self, method: Method) -> Any:
        """The next message. Raises what ended the call."""
        while not self._messages:
            try:
                data, descriptors, _, _ = socket.recv_fds(self._socket, LANE_READ_BYTES, LANE_DESCRIPTORS_AT_ONCE, socket.MSG_CMSG_CLOEXEC)
            except OSError as problem:
                raise ConnectionFailed(f"linkd closed the connection ({problem.strerror or problem})") from None
            self._descriptors += descriptors
            if not data:
                raise ConnectionFailed("linkd closed the connection")
            self._messages += self._frames.feed(data)
        kind, content = self._messages.popleft()
        if kind is FrameKind.STATUS:
            raise lane_error(content) or ConnectionFailed("linkd ended the stream")
        return method.decode_response(content)

    def _descriptor(self) -> int:
        if not self._descriptors:
            raise ConnectionFailed("linkd named a file and sent none")
        return self._descriptors.popleft()

    def _close(self) -> None:
        for descriptor in self._descriptors:
            os.close(descriptor)
        self._socket.close()
