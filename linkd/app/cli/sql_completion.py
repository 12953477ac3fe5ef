"""What may follow in a statement that is being written: links, their columns, words of SQL. Pure.

Behind FROM and JOIN only links can stand; behind `name.` only the columns of that link, or of the link that has this alias; elsewhere the
columns of the links that the statement names come first (of all links, while it names none).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from linkd.core.names import SQL_WORDS
from linkd.core.sql_text import StatementCutter
from linkd.model.frozen import frozen
from linkd.query.functions import FUNCTIONS, TABLE_FUNCTIONS, WINDOW_FUNCTIONS

_WORD = re.compile(r"[\w.]*$")
_NAME = re.compile(r"[^\W\d]\w*")
_BEHIND_FROM = re.compile(r"\b(from|join)\s+$", re.IGNORECASE)
_MORE_WORDS = """
    avg between by count exclude extract false first interval last max min nulls over partition replace rows sum true within
"""
_KEYWORDS = tuple(sorted(SQL_WORDS.union(_MORE_WORDS.split())))
_FUNCTIONS = tuple(sorted(name for name in FUNCTIONS | TABLE_FUNCTIONS | WINDOW_FUNCTIONS if _NAME.fullmatch(name) and name[0] != "_"))


@frozen()
class Suggestion:
    """A word that may stand here, and what it is: `link`, `column of flown`, `function`, or nothing for a word of SQL."""

    text: str
    about: str = ""


def suggestions(before: str, after: str, columns: Mapping[str, Sequence[str]]) -> tuple[str, list[Suggestion]]:
    """The beginning of a word before the cursor, and the words that begin so. `columns` are those of each link."""
    cutter = StatementCutter()
    cutter.feed(before)
    if cutter.is_within_quotes:
        return "", []
    begun = _WORD.search(before)
    word = begun[0] if begun is not None else ""
    qualifier, dot, rest = word.rpartition(".")
    statement = before + after.partition(";")[0]
    if dot:
        link = _link_called(qualifier, statement, columns)
        return rest, _beginning(rest, (Suggestion(name, f"column of {link}") for name in columns.get(link, ())))
    links = [Suggestion(link, "link") for link in columns]
    if _BEHIND_FROM.search(before[: len(before) - len(word)]):
        return word, _beginning(word, links)
    named = {name for name in _NAME.findall(statement) if name in columns}
    found = [Suggestion(name, f"column of {link}") for link in columns if link in named or not named for name in columns[link]]
    found += links
    if word:
        found += [Suggestion(_like(word, name)) for name in _KEYWORDS]
        found += [Suggestion(name, "function") for name in _FUNCTIONS]
    return word, _beginning(word, found)


def _link_called(name: str, statement: str, columns: Mapping[str, Sequence[str]]) -> str:
    """The link of that name or alias; "" if there is none."""
    if name in columns:
        return name
    for link in columns:
        if re.search(rf"\b{re.escape(link)}\s+(?:as\s+)?{re.escape(name)}\b", statement, re.IGNORECASE):
            return link
    return ""


def _beginning(word: str, known: Iterable[Suggestion]) -> list[Suggestion]:
    """Those that begin so, each text once."""
    found: dict[str, Suggestion] = {}
    for each in known:
        if each.text.lower().startswith(word.lower()):
            found.setdefault(each.text, each)
    return list(found.values())


def _like(word: str, keyword: str) -> str:
    """Small where the person writes small letters."""
    return keyword if word.islower() else keyword.upper()
