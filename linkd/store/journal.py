"""The journal's writing side: makes files, writes groups, syncs them. Format: `journal_format`; places: `journal_layout`.

Blocking, for the committer's thread. After `StorageFailed` from any method the journal takes nothing more: what a
failed sync left is not known, and trying again would not tell (Linux drops the dirty pages and says success).
"""

from __future__ import annotations

from pathlib import Path

from linkd.store.files import File, Files
from linkd.store.journal_format import FileHeader, encode_file_header, file_name
from linkd.store.journal_layout import Group


class Journal:
    """Writes to `directory`. `headers` are its files, in order; a new one is appended to this very list once it is durable.

    `delete_oldest` may be called from another thread than the rest.
    """

    def __init__(self, files: Files, directory: Path, preallocate_bytes: int, headers: list[FileHeader]) -> None:
        self._files = files
        self._directory = directory
        self._preallocate_bytes = preallocate_bytes
        self._headers = headers
        self._file: File | None = None
        self._allocated = 0
        self._in_doubt = False

    @property
    def files_count(self) -> int:
        return len(self._headers)

    @property
    def oldest(self) -> int:
        """Number of the first file."""
        return self._headers[0].number

    def write(self, group: Group) -> None:
        """Make the (closed) group durable: one write and one sync, two more of each for the first group of a file."""
        file = self._file_of(group)
        parts: list[bytes | bytearray] = [group.data]
        zeros = group.end - group.offset - len(group.data)
        if group.end > self._allocated:
            target = -(-group.end // self._preallocate_bytes) * self._preallocate_bytes
            zeros += target - group.end
            self._allocated = target
        if zeros:
            parts.append(bytes(zeros))
        self._in_doubt = True
        file.pwritev(parts, group.offset)
        file.datasync()
        self._in_doubt = False

    def void(self, first_lsn: int, generation: int) -> None:
        """After a failed `write`: make durable that frames from `first_lsn` on do not exist, whatever it left. A new file says so.

        If the failure came before any of the group was written, there is nothing to do.
        """
        if not self._in_doubt:
            return
        number = self._headers[-1].number + 1
        self._create(FileHeader(number, generation, first_lsn, void_from_lsn=first_lsn))

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

    def _file_of(self, group: Group) -> File:
        if group.new_file:
            self._create(group.file)
        if self._file is None:
            self._file = self._files.open(self._directory / file_name(group.file.number), writable=True)
            self._allocated = self._file.size()
        return self._file

    def _create(self, header: FileHeader) -> None:
        """A new file with its first zeros; header and name are durable before anything else is written to it."""
        self.close()
        file = self._files.create(self._directory / file_name(header.number))
        self._file = file
        file.pwritev((encode_file_header(header), bytes(self._preallocate_bytes)), 0)
        self._allocated = file.size()
        file.datasync()
        self._files.sync_directory(self._directory)
        self._headers.append(header)
