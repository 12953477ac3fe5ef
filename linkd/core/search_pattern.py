"""Search patterns of SQL's metadata calls: `%` stands for any text, `_` for any character, `\\` before either takes its meaning away. Pure."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence

ESCAPE = "\\"


class _Any(enum.Enum):
    TEXT = "%"
    CHARACTER = "_"


def matches(pattern: str | None, name: str) -> bool:
    """Whether `name` is one that `pattern` means; None means all of them.

    No regular expression: whoever wrote the pattern must not decide how long it takes. It is the length of one times that of the other at most.
    """
    return pattern is None or _matches(tuple(_tokens(pattern)), name)


def _tokens(pattern: str) -> Iterator[str | _Any]:
    characters = iter(pattern)
    for character in characters:
        if character == ESCAPE:
            yield next(characters, ESCAPE)
        elif character in "%_":
            yield _Any(character)
        else:
            yield character


def _matches(tokens: Sequence[str | _Any], name: str) -> bool:
    at, here = 0, 0
    behind_text: tuple[int, int] | None = None  # the token behind the last `%`, and where the text it stands for ends so far
    while here < len(name):
        if at < len(tokens) and tokens[at] is _Any.TEXT:
            at += 1
            behind_text = at, here
        elif at < len(tokens) and tokens[at] in (_Any.CHARACTER, name[here]):
            at, here = at + 1, here + 1
        elif behind_text is not None:
            at, here = behind_text[0], behind_text[1] + 1
            behind_text = at, here
        else:
            return False
    return all(token is _Any.TEXT for token in tokens[at:])
