"""Where a source goes on: the position that is committed with each batch.

Format: compact JSON, UTF-8, one object with
    digest      that of the survey, 64 hexadecimal digits: the position means nothing in another source
    row         rows read before it, rejected ones too
    rejected    how many of them were rejected
    offset      text: bytes of the unpacked content, as UTF-8, before the next row of its file; other formats: 0
    line        text: number of the line of its file, from 1, in which the byte at `offset` lies; other formats: 0
    file        which of the source's files is read next, from 0, in the order of the survey; absent is 0
    earlier     rows of the files before that one; absent is 0
    size_bytes  of a source of one file: how large it was, so that `digest` is that of as many bytes of what it may grow into; absent is 0
    taken       of a directory, behind the last row of a file: the files that were read, [[name, BLAKE3], ...]; absent is none
    name        of a directory that is followed: the file that is read in part (`directory_follow`); absent is ""
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields, replace

from linkd.errors import SourceChanged, StateDamaged
from linkd_adapters.file.reader import FileBatch, Place


@dataclass(frozen=True, slots=True)
class FilePosition:
    digest: str
    row: int = 0
    rejected: int = 0
    offset: int = 0
    line: int = 0
    file: int = 0
    earlier: int = 0
    size_bytes: int = 0
    taken: tuple[tuple[str, str], ...] = ()
    name: str = ""

    @property
    def place(self) -> Place:
        """The place within the file that is read next."""
        return Place(self.row - self.earlier, self.offset, self.line)

    def behind(self, batch: FileBatch, *, final: bool) -> FilePosition:
        """The position behind the next batch of that file: behind its last one in the next file, unless that one is `final`."""
        row, rejected = self.row + batch.rows, self.rejected + len(batch.rejects)
        if batch.is_last and not final:
            return FilePosition(self.digest, row, rejected, file=self.file + 1, earlier=row)
        after = batch.after
        return FilePosition(self.digest, row, rejected, after.offset, after.line, self.file, self.earlier, self.size_bytes)

    def encode(self) -> bytes:
        said = asdict(self)
        for name in ("taken", "name"):
            if not said[name]:
                del said[name]
        return json.dumps(said, separators=(",", ":")).encode(errors="surrogateescape")


def position_in(shown: str, digest: str, encoded: bytes) -> FilePosition:
    """The position in the source of this digest, named `shown` to the person.

    Raises `SourceChanged` if it belongs to another source, `StateDamaged` if it is none.
    """
    position = decoded_position(shown, encoded)
    if position.digest != digest:
        raise SourceChanged(f"{shown} is not the file that was read before; run again to read it anew")
    return position


def decoded_position(shown: str, encoded: bytes) -> FilePosition:
    """The position, in whichever source. Raises `StateDamaged` if it is none."""
    try:
        position = FilePosition(**json.loads(encoded))
        position = replace(position, taken=tuple((str(name), str(digest)) for name, digest in position.taken))
    except (ValueError, TypeError) as error:
        raise position_damaged(shown, str(error)) from error
    numbers = [getattr(position, field.name) for field in fields(position) if field.name not in ("digest", "taken", "name")]
    if not all(isinstance(number, int) and number >= 0 for number in numbers) or position.earlier > position.row:
        raise position_damaged(shown, "impossible numbers")
    return position


def was_followed(shown: str, encoded: bytes) -> bool:
    """Whether it is the position of a directory, with what was taken of it: of one that was followed, or read to its end."""
    position = decoded_position(shown, encoded)
    return bool(position.taken or position.name)


def position_damaged(shown: str, how: str) -> StateDamaged:
    """The error for a position that cannot be read."""
    remedy = "remove the directory of this pipeline under .linkd to start over"
    return StateDamaged(f"{shown}: the position kept for this source cannot be read ({how}); {remedy}")
