"""How protobuf begins a field of bytes, for messages that are put together by hand around bytes that are not copied. Pure.

https://protobuf.dev/programming-guides/encoding
"""

from __future__ import annotations

LENGTH_DELIMITED = 2
"""The wire type of bytes, texts and messages."""


def field_tag(field: int) -> bytes:
    """What a field of this number with bytes begins with; its length follows, as `varint`."""
    return varint(field << 3 | LENGTH_DELIMITED)


def varint(number: int) -> bytes:
    """A number that is not negative, seven bits to a byte."""
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
