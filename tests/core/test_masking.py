"""Secrets do not get through, however a stream is cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkd.core.masking import Mask, MaskedStream

PEM = "-----BEGIN KEY-----\nMIIEvQIBADANBgkq\n}\n-----END KEY-----\n"


@pytest.mark.parametrize(
    ("secrets", "text", "expected"),
    [
        ([], "all of it", "all of it"),
        ([""], "all of it", "all of it"),
        (["s3cret"], "password=s3cret.", "password=***."),
        (["abc", "abcdef"], "abcdefabcd", "******d"),
        (["p@ss/w"], "url p%40ss%2Fw, plain p@ss/w", "url ***, plain ***"),
        (["p%40ss"], "as given p%40ss, as decoded p@ss", "as given ***, as decoded ***"),
        ([PEM], "MIIEvQIBADANBgkq }", "*** }"),
        (["grüße"], "viele grüße", "viele ***"),
        (["token\n"], "token", "***"),
    ],
)
def test_a_secret_becomes_stars(secrets: list[str], text: str, expected: str) -> None:
    assert Mask(secrets).text(text) == expected


def test_what_may_be_the_beginning_of_a_secret_waits_and_nothing_else_does() -> None:
    stream = MaskedStream(Mask(["s3cret"]))
    assert stream.feed(b"password: s3c") == b"password: "
    assert stream.feed(b"ret\nmiss") == b"***\nmis"
    assert stream.feed(b"") == b""
    assert stream.end() == b"s"


def naive(forms: list[bytes], content: bytes) -> bytes:
    """The same by looking at every place in turn."""
    shown = b""
    position = 0
    while position < len(content):
        here = [form for form in forms if content.startswith(form, position)]
        shown += b"***" if here else content[position : position + 1]
        position += max(map(len, here), default=1)
    return shown


@given(st.lists(st.text("ab", min_size=1, max_size=5), max_size=4), st.lists(st.text("abc", max_size=6), max_size=12))
def test_pieces_are_masked_as_the_whole_is(secrets: list[str], pieces: list[str]) -> None:
    mask = Mask(secrets)
    stream = MaskedStream(mask)
    shown = b"".join([*(stream.feed(piece.encode()) for piece in pieces), stream.end()])
    content = "".join(pieces).encode()
    assert shown == mask.raw(content) == naive([secret.encode() for secret in secrets], content)
