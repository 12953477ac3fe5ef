"""Links as files in a file system: what a path means. Pure.

    path  = "" | link | link ending | link "/" what ending
    what  = "data" | "generation-" number | place [".." place] | ".." place         a place as in `flown@42`
    ending = "." format [".gz"]                                                     format by the names that files have

`flown.csv`, and `flown/data.csv`, are all that readers see of the link; `flown/generation-3.parquet` one generation, `flown/42.jsonl` one value,
`flown/3..17.csv` some. Without an ending, a path is a directory: of links, or of what there is of one.
"""

from __future__ import annotations

import re

from linkd.core.names import COMMITS_LINK
from linkd.core.value_names import LINK_NAME, parse_extent_name
from linkd.errors import InvalidArgument
from linkd.model.frozen import frozen

WHOLE = "data"
ENDINGS = ("csv", "csv.gz", "jsonl", "ndjson", "jsonl.gz", "parquet", "arrow", "feather", "arrows")
_ENDING = re.compile(rf"(?P<rest>.+)\.(?P<ending>{'|'.join(re.escape(ending) for ending in ENDINGS)})")
_GENERATION = re.compile(r"generation-([1-9][0-9]{0,8})")


@frozen()
class LinkFile:
    """Rows of a link in a format: of `generation`, or of the values `first` to `last` (names, "" for an open end), or all that readers see."""

    link: str
    ending: str
    generation: int | None = None
    first: str = ""
    last: str = ""

    @property
    def is_whole(self) -> bool:
        return self.generation is None and not self.first and not self.last


@frozen()
class LinkDirectory:
    """A link, or all of them (`link` is "")."""

    link: str = ""


def parse_link_path(path: str) -> LinkFile | LinkDirectory:
    """What the path means. Raises InvalidArgument with the forms that there are."""
    match = _ENDING.fullmatch(path.strip("/"))
    rest = match["rest"] if match is not None else path.strip("/")
    link, slash, what = rest.partition("/")
    if not _is_link(link) and not (match is None and not rest):
        raise _no_path(path, f"`{link}` is no name of a link")
    if match is None:
        if slash:
            raise _no_path(path, f"a name ends in its format, one of .{', .'.join(ENDINGS)}")
        return LinkDirectory(link)
    if not slash or what == WHOLE:
        return LinkFile(link, match["ending"])
    if (number := _GENERATION.fullmatch(what)) is not None:
        return LinkFile(link, match["ending"], int(number[1]))
    try:
        named = parse_extent_name(f"{link}@{what}")
    except InvalidArgument as error:
        raise _no_path(path, f"`{what}` names no values") from error
    return LinkFile(link, match["ending"], None, named.first, named.last)


def _is_link(name: str) -> bool:
    return name == COMMITS_LINK or LINK_NAME.fullmatch(name) is not None


def _no_path(path: str, why: str) -> InvalidArgument:
    return InvalidArgument(f"linkd://{path}: {why}; write linkd://LINK.csv, linkd://LINK/generation-3.parquet or linkd://LINK/3..17.jsonl")
