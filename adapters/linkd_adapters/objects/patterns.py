"""Patterns of keys: `*`, `?` and `[...]` within a name, `**` for any number of directories, as files have them (`file.listing`)."""

from __future__ import annotations

import fnmatch
import glob
from collections.abc import Sequence


def matches(pattern: str, key: str) -> bool:
    """Whether the pattern means this key. A name that begins with a dot is matched only by one that names the dot."""
    return _match(pattern.split("/"), key.split("/"))


def fixed_directory(pattern: str) -> str:
    """The directory in which everything lies that the pattern can mean, `""` for the whole bucket."""
    names = pattern.split("/")[:-1]
    fixed = next((index for index, name in enumerate(names) if glob.has_magic(name)), len(names))
    return "/".join(names[:fixed])


def _match(pattern: Sequence[str], names: Sequence[str]) -> bool:
    if not pattern or not names:
        return not pattern and not names
    first, rest = pattern[0], pattern[1:]
    is_hidden = names[0].startswith(".")
    if first == "**":
        if not rest:
            return not any(name.startswith(".") for name in names)
        return _match(rest, names) or (not is_hidden and _match(pattern, names[1:]))
    if is_hidden and not first.startswith("."):
        return False
    return fnmatch.fnmatchcase(names[0], first) and _match(rest, names[1:])
