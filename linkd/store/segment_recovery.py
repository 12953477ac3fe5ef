"""Putting segment files right after a crash: what is committed is seen, what is not is cut off or never reached. Blocking.

Shared files are not cut, whoever wrote to them or reads them may have them mapped; nothing of linkd's is behind their end marks. What lies in
volatile ones need not be there: if the power failed the values go, and a start of the home says so.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from linkd.errors import InvalidArgument, StateDamaged
from linkd.limits import MESSAGE_METADATA_MAX_BYTES
from linkd.model.frozen import frozen
from linkd.model.kept import SegmentFileHeld
from linkd.model.values import Envelope, Place
from linkd.store.files import File, Files
from linkd.store.segment_format import SPARE_SUFFIX, directory_name, file_name, file_number, filler_body_bytes
from linkd.wire import arrow_ipc


@frozen()
class _Message:
    """A message that may lack its prefix, or the filler before one: then the message that has rows begins at `gap_end`."""

    offset: int
    metadata_bytes: int = 0
    gap_end: int = 0


@dataclass(slots=True)
class _SegmentFile:
    """What is known of a file: what was durable when it was written to last, and the messages that may lack their prefixes.

    They are those of the last two syncs: the second of them made the prefixes of the first durable, if it was reached.
    """

    durable_lsn: int = -1
    messages: list[_Message] = field(default_factory=list)
    before: list[_Message] = field(default_factory=list)


class SegmentRecovery:
    """Gathers what the journal says of segments (`saw`), then makes the files agree with what is held (`repair`).

    `published` are then the files (link and number) of which a prefix may be in the page cache only: an earlier process wrote it, or this one.
    """

    def __init__(self, files: Files, directory: Path) -> None:
        self._files = files
        self._directory = directory
        self._seen: dict[tuple[str, int], _SegmentFile] = {}
        self.published: set[tuple[str, int]] = set()

    def saw(self, envelope: Envelope, place: Place, durable_lsn: int, behind: int | None = None) -> None:
        """The journal has a value in a segment; in order. `durable_lsn` was durable when it was written: it tells one sync from the next.

        `behind` is the end of what was committed in the file before it, of a shared file (0: nothing was).
        """
        file = self._seen.setdefault((envelope.link, place.file), _SegmentFile())
        if file.durable_lsn != durable_lsn:
            file.durable_lsn = durable_lsn
            file.before, file.messages = file.messages, []
        if behind is not None and behind != place.offset:
            file.messages.append(_Message(behind, gap_end=place.offset))
        file.messages.append(_Message(place.offset, place.metadata_bytes))

    def repair(
        self, held: Iterable[tuple[str, SegmentFileHeld]], leaving: Iterable[tuple[str, SegmentFileHeld]] = (), *, settled: bool = True
    ) -> tuple[str, ...]:
        """Publish what is committed, cut and delete what is not. Returns notes of what was done.

        Values of the files that are `leaving` were dropped. `settled`: volatile files of others were synced.
        Raises `StateDamaged` if a file that is held is missing or too short.
        """
        known: dict[str, dict[int, SegmentFileHeld]] = {}
        may_lack: set[tuple[str, int]] = set()
        for files, is_sure in ((held, settled), (leaving, False)):
            for link, file in files:
                known.setdefault(link, {})[file.file] = file
                if file.volatile and not is_sure:
                    may_lack.add((link, file.file))
        notes: list[str] = []
        for name in self._files.list(self._directory):
            notes += self._delete_unknown(name, known.get(name, {}))
        for name, of_link in known.items():
            for number, file in of_link.items():
                path = self._directory / directory_name(name) / file_name(number)
                is_sure = (name, number) not in may_lack
                if is_sure or self._has(path, file.end + len(arrow_ipc.EOS)):
                    messages = self._messages(name, file)
                    notes += self._repair_file(path, file, messages, sync=is_sure)
                    if messages and is_sure:
                        self.published.add((name, number))
        return tuple(notes)

    def _has(self, path: Path, size_bytes: int) -> bool:
        """Whether a file is there, and so long."""
        return path.name in self._files.list(path.parent) and self._files.size(path) >= size_bytes

    def _messages(self, link: str, file: SegmentFileHeld) -> list[_Message]:
        """The messages of a file that may lack their prefixes."""
        seen = self._seen.get((link, file.file))
        gate = [_Message(file.gate_offset, file.gate_metadata_bytes)] if file.gate_offset else []
        return gate + (seen.before + seen.messages if seen is not None else [])

    def _delete_unknown(self, link: str, known: Container[int]) -> list[str]:
        """Files that nothing durable names: made for values that were never committed, or whose values were dropped."""
        directory = self._directory / link
        unknown = [name for name in self._files.list(directory) if _number(name) is not None and _number(name) not in known]
        for name in unknown:
            self._files.unlink(directory / name)
        if unknown:
            self._files.sync_directory(directory)
        return [f"{directory / name}: deleted, nothing in it is committed and kept" for name in unknown]

    def _repair_file(self, path: Path, known: SegmentFileHeld, messages: Sequence[_Message], *, sync: bool) -> list[str]:
        """Write what is missing of prefixes and end mark, cut what is behind. The order matters no more: it is committed, or behind."""
        file = self._files.open(path, writable=True)
        try:
            end = known.end + len(arrow_ipc.EOS)
            surplus = file.size() - end
            if surplus < 0:
                raise StateDamaged(
                    f"{path} has {file.size()} bytes, but what was committed needs {end}. `linkd repair` goes on without "
                    "what is missing; or restore a backup"
                )
            changed = False
            for message in messages:
                changed |= _put_prefix(file, message)
            changed |= _put(file, arrow_ipc.EOS, known.end)
            cut = surplus > 0 and not known.shared
            if cut:
                file.truncate(end)
            if sync and (cut or changed):
                file.datasync()
        finally:
            file.close()
        return [f"{path}: cut {surplus} bytes that were not committed"] if cut else []


def _number(name: str) -> int | None:
    """The number of a segment; that of a spare file is no segment's."""
    return -1 if name.endswith(SPARE_SUFFIX) else file_number(name)


def _put_prefix(file: File, message: _Message) -> bool:
    """Write the prefix of a message unless it is there; whether it was written."""
    if not message.gap_end:
        return _put(file, arrow_ipc.prefix(message.metadata_bytes), message.offset)
    try:
        at = message.offset or arrow_ipc.PREFIX_BYTES + arrow_ipc.metadata_length(file.pread(arrow_ipc.PREFIX_BYTES, 0))
    except InvalidArgument:  # a file without its schema shows nothing; whoever reads the values says that it is damaged
        return False
    room = message.gap_end - at - arrow_ipc.PREFIX_BYTES
    if room < 0:  # the first value, right behind the schema
        return False
    metadata = file.pread(min(room, MESSAGE_METADATA_MAX_BYTES), at + arrow_ipc.PREFIX_BYTES)
    body_bytes = filler_body_bytes(metadata)
    return body_bytes is not None and _put(file, arrow_ipc.prefix(room - body_bytes), at)


def _put(file: File, data: bytes, offset: int) -> bool:
    """Write `data` unless it is there; whether it was written."""
    if file.pread(len(data), offset) == data:
        return False
    file.pwrite(data, offset)
    return True
