"""Reading artifacts: nothing leaves that is not what was put. Blocking; any thread.

A small one is read as a whole and held against its digest. Of a large one each piece that is touched is, against its checksum; where these are not
known the whole is read first, against the digest.
"""

from __future__ import annotations

from linkd.errors import StateDamaged
from linkd.limits import ARTIFACT_CHUNK_BYTES, OPEN_FILES_MAX
from linkd.store.artifacts.checksums import ContentHash, digest_of_content, fits
from linkd.store.artifacts.index import ArtifactEntry, ArtifactIndex
from linkd.store.artifacts.naming import Paths
from linkd.store.artifacts.pack_format import HEAD_BYTES, decoded
from linkd.store.files import File, Files
from linkd.store.open_files import OpenFiles


class ArtifactReader:
    """Keeps the files that it reads open for a while."""

    def __init__(self, files: Files, paths: Paths, index: ArtifactIndex) -> None:
        self._paths = paths
        self._index = index
        self.open_files = OpenFiles(files, OPEN_FILES_MAX)

    def read(self, entry: ArtifactEntry, start: int, end: int) -> bytes:
        """Bytes of an artifact, of one of its pieces (`core.artifacts.pieces`). Raises StateDamaged if it is not what was put."""
        if not entry.is_whole:
            return self._packed(entry)[start:end]
        sums = self.sums(entry)
        first = start - start % ARTIFACT_CHUNK_BYTES
        last = min(first + ARTIFACT_CHUNK_BYTES, entry.kept.size_bytes)
        with self.open_files.reading(self._paths.of_whole(entry.digest)) as file:
            piece = file.pread(last - first, first)
        if len(piece) != last - first or not fits(sums, first, piece):
            raise self.damage(entry, f"its bytes {first:,} to {last:,} are not what was put")
        return piece[start - first : end - first]

    def content(self, entry: ArtifactEntry) -> bytes:
        """All of it, for one that is known to be bounded. Raises StateDamaged."""
        if not entry.is_whole:
            return self._packed(entry)
        with self.open_files.reading(self._paths.of_whole(entry.digest)) as file:
            content = file.pread(entry.kept.size_bytes, 0)
        if digest_of_content(content) != entry.digest:
            raise self.damage(entry, "its content is not what was put")
        return content

    def sums(self, entry: ArtifactEntry) -> bytes:
        """The checksums of its pieces, made anew from the content if they are not known. Raises StateDamaged if that is not what was put."""
        sums = self._index.sums(entry.digest)
        if sums is not None:
            return sums
        with self.open_files.reading(self._paths.of_whole(entry.digest)) as file:
            hashed = hash_whole(file, entry)
        if hashed.digest != entry.digest:
            raise self.damage(entry, "its content is not what was put")
        self._index.know_sums(entry.digest, hashed.sums)
        return hashed.sums

    def damage(self, entry: ArtifactEntry, what: str) -> StateDamaged:
        path = self._paths.of_whole(entry.digest) if entry.is_whole else self._paths.pack(entry.pack)
        return StateDamaged(
            f"artifact {entry.digest.hex()} in {path}: {what}. It is set aside and not served any more; put it again, from where it came from"
        )

    def _packed(self, entry: ArtifactEntry) -> bytes:
        with self.open_files.reading(self._paths.pack(entry.pack)) as file:
            data = file.pread(HEAD_BYTES + entry.kept.size_bytes, entry.offset)
        record, content = decoded(data[:HEAD_BYTES], entry.offset), data[HEAD_BYTES:]
        if record is None or record.kept.digest != entry.digest or digest_of_content(content) != entry.digest:
            raise self.damage(entry, "its content is not what was put")
        return content


def hash_whole(file: File, entry: ArtifactEntry) -> ContentHash:
    """All of a large artifact."""
    hashed = ContentHash()
    hashed.update_from(file, 0, min(entry.kept.size_bytes, file.size()))
    return hashed
