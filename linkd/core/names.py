"""What a link, a task or a pipeline may be called, so that files, SQL and Kubernetes can all bear the name as it is."""

from __future__ import annotations

import re
from typing import Literal

from linkd import limits
from linkd.errors import InvalidArgument

NAME_PATTERN = re.compile(rf"[a-z][a-z0-9_]{{0,{limits.NAME_MAX_CHARS - 1}}}")

COMMITS_LINK = "_commits"
"""Read like a link by people and in queries: what was committed. No link of a pipeline has such a name."""

DB_SCHEMA = "links"
"""The one schema of the one catalog that a pipeline is to SQL clients; the catalog bears the pipeline's name."""

Named = Literal["link", "task", "pipeline"]

_WORDS_OF_SQL = """
    all analyse analyze and anti any array as asc asof asymmetric at authorization binary both by case cast check collate collation column
    concurrently constraint create cross default deferrable desc describe distinct do else end except false fetch for foreign freeze from
    full glob group having ilike in initially inner intersect into is isnull join lambda lateral leading left like limit natural not
    notnull null offset on only or order outer overlaps pivot pivot_longer pivot_wider placing positional primary qualify references
    returning right select semi show similar some summarize symmetric table tablesample then to trailing true union unique
    unpack unpivot using variadic verbose when where window with
"""
SQL_WORDS = frozenset(_WORDS_OF_SQL.split())
"""Words that name no table unless quoted: of `duckdb_keywords()`, the reserved ones, and the type or function words DuckDB 2 refuses."""


def name_problem(name: str, what: Named) -> tuple[str, str] | None:
    """Why `name` cannot be the name of a link, task or pipeline, and what to do about it; None if it can."""
    if not NAME_PATTERN.fullmatch(name):
        rule = f"lower-case letters, digits and `_`, a letter first, at most {limits.NAME_MAX_CHARS} characters"
        suggestion = _nearest_name(name)
        return f"`{name}` cannot be the name of a {what}: names are {rule}", f"call it `{suggestion}`" if suggestion else ""
    if name.endswith("_"):
        return (
            f"`{name}` cannot be the name of a {what}: it ends in `_`, and on Kubernetes, where `_` becomes `-`, no name may",
            f"call it `{name.rstrip('_')}`",
        )
    if name in SQL_WORDS:
        suffix = "data" if what == "link" else what
        return f"`{name}` cannot be the name of a {what}: it is a word of SQL", f"call it `{name}_{suffix}`"
    return None


def check_link_name(name: str) -> None:
    """InvalidArgument unless `name` can name a link that outsiders make under `--open`."""
    if not NAME_PATTERN.fullmatch(name):
        raise InvalidArgument(f"{name[:60]!r} cannot be the name of a link: [a-z][a-z0-9_]*, at most {limits.NAME_MAX_CHARS} characters")


def check_group_name(name: str) -> None:
    """InvalidArgument unless `name` can name a consumer group."""
    good = bool(name) and all(c.isalnum() or c in "_-." for c in name)
    if not good or len(name) > limits.GROUP_NAME_MAX_CHARS:
        raise InvalidArgument(
            f"{name[:60]!r} cannot be the name of a group: letters, digits, `_`, `-` and `.`, at most {limits.GROUP_NAME_MAX_CHARS} characters"
        )


def _nearest_name(name: str) -> str | None:
    """`name` with what is not allowed in it replaced, if anything is left that is a name."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    text = re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")
    text = re.sub(r"^[0-9_]+", "", text)[: limits.NAME_MAX_CHARS].rstrip("_")
    return text if NAME_PATTERN.fullmatch(text) and text not in SQL_WORDS else None
