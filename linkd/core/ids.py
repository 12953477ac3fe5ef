"""Identities that are computed: of values, of snapshots, of requests.

A value's id is a UUIDv8 (RFC 9562, section 5.8): 122 bits of ours around the version and variant bits. For values of a commit they are a
hash of (task version, snapshot id, output, index), so a repeat of the same work has the same ids; otherwise 48 bits of milliseconds lead,
so ids sort by time, and the rest is entropy from the edge.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from linkd.model.values import Parent


def _uuid8(sixteen: bytes) -> bytes:
    number = int.from_bytes(sixteen, "big")
    number &= ~(0xF << 76) & ~(0x3 << 62) & ((1 << 128) - 1)
    number |= (0x8 << 76) | (0x2 << 62)
    return number.to_bytes(16, "big")


def _digest(*parts: bytes) -> bytes:
    state = hashlib.blake2b(digest_size=16)
    for part in parts:
        state.update(len(part).to_bytes(8, "big"))
        state.update(part)
    return state.digest()


def derived_value_id(task_version: str, snapshot_id: bytes, output: str, index: int) -> bytes:
    """The id of the `index`-th value that a snapshot's commit adds to `output`."""
    return _uuid8(_digest(b"value", task_version.encode(), snapshot_id, output.encode(), index.to_bytes(8, "big")))


def source_value_id(link: str, generation: int, digest: str, position: bytes) -> bytes:
    """The id of the value that a source made up to `position` of what `digest` names."""
    return _uuid8(_digest(b"source", link.encode(), generation.to_bytes(8, "big"), digest.encode(), position))


def timed_value_id(now_ns: int, entropy: bytes) -> bytes:
    """A fresh id. `entropy` is 10 random bytes."""
    milliseconds = (now_ns // 1_000_000) & ((1 << 48) - 1)
    return _uuid8(milliseconds.to_bytes(6, "big") + entropy[:10])


def dead_letter_id(link: str, consumer: str, portion: Parent, token: int) -> bytes:
    """The id of the letter in `link` that says that `consumer` failed at `portion`, last under `token`."""
    return _uuid8(_digest(b"letter", link.encode(), consumer.encode(), token.to_bytes(8, "big"), *_portion_parts(portion)))


def snapshot_id(task: str, execution: int, portions: Iterable[Parent]) -> bytes:
    """The id of the snapshot of these portions: equal for every attempt, different for every execution."""
    parts = [b"snapshot", task.encode(), execution.to_bytes(8, "big")]
    for portion in portions:
        parts.extend(_portion_parts(portion))
    return _digest(*parts)


def _portion_parts(portion: Parent) -> list[bytes]:
    numbers = (portion.incarnation, portion.generation, portion.first_sequence, portion.last_sequence)
    parts = [portion.link.encode(), *(number.to_bytes(8, "big") for number in numbers)]
    if portion.first_row or portion.end_row:
        parts.extend((b"rows", portion.first_row.to_bytes(8, "big"), portion.end_row.to_bytes(8, "big")))
    return parts


def request_fingerprint(checksums: Iterable[int], final: bool) -> int:
    """Tells a repeat of a commit from another commit under the same token: over the checksums of what it adds, in order."""
    parts = [b"final" if final else b"more"]
    parts.extend(checksum.to_bytes(8, "big") for checksum in checksums)
    return int.from_bytes(_digest(*parts)[:8], "big")
