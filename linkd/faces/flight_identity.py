"""Who calls Flight: tokens in the places where its clients put them, and the Handshake of those that log in first."""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncIterator
from typing import Any

from linkd.errors import InvalidArgument
from linkd.faces.call import Call, identified
from linkd.home.home import Home
from linkd.wire.flight_sql import parsed
from linkd.wire.status import TOKEN_KEY, TOKEN_PREFIX, TRACE_KEY
from linkd.wire.v1 import flight_pb2 as pb

_BASIC_PREFIX = "Basic "
_OWN_KEY = "auth-token-bin"
"""Where clients that have logged in by a Handshake's payload put what they were answered."""


def call_of(home: Home, context: Any) -> Call:
    """Raises NotAllowed, SessionFenced."""
    metadata = dict(context.invocation_metadata() or ())
    return Call(identified(home, _token(metadata), context), str(metadata.get(TRACE_KEY, "")))


async def handshake(home: Home, requests: AsyncIterator[pb.FlightHandshake], context: Any) -> None:
    """The whole call: the token, if it is a good one, goes back the way it came, and as metadata. Raises NotAllowed, SessionFenced."""
    token = _token(dict(context.invocation_metadata() or ()))
    home.identify(token)
    if token:
        await context.send_initial_metadata(((TOKEN_KEY, TOKEN_PREFIX + token),))
    async for request in requests:
        payload = _password(request.payload)
        home.identify(payload)
        await context.write(pb.FlightHandshake(protocol_version=request.protocol_version, payload=payload.encode()))


def _token(metadata: dict[str, Any]) -> str:
    shown = str(metadata.get(TOKEN_KEY, ""))
    if shown.startswith(_BASIC_PREFIX):
        return _basic(shown.removeprefix(_BASIC_PREFIX))
    if shown:
        return shown.removeprefix(TOKEN_PREFIX)
    return _text(metadata.get(_OWN_KEY, b""))


def _basic(encoded: str) -> str:
    """The password of `USER:PASSWORD` in base64; the user may be anybody."""
    try:
        return base64.b64decode(encoded, validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        raise InvalidArgument("`authorization: Basic` is followed by base64 of `USER:TOKEN`, and this is none") from None


def _password(payload: bytes) -> str:
    """The token of a Handshake's payload: as it is, or as the password of a BasicAuth."""
    if payload[:1] and payload[0] < 0x20:  # tags of protobuf; a token begins with a digit
        password: str = parsed(pb.FlightBasicAuth, payload, "the BasicAuth of a Handshake").password
        return password
    return _text(payload)


def _text(token: bytes | str) -> str:
    return token if isinstance(token, str) else token.decode("utf-8", "replace")
