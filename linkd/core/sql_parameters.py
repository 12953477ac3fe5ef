"""The prepared parameters (`$x`) that a statement names, found without a parser: enough to say early that one of them is not declared.

Texts in quotes (`'...'`, `e'...'`, `"..."`, `$$...$$`, `$tag$...$tag$`) and comments are passed over, as DuckDB reads them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from linkd.core.diagnostics import one_of, with_suggestion

_TOKEN = re.compile(
    r"""
      (?P<escaped>\b[eE]'(?:[^'\\]|''|\\.)*'?)
    | (?P<quoted>'(?:[^']|'')*'?|"(?:[^"]|"")*"?)
    | (?P<comment>--[^\n]*|/\*.*?(?:\*/|\Z))
    | (?P<dollars>(?P<tag>\$(?:[A-Za-z_\x80-\U0010ffff][\w]*)?\$).*?(?:(?P=tag)|\Z))
    | (?P<word>[A-Za-z_\x80-\U0010ffff][\w$]*)
    | \$(?P<parameter>[A-Za-z_]\w*|[0-9]+)
    """,
    re.VERBOSE | re.DOTALL,
)


def sql_parameters(sql: str) -> Iterator[tuple[int, str]]:
    """Each parameter of a statement: where its `$` stands, and its name."""
    for match in _TOKEN.finditer(sql):
        if match["parameter"]:
            yield match.start(), match["parameter"]


def unknown_parameter(name: str, declared: Collection[str]) -> tuple[str, str]:
    """What to say of a parameter that no `params:` declares, and the remedy."""
    what = with_suggestion(f"there is no parameter `{name}`", name, declared)
    listed = f"parameters are {one_of(sorted(declared))}" if declared else "the file declares none"
    return what, f"{listed}: declare it with `params: {{{name}: ...}}`, or correct the name"
