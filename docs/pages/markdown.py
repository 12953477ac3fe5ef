"""Markdown as the pages are written in: tables that line up, paragraphs out of docstrings."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Sequence
from itertools import groupby

NOTICE = "<!-- Made by docs/generate.py; do not edit. -->\n"


def document(title: str, *parts: str) -> str:
    """A page: its title, and its parts with an empty line between them."""
    return "\n\n".join([f"# {title}", NOTICE.strip(), *(part.strip("\n") for part in parts if part)]) + "\n"


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns as wide as their widest cell, the last one as it comes."""
    cells = [[cell.replace("|", r"\|") for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in (headings, *cells)) for column in range(len(headings) - 1)]

    def line(row: Sequence[str]) -> str:
        padded = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        return f"| {' | '.join([*padded, row[-1]])} |"

    rule = [*("-" * width for width in widths), "-" * len(headings[-1])]
    return "\n".join(line(row) for row in (headings, rule, *cells))


def code(text: str, language: str = "") -> str:
    return f"```{language}\n{text.strip(chr(10))}\n```"


def ticked(text: str) -> str:
    """As code; nothing where there is nothing."""
    return f"`{text}`" if text else ""


def prose(docstring: str | None) -> str:
    """A docstring as paragraphs, each in one line; what is indented in it is a block of Python."""
    parts: list[str] = []
    for is_code, blocks in groupby(_blocks(docstring), lambda block: block.startswith("    ")):
        if is_code:
            parts.append(code(inspect.cleandoc("\n\n".join(["", *blocks])), "python"))
        else:
            parts += map(sentence, blocks)
    return "\n\n".join(parts)


def sentence(docstring: str | None) -> str:
    """A docstring in one line."""
    return " ".join((docstring or "").split())


def indented_block(docstring: str | None, number: int = 0) -> str:
    """What a docstring has indented: the text of its block `number`."""
    blocks: list[list[str]] = [[]]
    for line in inspect.cleandoc(docstring or "").splitlines():
        if line.startswith("    ") or (not line and blocks[-1]):
            blocks[-1].append(line[4:])
        elif blocks[-1]:
            blocks.append([])
    return "\n".join(blocks[number]).strip("\n")


def _blocks(docstring: str | None) -> list[str]:
    """What stands between empty lines."""
    return [block for block in re.split(r"\n\s*\n", inspect.cleandoc(docstring or "")) if block]
