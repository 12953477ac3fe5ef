"""What people call values: `flown@42`, `flown@last`, `flown@2026-11-22T10:00`, the beginning of an id; and ranges of them. Pure.

    value  = link "@" place | id
    place  = sequence | "last" | time         a time stands for the value that was the newest then
    time   = ISO 8601, down to the day, with `Z` or an offset behind it; without one it is UTC
    id     = at least 8 of its hexadecimal digits, hyphens or not
    extent = link | value | link "@" [place] ".." [place]

Both ends of an extent belong to it; an end that is missing is that of the generation.
"""

from __future__ import annotations

import re

from linkd.core.iso8601 import parse_timestamp
from linkd.core.names import COMMITS_LINK, NAME_PATTERN
from linkd.errors import InvalidArgument
from linkd.model.frozen import frozen

LAST = "last"
"""The newest value that readers see."""

LINK_NAME = re.compile(rf"{NAME_PATTERN.pattern}(\.rejects)?(\.dead)*")
"""Of any link that there can be: people's own, and those that linkd writes beside them."""

_SEQUENCE = re.compile(r"[1-9][0-9]{0,18}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_ZONED = re.compile(r".*([Zz]|[+-][0-9]{2}:?[0-9]{2})")
_ID = re.compile(r"[0-9a-f][0-9a-f-]{7,35}")
_EARLIEST_NS, _LATEST_NS = -(2**63), 2**63 - 1
"""Nothing was made before or will be behind these: the clock of a home counts in 64 bits, from 1677 to 2262."""
_FORMS = "LINK@42, LINK@last, LINK@2026-11-22T10:00, or at least 8 characters of its id"


@frozen()
class BySequence:
    """`flown@42`."""

    link: str
    sequence: int


@frozen()
class ByTime:
    """`flown@2026-11-22T10:00`, in nanoseconds since 1970."""

    link: str
    at_ns: int


@frozen()
class Newest:
    """`flown@last`."""

    link: str


@frozen()
class ById:
    """The beginning of an id, in hexadecimal digits alone."""

    digits: str


ValueName = BySequence | ByTime | Newest | ById


@frozen()
class ExtentName:
    """Values of a link, or the one value of an id (`link` is "" then). `first` and `last` are names of values, "" for an open end.

    `may_be_id` says that the text of a whole link reads as the beginning of an id too: it is one if there is no such link.
    """

    link: str
    first: str = ""
    last: str = ""
    may_be_id: bool = False


def parse_value_name(text: str) -> ValueName:
    """What the name means. Raises InvalidArgument with the forms that there are."""
    link, at, place = text.partition("@")
    if at and LINK_NAME.fullmatch(link):
        return _by_place(text, link, place)
    if not at and _ID.fullmatch(text.lower()):
        return ById(text.lower().replace("-", ""))
    raise InvalidArgument(f"{text!r} names no value: write {_FORMS}")


def parse_extent_name(text: str) -> ExtentName:
    """Which values are meant. Raises InvalidArgument with the forms that there are."""
    link, at, places = text.partition("@")
    if not at:
        if text == COMMITS_LINK or LINK_NAME.fullmatch(text):
            return ExtentName(text, may_be_id=bool(_ID.fullmatch(text)))
        parse_value_name(text)
        return ExtentName("", text, text)
    first, dots, last = places.partition("..")
    ends = (first, last) if dots else (first, first)
    if not any(ends):
        raise InvalidArgument(f"{text!r} names no values: write {link}, {link}@42, {link}@3..17, {link}@3.. or {link}@..17")
    names = [f"{link}@{end}" if end else "" for end in ends]
    for name in filter(None, names):
        parse_value_name(name)
    return ExtentName(link, names[0], names[1])


def _by_place(text: str, link: str, place: str) -> ValueName:
    if place == LAST:
        return Newest(link)
    if _SEQUENCE.fullmatch(place):
        return BySequence(link, int(place))
    moment = f"{place}T00:00" if _DAY.fullmatch(place) else place
    try:
        at_ns = parse_timestamp(moment if _ZONED.fullmatch(moment[11:]) else f"{moment}Z", "ns", zoned=True)
    except ValueError:
        raise InvalidArgument(f"{text!r} names no value: write {_FORMS}") from None
    return ByTime(link, max(_EARLIEST_NS, min(at_ns, _LATEST_NS)))
