"""The names of files under `artifacts/`, and what a start makes of those in `aside/`.

    aside/%016x.part    what came of an upload: goes at every start
    aside/DIGEST        a large artifact on its way to `whole/`, complete and synced; or on its way out of it. If the index has it, it belongs
                        there, else it goes

So a crash on either way leaves either the one or the other, without a look at all of `whole/`.
"""

from __future__ import annotations

import re
from pathlib import Path

from linkd.model.frozen import frozen

FOLDER = "artifacts"
INDEX_FILE = "index.db"
UPLOAD_SUFFIX = ".part"
_PACK = re.compile(r"(\d{8})\.pack")
_DIGEST = re.compile(r"[0-9a-f]{64}")


@frozen()
class Paths:
    """The places in an artifact directory. `quarantine` is the home's."""

    directory: Path

    @property
    def packs(self) -> Path:
        return self.directory / "packs"

    @property
    def whole(self) -> Path:
        return self.directory / "whole"

    @property
    def aside(self) -> Path:
        return self.directory / "aside"

    def pack(self, number: int) -> Path:
        return self.packs / f"{number:08d}.pack"

    def of_whole(self, digest: bytes) -> Path:
        return self.whole / digest.hex()

    def on_its_way(self, digest: bytes) -> Path:
        return self.aside / digest.hex()

    def upload(self, number: int) -> Path:
        return self.aside / f"{number:016x}{UPLOAD_SUFFIX}"


def pack_number(name: str) -> int | None:
    """Of a pack file; None for another name."""
    found = _PACK.fullmatch(name)
    return int(found[1]) if found else None


def digest_in(name: str) -> bytes | None:
    """The digest that a file is named by; None for another name."""
    return bytes.fromhex(name) if _DIGEST.fullmatch(name) else None
