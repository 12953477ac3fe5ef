"""Whether a value is sound, down to its last offset and character: asked before somebody meets it who would not look himself.

When a value is published every buffer is checked to lie inside it, and no more. linkd's own clients look at what the buffers hold where they
decode it. Clients of other people's do not: an offset that leads outside would crash them, and need not be their own.
"""

from __future__ import annotations

import asyncio
import sys
from collections import OrderedDict
from dataclasses import dataclass, field

from linkd.errors import InvalidArgument
from linkd.limits import INLINE_PAYLOAD_MAX_BYTES, SOUND_VALUES_KEPT
from linkd.model.values import Envelope
from linkd.wire.arrow_ipc import prefix


@dataclass(slots=True)
class Soundness:
    """Of the values of one home; remembers those it has looked at last, so that each is looked at once and not for every reader."""

    _sound: OrderedDict[bytes, None] = field(default_factory=OrderedDict)

    async def check(self, envelope: Envelope, schema: bytes, metadata: bytes, body: memoryview) -> None:
        """Of a value with this schema message; metadata and body are those of its own message. Raises InvalidArgument, naming the value."""
        if envelope.id in self._sound:
            self._sound.move_to_end(envelope.id)
            return
        if len(body) > INLINE_PAYLOAD_MAX_BYTES or "linkd.core.payload" not in sys.modules:  # importing pyarrow takes a tenth of a second
            await asyncio.to_thread(_check, envelope, schema, metadata, body)
        else:
            _check(envelope, schema, metadata, body)
        self._sound[envelope.id] = None
        if len(self._sound) > SOUND_VALUES_KEPT:
            self._sound.popitem(last=False)


def _check(envelope: Envelope, schema: bytes, metadata: bytes, body: memoryview) -> None:
    from linkd.core.payload import from_parts

    try:
        from_parts(schema, prefix(len(metadata)), metadata, body, validate=True)
    except InvalidArgument as problem:
        raise InvalidArgument(
            f"{envelope.name} cannot be read: {problem}. Whoever published it sent damaged Arrow data; what is before and behind it is not concerned"
        ) from None
