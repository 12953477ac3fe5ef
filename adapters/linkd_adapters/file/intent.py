"""What linkd is about to write into a file: said beside it first, so that after a kill its own unfinished work is told from another's.

Format: `.NAME.linkd` beside the file NAME, one line of JSON (UTF-8) filled up with blanks to 255 bytes, and LF. It lies in one sector of the
disk, so it is never half there; what cannot be read says nothing.
    generation, sequence    the value that is written; 0, 0 for a file that is replaced as a whole
    start, end              the bytes of the file that it will take
    digest                  BLAKE3 of these bytes, hexadecimal

It is synced before the file is touched, and removed when the home has recorded the work.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from linkd.durability import sync_data, sync_directory

_SIZE_BYTES = 256


@dataclass(frozen=True, slots=True)
class Intent:
    """See the module."""

    generation: int
    sequence: int
    start: int
    end: int
    digest: str

    def write(self, target: Path) -> None:
        """Say it, durably. Operating system errors pass through."""
        line = json.dumps(asdict(self), separators=(",", ":")).ljust(_SIZE_BYTES - 1) + "\n"
        path = intent_path(target)
        is_new = not path.exists()
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
        try:
            os.pwrite(descriptor, line.encode(), 0)
            sync_data(descriptor)
        finally:
            os.close(descriptor)
        if is_new:
            sync_directory(path.parent)

    @classmethod
    def read(cls, target: Path) -> Intent | None:
        """What was said last, or `None`."""
        try:
            with intent_path(target).open("rb") as file:
                intent = cls(**json.loads(file.read(_SIZE_BYTES)))
        except (OSError, ValueError, TypeError):
            return None
        numbers = (intent.generation, intent.sequence, intent.start, intent.end)
        return intent if all(isinstance(number, int) and number >= 0 for number in numbers) else None


def intent_path(target: Path) -> Path:
    return target.with_name(f".{target.name}.linkd")


def remove_intent(target: Path) -> None:
    """Nothing is about to be written any more."""
    intent_path(target).unlink(missing_ok=True)
