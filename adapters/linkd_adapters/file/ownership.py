"""Whether what stands in a sink's place is what the sink put there.

A file that is replaced is overwritten if nothing is recorded of it, as any program overwrites the output it is told to write; so a pipeline
whose state was removed runs again over its old outputs. One that *is* recorded must still be what was recorded: by size and time of its last
change, or where only the time differs (somebody has copied or touched it) by BLAKE3 over its bytes. Anything else is somebody's work, and is
overwritten only under `overwrite: true`. A file that is gone was moved away, and nobody minds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from blake3 import blake3

from linkd.errors import Conflict
from linkd.limits import FILE_DIGEST_BLOCK_BYTES
from linkd_adapters.file.intent import Intent


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sink writes: the link and the location as the person wrote them, the file itself, and whether all may be overwritten."""

    link: str
    shown: str
    target: Path
    overwrite: bool


def require_unchanged(place: Place, last: Mapping[str, str]) -> None:
    """Raise `Conflict` if the file is recorded in `last` and was changed by somebody else. Operating system errors pass through."""
    if place.overwrite or last.get("path") != str(place.target):
        return
    found = _changed_size_bytes(place.target, last)
    if found is None:
        return
    intent = Intent.read(place.target)
    if intent is not None and intent.start == 0 and intent.end == found and intent.digest == digest_of(place.target):
        return  # put in its place by a worker that was killed before the home had recorded it
    raise changed_by_somebody(place, "wrote it", last.get("size_bytes"), found, "to have it replaced")


def changed_by_somebody(place: Place, did: str, before: str | None, found: int, outcome: str) -> Conflict:
    """`out/totals.csv was changed by somebody else since linkd wrote it (120 bytes then, 133 now): move it away, or ...`"""
    then = f"{int(before):,} bytes then, {found:,} now" if before and before != str(found) else "its content is another"
    return Conflict(
        f"{place.shown} was changed by somebody else since linkd {did} ({then}): "
        f"move it away to keep it, or give links.{place.link} `overwrite: true` {outcome}"
    )


def digest_of(path: Path) -> str:
    """BLAKE3 of a file, in hexadecimal."""
    hashed = blake3()
    with path.open("rb", buffering=0) as file:
        while data := file.read(FILE_DIGEST_BLOCK_BYTES):
            hashed.update(data)
    return str(hashed.hexdigest())


def _changed_size_bytes(target: Path, last: Mapping[str, str]) -> int | None:
    """The size of the file if it is not the recorded one; `None` if it is, or is not there."""
    try:
        stat = target.stat()
    except FileNotFoundError:
        return None
    size_bytes, mtime_ns = last.get("size_bytes", str(stat.st_size)), last.get("mtime_ns", "")
    if (str(stat.st_size), str(stat.st_mtime_ns)) == (size_bytes, mtime_ns):
        return None
    if str(stat.st_size) == size_bytes and digest_of(target) == last.get("digest"):
        return None
    return stat.st_size
