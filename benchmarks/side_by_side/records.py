"""Small records as they are measured everywhere: about 100 bytes, every one different, made before the clock runs."""

from __future__ import annotations

import random
from typing import Any

RECORD_BYTES = 100
MESSAGE_ROWS = 1_000
"""Records in a message of somebody who packs them himself."""
STAMP_BYTES = 8
_TEXT_CHARS = 72
"""With three numbers of 8 bytes and a length of 4 these are the 100 bytes."""


def byte_records(count: int, seed: int) -> list[bytes]:
    return cut(random.Random(seed).randbytes(count * RECORD_BYTES), RECORD_BYTES)


def messages(count: int, seed: int) -> list[bytes]:
    """`MESSAGE_ROWS` records in one piece each, packed already."""
    source = random.Random(seed)
    return [source.randbytes(MESSAGE_ROWS * RECORD_BYTES) for _ in range(count)]


def dict_records(count: int, seed: int) -> list[dict[str, Any]]:
    """Four fields: two integers, a float, a text."""
    text = random.Random(seed).randbytes(count * _TEXT_CHARS // 2).hex()
    texts = [text[start : start + _TEXT_CHARS] for start in range(0, len(text), _TEXT_CHARS)]
    return [{"id": seed + number, "at": number * 1_000, "value": number / 7, "text": text} for number, text in enumerate(texts)]


def tuple_records(count: int, seed: int) -> list[tuple[Any, ...]]:
    """The same without names."""
    return [tuple(record.values()) for record in dict_records(count, seed)]


def stamped(now_ns: int) -> bytes:
    """A record that says when it was made."""
    return now_ns.to_bytes(STAMP_BYTES, "little").ljust(RECORD_BYTES, b".")


def stamp_of(record: bytes) -> int:
    return int.from_bytes(record[:STAMP_BYTES], "little")


def cut(block: bytes, size_bytes: int) -> list[bytes]:
    return [block[start : start + size_bytes] for start in range(0, len(block), size_bytes)]
