"""The shortest way of a publish: one value that is small, or lies where it stays, and is stored as it came, by somebody who has published to the
link before.

Whatever is not as it usually is takes the general way (`home.publishing`), which knows what to do; here nothing waits and nothing is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from linkd.core import publishing
from linkd.core.disk import DiskState
from linkd.core.publishing import Draft, Maker
from linkd.errors import Error
from linkd.home.home import Home
from linkd.home.intake import ARROW, BYTES, Incoming, Prepared
from linkd.home.published import DueAck, due_ack
from linkd.limits import INLINE_PAYLOAD_MAX_BYTES
from linkd.model.records import ValueStored
from linkd.model.values import OUTSIDER, Producer
from linkd.store.placed_payload import PlacedPayload
from linkd.store.staging import StagedPayload, WholePayload
from linkd.wire.arrow_ipc import BatchInfo, read_message
from linkd.wire.opaque import OPAQUE_SCHEMA_MESSAGE, opaque_info, opaque_message

Place = Callable[[], PlacedPayload]
"""Takes note of where a value lies. Raises InvalidArgument, ValueTooLarge."""


@dataclass(slots=True)
class AtOnce:
    """Of one publish stream. `allowed` are the links that its client was found to be allowed to publish to, and that there are."""

    home: Home
    task: str = OUTSIDER
    traceparent: str = ""
    allowed: set[str] = field(default_factory=set)

    def publish(self, incoming: Incoming, place: Place | None = None) -> DueAck | None:
        """Publishes the value; None, and nothing is done, if it is to take the general way. `place` is asked for one without parts.

        Raises InvalidArgument for what is no message, and what `place` does.
        """
        ready = self.prepare(incoming, place)
        if ready is None:
            return None
        prepared, producer = ready
        home, clock = self.home, self.home.clock
        began_s, begun = clock.monotonic_s(), home.spans.begin(self.traceparent)
        maker = Maker(self.task, traceparent=begun.traceparent, producer=producer)
        try:
            records = publishing.publish(home.ledger, (prepared.draft,), maker, clock.now_ns(), clock.entropy(10))
            written = home.admit(records, (prepared.payload,))
        except Error:
            prepared.payload.discard()
            raise
        envelopes = [record.envelope for record in records if isinstance(record, ValueStored)]
        return due_ack(home, written, envelopes, incoming.link, 1, begun, began_s)

    def prepare(self, incoming: Incoming, place: Place | None = None) -> tuple[Prepared, Producer] | None:
        """The value as it can be admitted before the next await, and the producer with its digest; None: the general way.

        Raises as `publish`.
        """
        link = incoming.link
        if link not in self.allowed or incoming.attributes or incoming.placed is not None:
            return None
        generation = self.home.ledger.links[link].current
        if generation is None or not self._has_room(link) or not self._is_next(incoming.producer):
            return None
        sent_as_stored = incoming.form == ARROW and bool(incoming.schema) and incoming.schema == generation.schema
        payload: StagedPayload | None
        if place is not None:
            payload = place() if sent_as_stored else None
        else:
            payload = _small(incoming, sent_as_stored=sent_as_stored, is_opaque=generation.schema == OPAQUE_SCHEMA_MESSAGE)
        if payload is None:
            return None
        draft = Draft(link, payload.rows, payload.size_bytes, generation.schema_id, generation.schema, payload.xxh3)
        producer = incoming.producer
        if producer.id:
            xxh3 = payload.xxh3 if sent_as_stored else WholePayload.digest(bytes(incoming.parts[0]))
            producer = Producer(producer.id, producer.epoch, producer.sequence, xxh3)
        return Prepared(draft, payload), producer

    def _has_room(self, link: str) -> bool:
        home = self.home
        return home.store.has_room and home.disk.state() is DiskState.OPEN and not home.flow.flow.is_bounded(link)

    def _is_next(self, producer: Producer) -> bool:
        """Whether it is the next publish of a producer that is known, or of nobody in particular."""
        if not producer.id:
            return True
        known = self.home.ledger.producers.known.get(producer.id)
        return known is not None and (producer.epoch, producer.sequence) == (known.epoch, known.last_sequence + 1)


def _small(incoming: Incoming, *, sent_as_stored: bool, is_opaque: bool) -> WholePayload | None:
    """The value that came with all of its bytes, of a link that `is_opaque` or not. None if it is not small, or not stored as it came."""
    if len(incoming.parts) != 1:
        return None
    content = incoming.parts[0]
    if len(content) > INLINE_PAYLOAD_MAX_BYTES or not isinstance(content, bytes):
        return None
    if not (sent_as_stored or (is_opaque and incoming.form == BYTES)):
        return None
    message = content if sent_as_stored else opaque_message((content,))
    info, metadata_bytes = opaque_info(message) if is_opaque else (None, 0)
    if info is None:
        found = read_message(message)
        info, metadata_bytes = BatchInfo(found.rows, len(found.body)), len(found.metadata)
    return WholePayload(message, metadata_bytes, info)
