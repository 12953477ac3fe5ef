"""Putting aside what a consumer has failed at: the rows of its dead letters are made and staged, then one frame has them and settles."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress

from linkd.core.artifact_references import ATTRIBUTE, attribute_of, references_of
from linkd.core.dead_letters import Letter, bury, opening
from linkd.errors import LinkNotFound, StateDamaged
from linkd.home.home import Home
from linkd.home.intake import ARROW, Incoming, Prepared, Target, discard, prepare
from linkd.limits import ARTIFACT_REFERENCES_MAX, DEAD_LETTER_PAYLOAD_MAX_BYTES
from linkd.model.artifacts import ArtifactReference
from linkd.model.records import Record
from linkd.model.values import OUTSIDER, Parent
from linkd.store.committer import Committed
from linkd.wire.arrow_ipc import prefix, schema_id

_END_OF_STREAM = b"\xff\xff\xff\xff\x00\x00\x00\x00"


async def put_aside(
    home: Home, link: str, letters: Sequence[Letter], settles: Callable[[], Sequence[Record] | None], task: str = OUTSIDER
) -> asyncio.Future[Committed] | None:
    """Writes `letters` to the dead-letter link `link` (of `task`, if it is one's), and in the same frame what `settles` says then.

    `settles` is asked when the frame is decided; None says that there is nothing to put aside any more (the portions were settled meanwhile), and
    is what is returned. Else the frame's future, as `Home.admit` gives it.
    """
    prepared: list[Prepared] = []
    try:
        schema = b""
        for letter in letters:
            payload = await _payload(home, letter.portion)
            schema, row = await asyncio.to_thread(_encoded, letter, payload)
            incoming = Incoming(link, ARROW, (row,), schema, attributes=_artifacts(home, letter.portion))
            prepared += await prepare(home, incoming, Target(schema_id(schema), schema, declared=True))
        await home.room()
        settling = settles()
        if settling is None:
            return None
        now_ns = home.clock.now_ns()
        opened = opening(home.ledger, link, (schema_id(schema), schema), now_ns, task)
        if opened:
            home.admit(opened, durable=False)
        drafts = [(letter, one.draft) for letter, one in zip(letters, prepared, strict=True)]
        future = home.admit(bury(home.ledger, drafts, settling, now_ns, task), [one.payload for one in prepared])
        prepared.clear()  # the store's now
        return future
    finally:
        discard(prepared)


def _artifacts(home: Home, portion: Parent) -> dict[str, str]:
    """The attribute of a letter that names what its values name, as many as one may: these artifacts stay as long as the letter does."""
    found: dict[bytes, ArtifactReference] = {}
    for envelope, _ in home.store.values(portion.link, portion.first_sequence, portion.last_sequence):
        if ATTRIBUTE not in envelope.attributes:
            continue
        for one in references_of(envelope.attributes):
            with suppress(LinkNotFound):  # lost: the letter says what it was
                home.artifacts.store.need(one.digest)
                found[one.digest] = ArtifactReference(one.digest, one.size_bytes, is_directory=one.is_directory)
    return attribute_of(list(found.values())[:ARTIFACT_REFERENCES_MAX]) if found else {}


async def _payload(home: Home, portion: Parent) -> bytes | None:
    """The values of the portion as an Arrow IPC stream; None where a letter tells their name only: see `core.dead_letters`."""
    pieces: list[bytes | memoryview] = []
    size_bytes = 0
    schema = b""
    expected = portion.first_sequence
    for envelope, place in home.store.values(portion.link, portion.first_sequence, portion.last_sequence):
        size_bytes += envelope.size_bytes
        if envelope.position.sequence != expected or size_bytes > DEAD_LETTER_PAYLOAD_MAX_BYTES:
            return None
        expected += 1
        try:
            of_value = home.ledger.schema_of(envelope)
            if schema and of_value != schema:
                return None
            schema = of_value
            metadata, body = await home.store.read_payload(envelope, place)
        except (LinkNotFound, StateDamaged):  # dropped, or lost: the letter says which it was, and that is all there is to say
            return None
        pieces += [prefix(len(metadata)), metadata, body]
    if expected != portion.last_sequence + 1 or not pieces:
        return None
    return b"".join((schema, *pieces, _END_OF_STREAM))


def _encoded(letter: Letter, payload: bytes | None) -> tuple[bytes, bytes]:
    """The schema message and the payload of the letter's row, by way of pyarrow."""
    from linkd.core.dead_letter_rows import letter_row
    from linkd.core.payload import payload as encoded

    schema, row = encoded(letter_row(letter, payload))
    return schema, bytes(row)
