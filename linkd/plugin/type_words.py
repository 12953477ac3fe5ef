"""The type words of `schema:`, checked without Arrow: what a plan asks of every link is quick."""

from __future__ import annotations

from linkd.core.column_types import NoType, parse_column_type
from linkd.plugin.contract import LinkOptions

__all__ = ["schema_problem"]


def schema_problem(options: LinkOptions) -> str | None:
    """The first word of `schema:` that names no type, by link and column, with its remedy; `None` if there is none."""
    for column, word in (options.schema or {}).items():
        parsed = parse_column_type(word)
        if isinstance(parsed, NoType):
            return f"links.{options.link}.schema.{column}: {parsed.what} ({parsed.remedy})"
    return None
