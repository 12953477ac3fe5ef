"""A file system in memory that loses power: `linkd.store.files.Files` for simulations.

It keeps what is durable apart from what was only written. `crash(seed)` gives the file system as a power cut may leave
it:

  * of each file, every 512-byte sector is as one of the writes to it since the last sync left it, or as it was then:
  the page cache holds
    whole sectors, so a later write never lands without the earlier ones to the same sector; sectors are independent of
    each other;
  * its length is one of those it had since the last sync; what was never written is zeros;
  * every creation, rename and deletion that its directory was not synced after has happened or not, independently.

Power can also fail at a chosen call (`cut_power_after`), a call can be refused (`refuse`), a sync can fail (`fail_a_sync`), there may be no
more room (`fill`), a bit can flip (`flip`), and the process alone may end (`kill`): then what it has written is there, synced or not.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from linkd.errors import StateDamaged, StorageFailed, StorageFull
from linkd.model.frozen import frozen
from linkd.store.files import Bytes, File

SECTOR_BYTES = 512


@dataclass(slots=True)
class _Node:
    """A file: what programs see, what is durable, and the writes and lengths in between. A directory has no content."""

    live: bytearray = field(default_factory=bytearray)
    durable: bytes = b""
    writes: list[tuple[int, bytes]] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    directory: bool = False

    def write(self, data: bytes, offset: int) -> None:
        if len(self.live) < offset + len(data):
            self.live.extend(bytes(offset + len(data) - len(self.live)))
            self.lengths.append(len(self.live))
        self.live[offset : offset + len(data)] = data
        self.writes.append((offset, data))

    def truncate(self, length: int) -> None:
        if length < len(self.live):
            self.writes.append((length, bytes(len(self.live) - length)))
            del self.live[length:]
        else:
            self.live.extend(bytes(length - len(self.live)))
        self.lengths.append(length)

    def sync(self) -> None:
        self.durable = bytes(self.live)
        self.writes.clear()
        self.lengths.clear()

    def survive(self, chance: random.Random) -> bytes:
        """Durable content with a legal part of the rest."""
        longest = max([len(self.durable), *self.lengths, *(offset + len(data) for offset, data in self.writes)])
        content = bytearray(self.durable) + bytes(longest - len(self.durable))
        pieces: dict[int, list[tuple[int, bytes]]] = {}
        for offset, data in self.writes:
            for at, piece in _sectors(offset, data):
                pieces.setdefault(at // SECTOR_BYTES, []).append((at, piece))
        for written in pieces.values():
            for at, piece in written[: chance.randint(0, len(written))]:
                content[at : at + len(piece)] = piece
        length = chance.choice([len(self.durable), *self.lengths])
        return bytes(content[:length])


def _sectors(offset: int, data: bytes) -> list[tuple[int, bytes]]:
    """The write cut where sectors begin."""
    first = offset - offset % SECTOR_BYTES
    pieces = []
    for at in range(first, offset + len(data), SECTOR_BYTES):
        start, end = max(at, offset), min(at + SECTOR_BYTES, offset + len(data))
        pieces.append((start, data[start - offset : end - offset]))
    return pieces


@frozen()
class _NameChange:
    """A change of a directory: `node` is now under `name` (nothing is, if it is `None`) and no longer under `former`."""

    name: str
    node: _Node | None
    former: str | None = None


class FaultyFiles:
    """A file system in memory; see the head of the file. Not for use by several threads at once."""

    def __init__(self) -> None:
        self._names: dict[str, _Node] = {}
        self._inside: dict[str, set[str]] = {}
        self._durable: dict[str, _Node] = {}
        self._changes: dict[str, list[_NameChange]] = {}
        self._calls_left: int | None = None
        self._refused: dict[str, str] = {}
        self._bad_syncs = 0
        self._room_bytes: int | None = None
        self.calls = 0

    # -- faults ---------------------------------------------------------------------------------------------------------------------------

    def cut_power_after(self, calls: int) -> None:
        """Power fails at the `calls`-th call from now that would change something; that one and all after it raise `StorageFailed`."""
        if self._calls_left is None or self._calls_left >= 0:  # no power comes back to a process that was without
            self._calls_left = calls

    def refuse(self, operation: str, reason: str) -> None:
        """From now on `operation` (write, sync, create, ...) raises `StorageFailed` with this reason."""
        self._refused[operation] = reason

    def fail_a_sync(self) -> None:
        """The next sync of a file fails, once. What it should have made durable may be or not, and no later sync tells."""
        self._bad_syncs += 1

    def fill(self, room_bytes: int | None) -> None:
        """Files may grow by so much yet; `None`: as much as they like. Content that is there may be overwritten."""
        self._room_bytes = room_bytes

    @property
    def may_grow(self) -> bool:
        """Whether files may grow as much as they like."""
        return self._room_bytes is None

    def kill(self) -> FaultyFiles:
        """What another process finds on the same boot."""
        after = FaultyFiles()
        after._names, after._inside, after._durable, after._changes = self._names, self._inside, self._durable, self._changes
        return after

    def flip(self, path: Path, offset: int, bit: int = 0) -> None:
        """A bit of the medium changes, durably and unnoticed."""
        node = self._names[str(path)]
        node.live[offset] ^= 1 << bit
        node.sync()

    def crash(self, seed: int) -> FaultyFiles:
        """What another process finds after the power came back."""
        chance = random.Random(seed)
        names = dict(self._durable)
        for changes in self._changes.values():
            for change in changes:
                if chance.random() < 0.5:
                    continue
                if change.former is not None:
                    if names.get(change.former) is not change.node:
                        continue
                    del names[change.former]
                if change.node is None:
                    names.pop(change.name, None)
                else:
                    names[change.name] = change.node
        after = FaultyFiles()
        for name in sorted(names, key=lambda name: name.split("/")):
            parent = _parent(name)
            if parent in after._names or parent not in self._names:
                node, old = _Node(directory=names[name].directory), names[name]
                node.live = bytearray(old.survive(chance))
                node.sync()
                after._names[name] = node
                after._inside.setdefault(parent, set()).add(name)
        after._durable = dict(after._names)
        return after

    def _step(self, operation: str, path: str) -> None:
        self.calls += 1
        if operation in self._refused:
            raise StorageFailed(f"cannot {operation} {path}: {self._refused[operation]}")
        if self._calls_left is not None:
            self._calls_left -= 1
            if self._calls_left < 0:
                raise StorageFailed(f"cannot {operation} {path}: power is cut")

    def _take_room(self, growth_bytes: int) -> int:
        """A file grows; by how much it cannot."""
        if self._room_bytes is None or growth_bytes <= 0:
            return 0
        lacking = max(growth_bytes - self._room_bytes, 0)
        self._room_bytes -= growth_bytes - lacking
        return lacking

    def _power_cut_now(self) -> bool:
        """Whether the very call at hand is the one in which power fails: it may have reached the medium in part."""
        return self._calls_left == 0

    # -- Files ----------------------------------------------------------------------------------------------------------------------------

    def make_directory(self, path: Path) -> None:
        if str(path) not in self._names:
            self._change("create", _NameChange(str(path), _Node(directory=True)))

    def list(self, path: Path) -> list[str]:
        return sorted(name.rpartition("/")[2] for name in self._inside.get(str(path), ()))

    def create(self, path: Path) -> File:
        name = str(path)
        if name in self._names:
            raise StorageFailed(f"cannot create {path}: File exists")
        if _parent(name) not in self._names:
            raise StateDamaged(f"cannot create {path}: its directory is not there")
        node = _Node()
        self._change("create", _NameChange(name, node))
        return _FaultyFile(self, name, node)

    def open(self, path: Path, *, writable: bool = False) -> File:
        return _FaultyFile(self, str(path), self._node(path))

    def size(self, path: Path) -> int:
        return len(self._node(path).live)

    def rename(self, source: Path, target: Path) -> None:
        self._change("rename", _NameChange(str(target), self._node(source), str(source)))

    def unlink(self, path: Path) -> None:
        self._node(path)
        self._change("delete", _NameChange(str(path), None))

    def sync_directory(self, path: Path) -> None:
        self._step("sync", str(path))
        for change in self._changes.pop(str(path), []):
            _apply(self._durable, change)

    def _node(self, path: Path) -> _Node:
        node = self._names.get(str(path))
        if node is None:
            raise StateDamaged(f"cannot open {path}: it is not there")
        return node

    def _change(self, operation: str, change: _NameChange) -> None:
        dying = self._power_cut_now()
        if not dying:
            self._step(operation, change.name)
        _apply(self._names, change)
        for name in (change.name, change.former or change.name):
            inside = self._inside.setdefault(_parent(name), set())
            (inside.add if name in self._names else inside.discard)(name)
        self._changes.setdefault(_parent(change.name), []).append(change)
        if dying:
            self._step(operation, change.name)


def _parent(name: str) -> str:
    head, slash, _ = name.rpartition("/")
    return head or slash or "."


def _apply(names: dict[str, _Node], change: _NameChange) -> None:
    if change.former is not None:
        names.pop(change.former, None)
    if change.node is None:
        names.pop(change.name, None)
    else:
        names[change.name] = change.node


class _FaultyFile:
    def __init__(self, files: FaultyFiles, path: str, node: _Node) -> None:
        self._files = files
        self._path = path
        self._node = node

    def pread(self, length: int, offset: int) -> bytes:
        return bytes(self._node.live[offset : offset + length])

    def pwrite(self, data: Bytes, offset: int) -> None:
        dying = self._files._power_cut_now()
        if not dying:
            self._files._step("write", self._path)
        lacking = self._files._take_room(offset + len(data) - len(self._node.live))
        self._node.write(bytes(data)[: len(data) - lacking], offset)
        if dying:
            self._files._step("write", self._path)
        if lacking:
            raise StorageFull(f"cannot write {self._path}: No space left on device")

    def pwritev(self, parts: Sequence[Bytes], offset: int) -> None:
        self.pwrite(b"".join(parts), offset)

    def reserve(self, size_bytes: int) -> None:
        there_bytes = len(self._node.live)
        if there_bytes < size_bytes:
            self.pwrite(bytes(size_bytes - there_bytes), there_bytes)

    def begin_sync(self, start: int, size_bytes: int) -> None:
        """Whether it reached the medium nobody knows, here as there."""

    def datasync(self) -> None:
        self._files._step("sync", self._path)
        if self._files._bad_syncs:
            self._files._bad_syncs -= 1
            raise StorageFailed(f"cannot sync {self._path}: Input/output error")
        self._node.sync()

    def truncate(self, length: int) -> None:
        self._files._step("truncate", self._path)
        self._node.truncate(length)

    def size(self) -> int:
        return len(self._node.live)

    def close(self) -> None:
        """Nothing to give back."""
