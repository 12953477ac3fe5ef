"""Where a source goes on: the position that is committed with each batch.

Format: compact JSON, UTF-8, one object with
    digest      BLAKE3 of the file as stored, 64 hexadecimal digits: the position means nothing in another file
    row         rows read before it, rejected ones too
    rejected    how many of them were rejected
    offset      CSV: bytes of the unpacked content before the next row; Parquet: 0
    line        CSV: number of the line, from 1, in which the byte at `offset` lies; Parquet: 0
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields

from linkd.errors import SourceChanged, StateDamaged


@dataclass(frozen=True, slots=True)
class FilePosition:
    digest: str
    row: int
    rejected: int
    offset: int = 0
    line: int = 0

    def encode(self) -> bytes:
        return json.dumps(asdict(self), separators=(",", ":")).encode()


def position_in(shown: str, digest: str, encoded: bytes) -> FilePosition:
    """The position in the file of this digest, named `shown` to the person.

    Raises `SourceChanged` if it belongs to another file, `StateDamaged` if it is none.
    """
    try:
        position = FilePosition(**json.loads(encoded))
    except (ValueError, TypeError) as error:
        raise _damaged(shown, str(error)) from error
    numbers = [getattr(position, field.name) for field in fields(position) if field.name != "digest"]
    if not all(isinstance(number, int) and number >= 0 for number in numbers):
        raise _damaged(shown, "impossible numbers")
    if position.digest != digest:
        raise SourceChanged(f"{shown} is not the file that was read before; run again to read it anew")
    return position


def _damaged(shown: str, how: str) -> StateDamaged:
    remedy = "remove the directory of this pipeline under .linkd to start over"
    return StateDamaged(f"{shown}: the position kept for this source cannot be read ({how}); {remedy}")
