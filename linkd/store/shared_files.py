"""Segment files that their publishers write themselves."""

from __future__ import annotations

from dataclasses import dataclass

from linkd.store.staging import StagedPayload


@dataclass(frozen=True, slots=True)
class SharedFile:
    """What a writer session holds."""

    id: int
    link: str
    number: int
    schema_id: bytes
    generation: int
    volatile: bool
    start: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Located:
    """Where a value lies, for a reader that maps the file."""

    id: int
    size_bytes: int
    offset: int
    body_bytes: int
    metadata: bytes


class PlacedPayload(StagedPayload):
    """A payload that its publisher wrote into a shared file."""
