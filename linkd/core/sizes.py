"""Numbers of bytes as people write them in a pipeline file: a number and a unit, `500KB`, `64MiB`, `1.5GB`."""

from __future__ import annotations

import re

_PER_UNIT = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
SIZE_PATTERN = r"[0-9]{1,15}(?:\.[0-9]{1,3})?(?:B|KB|MB|GB|TB|KiB|MiB|GiB|TiB)"
_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,3})?)\s?(B|KB|MB|GB|TB|KiB|MiB|GiB|TiB)")


def parse_size(text: str) -> int | None:
    """Bytes, or None if `text` is no size. Units are those of SI (powers of 1,000) and of IEC (powers of 1,024)."""
    found = _SIZE.fullmatch(text.strip())
    return round(float(found[1]) * _PER_UNIT[found[2]]) if found else None


def size_text(size_bytes: int) -> str:
    """The shortest way to write it exactly: in the largest unit that takes a whole number of it."""
    for unit in ("TiB", "TB", "GiB", "GB", "MiB", "MB", "KiB", "KB"):
        if size_bytes and size_bytes % _PER_UNIT[unit] == 0:
            return f"{size_bytes // _PER_UNIT[unit]}{unit}"
    return f"{size_bytes}B"
