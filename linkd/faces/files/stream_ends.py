"""Our ends of the pipes of a program: read and written in threads, and let go of from outside of them.

A wait is for the pipe, or for `stop`, whichever comes first; so a program that never reads, or a child that keeps a pipe open, holds up nobody.
"""

from __future__ import annotations

import fcntl
import os
import select
from collections.abc import Sequence
from contextlib import suppress

from linkd.limits import PIPE_BUFFER_BYTES

_SET_SIZE = getattr(fcntl, "F_SETPIPE_SZ", None)
"""Linux alone has it."""
_IOV_MAX = 1024
"""Buffers of one writev, as Linux and macOS have it."""


class Stopped(Exception):
    """The wait is over: nobody wants what it was for."""


class PipeEnd:
    """One end, which belongs to this object. `close` it when no thread uses it any more. `moved_bytes` counts what went through it."""

    moved_bytes = 0

    def __init__(self, descriptor: int, buffer_bytes: int = PIPE_BUFFER_BYTES) -> None:
        self.descriptor = descriptor
        os.set_blocking(descriptor, False)
        if _SET_SIZE is not None:
            with suppress(OSError):  # the user's share of pipe memory is used up: it works with less
                fcntl.fcntl(descriptor, _SET_SIZE, buffer_bytes)
        self._told, self._tell = os.pipe()

    def stop(self) -> None:
        """Every wait, now and later, raises Stopped."""
        with suppress(OSError):
            os.write(self._tell, b".")

    def close(self) -> None:
        """May be called again."""
        descriptors, self.descriptor, self._told, self._tell = (self.descriptor, self._told, self._tell), -1, -1, -1
        for descriptor in descriptors:
            if descriptor >= 0:
                os.close(descriptor)

    def _wait(self, event: int) -> None:
        poll = select.poll()
        poll.register(self.descriptor, event)
        poll.register(self._told, select.POLLIN)
        if any(ready == self._told for ready, _ in poll.poll()):
            raise Stopped


class Sending(PipeEnd):
    """The end that we write to."""

    def send(self, parts: Sequence[bytes | memoryview]) -> bool:
        """Writes all of it; False if nobody reads any more. Raises Stopped."""
        left = [memoryview(part).cast("B") for part in parts if len(part)]
        while left:
            try:
                written = os.writev(self.descriptor, left[:_IOV_MAX])
            except BlockingIOError:
                self._wait(select.POLLOUT)
                continue
            except BrokenPipeError:
                return False
            self.moved_bytes += written
            while left and written >= len(left[0]):
                written -= len(left.pop(0))
            if written:
                left[0] = left[0][written:]
        return True

    def drained(self) -> bool:
        """Waits until the program has read everything, of a pipe of one page; False if nobody reads any more. Raises Stopped."""
        self._wait(select.POLLOUT)
        return True


class Receiving(PipeEnd):
    """The end that we read from. `at_end` when nobody has the other one any more."""

    at_end = False

    def read(self, size_bytes: int) -> bytes:
        """As many bytes as asked for, fewer only at the end. Raises Stopped."""
        buffer = bytearray(size_bytes)
        return bytes(memoryview(buffer)[: self.read_into(memoryview(buffer))])

    def read_into(self, room: memoryview) -> int:
        """The same, into `room`: how many bytes there are."""
        have = 0
        while have < len(room) and not self.at_end:
            have += self._some(room[have:])
        return have

    def read_some(self, size_bytes: int) -> bytes:
        """What there is, at least a byte; nothing at the end. Raises Stopped."""
        buffer = bytearray(size_bytes)
        while not self.at_end:
            if (have := self._some(memoryview(buffer))) > 0:
                return bytes(buffer[:have])
        return b""

    def _some(self, room: memoryview) -> int:
        """What one read gives; 0 also where it had to wait."""
        try:
            have = os.readv(self.descriptor, [room])
        except BlockingIOError:
            self._wait(select.POLLIN)
            return 0
        self.at_end = not have
        self.moved_bytes += have
        return have

    def available(self) -> bytes:
        """What can be read without waiting, as much as the pipe holds at most."""
        parts: list[bytes] = []
        with suppress(BlockingIOError):
            while not self.at_end and sum(map(len, parts)) < PIPE_BUFFER_BYTES:
                part = os.read(self.descriptor, PIPE_BUFFER_BYTES)
                self.at_end = not part
                parts.append(part)
        return b"".join(parts)
