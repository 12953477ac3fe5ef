"""The journal's writing side: makes files, writes groups, syncs them. Format: `journal_format`; places: `journal_layout`.

Blocking, for the committer's thread. After `StorageFailed` from any method the journal takes nothing more: what a
failed sync left is not known, and trying again would not tell (Linux drops the dirty pages and says success). `StorageFull` comes before any
sync: the same group may be written again, from its start, and nothing else may.
"""

from __future__ import annotations

from pathlib import Path

from linkd.errors import InternalFault, StorageFull
from linkd.store.files import Bytes, File, Files
from linkd.store.journal_format import FileHeader, encode_file_header, file_name
from linkd.store.journal_layout import Group


class Journal:
    """Writes to `directory`. `headers` are its files, in order; a new one is appended to this very list once it is durable.

    All up to `durable_lsn` is there and synced. `delete_oldest` may be called from another thread than the rest.
    """

    def __init__(self, files: Files, directory: Path, preallocate_bytes: int, headers: list[FileHeader], durable_lsn: int) -> None:
        self._files = files
        self._directory = directory
        self._preallocate_bytes = preallocate_bytes
        self._headers = headers
        self._file: File | None = None
        self._allocated = 0
        self._durable_lsn = self._written_lsn = durable_lsn
        self._in_doubt = False

    @property
    def durable_lsn(self) -> int:
        """All up to this frame is synced."""
        return self._durable_lsn

    @property
    def written_lsn(self) -> int:
        """All up to this frame is written."""
        return self._written_lsn

    @property
    def files_count(self) -> int:
        return len(self._headers)

    @property
    def oldest(self) -> int:
        """Number of the first file."""
        return self._headers[0].number

    def write(self, group: Group, *, sync: bool = True) -> None:
        """Write the (ended) group: one write, another with a sync for the first group of a file. With `sync` as `sync` does, at once.

        What was written must have been synced before a group that begins a file.
        """
        group.head(self._durable_lsn)
        file = self._file_of(group)
        self._in_doubt = True
        self._put(file, group)
        self._written_lsn = group.last_lsn
        if sync:
            self.sync()

    def sync(self) -> None:
        """Make durable all that was written. All payloads in segments that belong to it must be."""
        if self._file is not None and self._in_doubt:
            self._file.datasync()
        self._durable_lsn = self._written_lsn
        self._in_doubt = False

    def void(self, generation: int) -> None:
        """After a failed `write` or `sync`: make durable that no frame behind `durable_lsn` exists, whatever was left. A new file says so.

        If there was none, for the failure came before any of it was written, there is nothing to do.
        """
        if not self._in_doubt:
            return
        first_lsn = self._durable_lsn + 1
        self._create(FileHeader(self._headers[-1].number + 1, generation, first_lsn, void_from_lsn=first_lsn))

    def delete_oldest(self) -> Path:
        """Nothing in the first file is needed any more; there must be another one. Gone for good when this returns: no gap can come of it."""
        path = self._directory / file_name(self._headers[0].number)
        del self._headers[0]
        self._files.unlink(path)
        self._files.sync_directory(self._directory)
        return path

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _put(self, file: File, group: Group) -> None:
        """The group, and zeros ahead of it where the file ends: as many as there should be, or only to the next page if there is no room."""
        parts: list[Bytes] = [group.data]
        padding = group.end - group.offset - len(group.data)
        if group.end > self._allocated:
            target = -(-group.end // self._preallocate_bytes) * self._preallocate_bytes
            try:
                file.pwritev([*parts, bytes(padding + target - group.end)], group.offset)
            except StorageFull:
                target = group.end
                file.pwritev([*parts, bytes(padding)] if padding else parts, group.offset)
            self._allocated = target
            return
        file.pwritev([*parts, bytes(padding)] if padding else parts, group.offset)

    def _file_of(self, group: Group) -> File:
        if group.new_file and self._headers[-1:] != [group.file]:
            if self._in_doubt:
                raise InternalFault("a journal file was begun before the one before it was synced")
            self._create(group.file)
        if self._file is None:
            self._file = self._files.open(self._directory / file_name(group.file.number), writable=True)
            self._allocated = self._file.size()
        return self._file

    def _create(self, header: FileHeader) -> None:
        """A new file with its first zeros; header and name are durable before anything else is written to it."""
        self.close()
        self._file = create_file(self._files, self._directory, header, self._preallocate_bytes)
        self._allocated = self._file.size()
        self._headers.append(header)


def create_file(files: Files, directory: Path, header: FileHeader, preallocate_bytes: int) -> File:
    """A new journal file with its first zeros; when this returns its header and its name are durable."""
    path = directory / file_name(header.number)
    file = files.create(path)
    try:
        file.pwritev((encode_file_header(header), bytes(preallocate_bytes)), 0)
    except StorageFull:
        file.close()
        files.unlink(path)  # to be tried again; a name that is left is no loss, for nothing is in the file
        raise
    file.datasync()
    files.sync_directory(directory)
    return file
