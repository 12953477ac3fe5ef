"""What a task made of a snapshot, remembered by the content of the snapshot. Pure.

A program that is given the same again makes the same again. So what came of a snapshot is remembered by a digest of that, and where the same comes
again (after an edit of one input file of a hundred, of a program and back, in another run) it is committed again without running anything. The
digest is 32 bytes, the BLAKE3 of parts, each behind its length (8 bytes, big-endian):

    "linkd memo 1"
    what runs           a text from whoever runs it: the version of the task, its parameters and its wires
    "partial" or ""     a window was cut short by the end of its input
    then for each input, in the order of the wiring:
    name of the link
    number of values    8 bytes, big-endian
    schema message      of an input without values, else nothing
    for each value:     its digest, then the first of its rows that belong to the snapshot and the one behind the last, 8 bytes each

The digest of a value is the BLAKE3 of its schema message, of the attributes that say what its content is (those of linkd: `linkd.artifacts`; as a
JSON object, keys sorted, without white space) and of its payload (one Arrow IPC message, as published), each behind its length. It says nothing of
where the value lies, in which generation, when and by whom it was made or out of which file. Equal digests are equal content; content that was
written in another way has another digest, and is worked at again.

To read gigabytes only to learn that nothing is known of them would take longer than some programs. So an outcome is found by a *key*, the same
over what envelopes say of the values (schema id, payload xxh3, size), which nobody has to read anything for; and counts if the digest of the
content is the one that was kept with it.

Values that were recalled have the attribute `linkd.remembered`, the name of the value that a program made; it is not part of a digest.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from linkd.model.frozen import frozen
from linkd.model.values import Envelope, Position

REMEMBERED = "linkd.remembered"
"""The attribute of a value that was made once and recalled since."""
_OURS = "linkd."
_LABEL = b"linkd memo 1"
_COUNT_BYTES = 8


@frozen()
class SnapshotInput:
    """One input of a snapshot: for each value its digest (or outline) and its rows (the first, and the one behind the last).

    `schema` counts where there is no value.
    """

    link: str
    values: tuple[tuple[bytes, int, int], ...]
    schema: bytes = b""


def memo_key(runs: str, inputs: Iterable[SnapshotInput], *, partial: bool = False) -> bytes:
    """The digest, or the key, of a snapshot of these inputs for what `runs` makes of it."""
    from blake3 import blake3  # only where something is remembered: an idle home has no use for it

    state = blake3()
    for part in (_LABEL, runs.encode(), b"partial" if partial else b""):
        state.update(_count(len(part)) + part)
    for one in inputs:
        name = one.link.encode()
        schema = one.schema if not one.values else b""
        state.update(_count(len(name)) + name + _count(len(one.values)) + _count(len(schema)) + schema)
        for digest, first, end in one.values:
            state.update(digest + _count(first) + _count(end))
    return state.digest()


def outline(envelope: Envelope) -> bytes:
    """What is known of the content of a value without reading it: 32 bytes, equal for equal content."""
    from blake3 import blake3

    said = _said(envelope.attributes)
    numbers = envelope.payload_xxh3.to_bytes(8, "big") + _count(envelope.size_bytes) + _count(envelope.rows)
    return blake3(_count(len(envelope.schema_id)) + envelope.schema_id + numbers + said).digest()


class ValueDigest:
    """The digest of one value: `update` takes its payload, piece by piece, of `size_bytes` together."""

    def __init__(self, schema: bytes, attributes: Mapping[str, str], size_bytes: int) -> None:
        from blake3 import blake3

        said = _said(attributes)
        self._state = blake3(_count(len(schema)) + schema + _count(len(said)) + said + _count(size_bytes))

    def update(self, piece: bytes | memoryview) -> None:
        self._state.update(piece)

    def digest(self) -> bytes:
        """32 bytes, when all of the payload was taken."""
        return self._state.digest()


@frozen()
class RememberedValue:
    """A value of an outcome: what it is, and where its payload is found again.

    That is here (`payload`), or it is the value of this `value_id` at `position` in the link, as long as that is kept. `made_as` is the name of
    the value that a program made.
    """

    link: str
    schema_id: bytes
    schema: bytes
    attributes: Mapping[str, str]
    rows: int
    size_bytes: int
    payload_xxh3: int
    position: Position
    value_id: bytes
    made_as: str
    payload: bytes | None = None


@frozen()
class Outcome:
    """All that came of a snapshot, in the order in which it was published: nothing, perhaps. `content` is the digest of the snapshot."""

    task: str
    content: bytes
    values: tuple[RememberedValue, ...]

    @property
    def is_here(self) -> bool:
        """Whether it is found again without anything that a link keeps."""
        return all(value.payload is not None for value in self.values)

    @property
    def inlined_bytes(self) -> int:
        return sum(len(value.payload) for value in self.values if value.payload is not None)


def outputs_that_differ(before: Outcome, after: Outcome) -> list[str]:
    """The links to which another run of the same published something else, byte for byte, by name."""
    links = {value.link for value in (*before.values, *after.values)}
    return sorted(link for link in links if _published(before.values, link) != _published(after.values, link))


def _published(values: Sequence[RememberedValue], link: str) -> list[tuple[object, ...]]:
    return [
        (value.schema_id, value.rows, value.size_bytes, value.payload_xxh3, {**value.attributes, REMEMBERED: ""})
        for value in values
        if value.link == link
    ]


def _said(attributes: Mapping[str, str]) -> bytes:
    """What the attributes say of the content."""
    told = {name: text for name, text in attributes.items() if name.startswith(_OURS) and name != REMEMBERED}
    return json.dumps(told, sort_keys=True, separators=(",", ":")).encode()


def _count(number: int) -> bytes:
    return number.to_bytes(_COUNT_BYTES, "big")
