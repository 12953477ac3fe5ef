"""Secrets in an address: which text stands in the place of `${secret.X}`, where an adapter is given both the address as written and itself."""

from __future__ import annotations

import re
from collections.abc import Iterator

PLACEHOLDER = re.compile(r"\$\{secret\.[A-Za-z_][A-Za-z0-9_]*\}")


def secrets_in(written: str, location: str) -> dict[str, str]:
    """What stands in `location` in the place of each placeholder of `written`."""
    places = list(PLACEHOLDER.finditer(written))
    if not places:
        return {}
    pattern = "".join(_pattern(written, places))
    match = re.fullmatch(pattern, location, re.DOTALL)
    if match is None:
        return {}
    return {place[0]: match[f"s{index}"] for index, place in enumerate(places) if f"s{index}" in match.groupdict()}


def _pattern(written: str, places: list[re.Match[str]]) -> Iterator[str]:
    end, seen = 0, dict[str, str]()
    for index, place in enumerate(places):
        yield re.escape(written[end : place.start()])
        if place[0] in seen:
            yield f"(?P={seen[place[0]]})"
        else:
            seen[place[0]] = f"s{index}"
            yield f"(?P<s{index}>.*?)"  # a name has no colon, so the shortest one is the name
        end = place.end()
    yield re.escape(written[end:])
