"""What a check of a directory finds, as values: where, what is wrong there, what it means for the data. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from linkd.model.frozen import frozen


@frozen()
class Finding:
    """One thing that is not as it was written.

    `meaning` says what that is for the data. `link`, `first` and `last` name the values concerned, as far as they are known (0: they are not).
    With `harmless` nothing is lost by it, and the next start of linkd goes on without being asked.
    """

    file: Path
    what: str
    meaning: str
    offset: int | None = None
    link: str = ""
    first: int = 0
    last: int = 0
    harmless: bool = False


@dataclass(slots=True)
class Verification:
    """What was read, and what is wrong with it. `running` says that a home has the directory, so that only what it is done with was read."""

    directory: Path
    running: bool = False
    files: int = 0
    size_bytes: int = 0
    frames: int = 0
    values: int = 0
    rows: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def damage(self) -> list[Finding]:
        """The findings that are no harmless ones."""
        return [finding for finding in self.findings if not finding.harmless]


def ranges(sequences: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Ascending numbers as ranges (first, last)."""
    first = last = None
    for sequence in sequences:
        if first is None or last is None:
            first = last = sequence
        elif sequence == last + 1:
            last = sequence
        else:
            yield first, last
            first = last = sequence
    if first is not None and last is not None:
        yield first, last


SICK_DISK = "nothing is lost, for nothing reads these bytes; but a disk that changes bytes will change others"
INDEX_ONLY = "nothing is lost: the index can be made again from the rest"
