"""Payloads that wait for their commit.

A payload arrives in chunks (`IncomingPayload.write`), is checked when it is whole (`finish`) and then waits as a
`StagedPayload`. Over all payloads together `in_memory_max_bytes` stay in memory, and less if the home has not so much
to give; what comes beyond goes to files in `staging/`, which have no name once they are open, so that nothing remains
of them when the process ends. (A crash between making and unnaming one leaves it; the next start deletes it.)

On the way out it is the same: what was made for a reader who does not take it at once lies in such a file (`Spool`).

Chunks are kept as they came and are never joined. All calls are made from the event loop, except `StagedPayload.body`,
which the committer reads, and `Spool.write`.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import xxhash

from linkd import limits
from linkd.errors import InvalidArgument, ValueTooLarge
from linkd.store.files import File, Files
from linkd.wire import arrow_ipc

Piece = bytes | memoryview
"""Some bytes of a payload, as they came."""


class Memory(Protocol):
    """Memory that somebody else counts, too."""

    def try_take(self, size_bytes: int) -> bool:
        """Takes so much if it is there."""
        ...

    def give(self, size_bytes: int) -> None:
        """Gives back what was taken."""
        ...


class Content(Protocol):
    """The body of a payload."""

    def parts(self) -> Iterator[Piece]:
        """All of it, in pieces."""
        ...

    def discard(self) -> None:
        """Nobody will ask for it any more; again is harmless."""
        ...


class StagedPayload:
    """One encapsulated Arrow IPC record batch message, whole and checked, that waits for its commit.

    `metadata` is its flatbuffer, `size_bytes` and `xxh3` are those of the whole message (what `Envelope` says of it),
    `rows` its rows.
    """

    def __init__(self, content: Content, metadata: bytes, info: arrow_ipc.BatchInfo, xxh3: int) -> None:
        self._content = content
        self.metadata = metadata
        self.rows = info.rows
        self.body_bytes = info.body_bytes
        self.size_bytes = arrow_ipc.PREFIX_BYTES + len(metadata) + info.body_bytes
        self.xxh3 = xxh3

    def body(self) -> Iterator[Piece]:
        """The body in pieces. Raises `StorageFailed` if they cannot be read back."""
        return self._content.parts()

    def message(self) -> bytes:
        """The whole message, joined: for small ones."""
        return b"".join((arrow_ipc.prefix(len(self.metadata)), self.metadata, *self.body()))

    def discard(self) -> None:
        """Give memory and file back; again is harmless. The store does this for payloads that it was given."""
        self._content.discard()


class WholePayload(StagedPayload):
    """A small one that came in one piece and was checked, to be appended before the next await: nobody counts its memory meanwhile."""

    def __init__(self, message: bytes, metadata_bytes: int, info: arrow_ipc.BatchInfo) -> None:
        body_at = arrow_ipc.PREFIX_BYTES + metadata_bytes
        super().__init__(_Whole(message, body_at), message[arrow_ipc.PREFIX_BYTES : body_at], info, self.digest(message))
        self._message = message

    @staticmethod
    def digest(message: bytes) -> int:
        return xxhash.xxh3_64_intdigest(message)

    def message(self) -> bytes:
        return self._message


class _Whole:
    """The body in a message that is there anyway."""

    def __init__(self, message: bytes, body_at: int) -> None:
        self._message = message
        self._body_at = body_at

    def parts(self) -> Iterator[Piece]:
        yield memoryview(self._message)[self._body_at :]

    def discard(self) -> None:
        return


class IncomingPayload:
    """A payload that is still arriving. One of `finish` and `discard` ends it. `xxh3` is that of the message, where it is known already."""

    def __init__(self, staging: Staging, xxh3: int | None = None) -> None:
        self._content = _Content(staging)
        self._xxh3 = xxh3
        self._hash = xxhash.xxh3_64()
        self._head = bytearray()
        self._metadata_end: int | None = None
        self._size_bytes = 0

    def write(self, chunk: Piece) -> None:
        """The next bytes of the message, at most a stream frame's worth.

        Raises `InvalidArgument` as soon as they cannot be a message, `ValueTooLarge` beyond `VALUE_SIZE_MAX_BYTES`,
        `StorageFailed` if a staging file cannot be written; then `discard` it.
        """
        self._size_bytes += len(chunk)
        if self._size_bytes > limits.VALUE_SIZE_MAX_BYTES:
            raise ValueTooLarge(
                f"a value has more than {limits.VALUE_SIZE_MAX_BYTES} bytes; publish it as several values (fewer rows in each)"
            )
        if self._xxh3 is None:
            self._hash.update(chunk)
        body = self._take_head(chunk)
        if body:
            self._content.add(body)

    def finish(self) -> StagedPayload:
        """The message is whole. Raises `InvalidArgument` if it is not one (`wire.arrow_ipc.check_batch`); then `discard` it."""
        if self._metadata_end is None or len(self._head) < self._metadata_end:
            raise InvalidArgument(f"an Arrow IPC message ended after {self._size_bytes} bytes, inside its metadata")
        metadata = bytes(self._head[arrow_ipc.PREFIX_BYTES :])
        info = arrow_ipc.check_batch(metadata, self._size_bytes - len(self._head))
        return StagedPayload(self._content, metadata, info, self._hash.intdigest() if self._xxh3 is None else self._xxh3)

    def discard(self) -> None:
        """It will not be finished: give memory and file back."""
        self._content.discard()

    def _take_head(self, chunk: Piece) -> Piece:
        """Gather prefix and metadata; returns what of the chunk is body."""
        if self._metadata_end is not None and len(self._head) == self._metadata_end:
            return chunk
        used = 0
        if self._metadata_end is None:
            used = min(arrow_ipc.PREFIX_BYTES - len(self._head), len(chunk))
            self._head += chunk[:used]
            if len(self._head) < arrow_ipc.PREFIX_BYTES:
                return b""
            length = arrow_ipc.metadata_length(self._head)
            if length == 0:
                raise InvalidArgument("expected an Arrow IPC record batch message, got an end mark")
            self._metadata_end = arrow_ipc.PREFIX_BYTES + length
        more = min(self._metadata_end - len(self._head), len(chunk) - used)
        self._head += chunk[used : used + more]
        return chunk[used + more :]


class _Content:
    """Bytes in memory, and behind them bytes in a file."""

    def __init__(self, staging: Staging) -> None:
        self._staging = staging
        self._parts: list[Piece] = []
        self._memory_bytes = 0
        self._file: File | None = None
        self._file_bytes = 0

    def add(self, chunk: Piece) -> None:
        if self._file is None and self._staging.reserve(len(chunk)):
            self._parts.append(chunk)
            self._memory_bytes += len(chunk)
            return
        if self._file is None:
            self._file = self._staging.make_file()
        self._file.pwrite(chunk, self._file_bytes)
        self._file_bytes += len(chunk)
        self._staging.in_files_bytes += len(chunk)

    def parts(self) -> Iterator[Piece]:
        yield from self._parts
        if self._file is not None:
            for at in range(0, self._file_bytes, limits.STORE_READ_BYTES):
                yield self._file.pread(min(limits.STORE_READ_BYTES, self._file_bytes - at), at)

    def discard(self) -> None:
        self._staging.release(self._memory_bytes)
        self._staging.in_files_bytes -= self._file_bytes
        self._memory_bytes = self._file_bytes = 0
        self._parts.clear()
        if self._file is not None:
            self._file.close()
            self._file = None


class Spool:
    """Bytes that wait in a file without a name for somebody who takes them slowly. It goes with the last reference to it, or by `close`."""

    def __init__(self, staging: Staging) -> None:
        self._held = _Held(staging, staging.make_file())
        self._let_go = weakref.finalize(self, self._held.let_go)

    def write(self, content: Piece) -> None:
        """All of it, once. Blocks: for a thread. Raises `StorageFailed`."""
        self._held.file.pwrite(content, 0)

    def count(self, size_bytes: int) -> None:
        """It was written, and has so many bytes."""
        self._held.count(size_bytes)

    def read(self, start: int, length: int) -> bytes:
        """A piece of it. Raises `StorageFailed`."""
        return self._held.file.pread(length, start)

    def close(self) -> None:
        """Give the file back; again is harmless."""
        self._let_go()


class _Held:
    """What a spool holds: apart from it, so that it is given back when nobody refers to the spool any more."""

    def __init__(self, staging: Staging, file: File) -> None:
        self._staging = staging
        self.file = file
        self._size_bytes = 0

    def count(self, size_bytes: int) -> None:
        self._size_bytes += size_bytes
        self._staging.in_files_bytes += size_bytes

    def let_go(self) -> None:
        self.count(-self._size_bytes)
        self.file.close()


class Staging:
    """All payloads that wait. `in_memory_bytes` and `in_files_bytes` are what they hold at the moment; the former is taken of `memory`."""

    def __init__(self, files: Files, directory: Path, in_memory_max_bytes: int, memory: Memory | None = None) -> None:
        self._files = files
        self._directory = directory
        self._in_memory_max_bytes = in_memory_max_bytes
        self._memory = memory
        self._made = 0
        self.in_memory_bytes = 0
        self.in_files_bytes = 0

    def clear(self) -> None:
        """Delete what an earlier process left."""
        for name in self._files.list(self._directory):
            self._files.unlink(self._directory / name)

    def stage(self, xxh3: int | None = None) -> IncomingPayload:
        return IncomingPayload(self, xxh3)

    def reserve(self, size_bytes: int) -> bool:
        """Take so much of the memory, if it is there."""
        if self.in_memory_bytes + size_bytes > self._in_memory_max_bytes:
            return False
        if self._memory is not None and not self._memory.try_take(size_bytes):
            return False
        self.in_memory_bytes += size_bytes
        return True

    def release(self, size_bytes: int) -> None:
        """Give memory back."""
        self.in_memory_bytes -= size_bytes
        if self._memory is not None and size_bytes:
            self._memory.give(size_bytes)

    def make_file(self) -> File:
        """A file without a name."""
        self._made += 1
        path = self._directory / f"{self._made:08d}.staged"
        file = self._files.create(path)
        self._files.unlink(path)
        return file
