"""SQL text cut into statements at the `;` that end them. Pure.

As DuckDB reads it, a `;` ends nothing inside `'text'` (a quote in it is doubled), `E'text'` (where `\\` escapes), `"names"`, `$$text$$` and
`$tag$text$tag$`, `-- comments` and `/* comments */`, which nest. What is no statement (blanks and comments) is left away.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from linkd.model.frozen import frozen

_TOKEN = re.compile(
    r"""
    (?P<end>;)
  | (?P<quote>'|")
  | (?P<dollar>\$(?:[^\W\d]\w*)?\$)
  | (?P<comment>--[^\r\n]*)
  | (?P<block>/\*)
  | (?P<escaping>[eE]')
  | (?P<word>[^\W\d][\w$]*|\d\w*)
  | (?P<blank>\s+)
  | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_BLOCK = re.compile(r"/\*|\*/")


@frozen()
class SqlStatement:
    """A statement without its `;`, and the number of the line on which it begins, from 1."""

    text: str
    line: int


@dataclass(slots=True)
class StatementCutter:
    """Takes text as it comes, and gives each statement as soon as its `;` has come. Looks at no text twice."""

    _held: list[str] = field(default_factory=list)
    _line: int = 1
    _begun_line: int = 0
    _ending: str = ""

    def feed(self, lines: str) -> list[SqlStatement]:
        """The statements that end in these lines: whole ones, with their line breaks, or the last of the text."""
        found: list[SqlStatement] = []
        place = 0
        while place < len(lines):
            begin = place
            place = self._within(lines, place) if self._ending else self._outside(lines, place)
            if place < 0:
                place = begin + 1
                found += self._taken()
            elif self._begun_line:
                self._held.append(lines[begin:place])
        self._line += lines.count("\n")
        return found

    def rest(self) -> list[SqlStatement]:
        """What stands behind the last `;`, if it is anything: a last statement needs none."""
        return self._taken()

    @property
    def is_empty(self) -> bool:
        """Nothing has come behind the last `;` but blanks and comments."""
        return not self._begun_line and not self._ending

    @property
    def is_within_quotes(self) -> bool:
        """A quoted text or name, or a `/* comment`, has begun and not ended."""
        return bool(self._ending)

    def _outside(self, lines: str, place: int) -> int:
        """The place behind the next token; -1 if it is the `;` that ends the statement."""
        token = _TOKEN.match(lines, place)
        assert token is not None  # `other` takes anything
        kind = token.lastgroup
        if kind == "end":
            return -1
        if kind in ("quote", "dollar", "block", "escaping"):
            self._ending = {"block": "*/", "escaping": "\\'"}.get(kind, token[0])
        if kind not in ("blank", "comment", "block"):
            self._begun_line = self._begun_line or self._line + lines.count("\n", 0, place)
        return token.end()

    def _within(self, lines: str, place: int) -> int:
        """The place behind what the present quote or comment has of these lines."""
        ending = self._ending
        if ending == "\\'":
            return self._within_escapes(lines, place)
        if ending.startswith("*/"):
            return self._within_block(lines, place)
        end = lines.find(ending, place)
        if end < 0:
            return len(lines)
        # A doubled quote ends one text and begins another, which comes to the same.
        self._ending = ""
        return end + len(ending)

    def _within_escapes(self, lines: str, place: int) -> int:
        while place < len(lines) and lines[place] != "'":
            place += 2 if lines[place] == "\\" else 1
        if place >= len(lines):
            return len(lines)
        if lines.startswith("''", place):
            return place + 2
        self._ending = ""
        return place + 1

    def _within_block(self, lines: str, place: int) -> int:
        """`_ending` is as many `*/` as are still open."""
        mark = _BLOCK.search(lines, place)
        if mark is None:
            return len(lines)
        self._ending = self._ending + "*/" if mark[0] == "/*" else self._ending[2:]
        return mark.end()

    def _taken(self) -> list[SqlStatement]:
        text, line = "".join(self._held), self._begun_line
        self._held, self._begun_line = [], 0
        if not line:
            return []
        return [SqlStatement(text.strip(), line)]


def is_complete(text: str) -> bool:
    """Whether every statement that begins in `text` ends there too."""
    cutter = StatementCutter()
    cutter.feed(text)
    return cutter.is_empty


def is_insert(statement: str) -> bool:
    """Whether the first word of a statement is INSERT."""
    place = 0
    while (token := _TOKEN.match(statement, place)) is not None and token.lastgroup in ("blank", "comment", "block"):
        place = _behind_block(statement, token.end()) if token.lastgroup == "block" else token.end()
    return token is not None and token[0].lower() == "insert"


def _behind_block(text: str, place: int) -> int:
    open_blocks = 1
    while open_blocks and (mark := _BLOCK.search(text, place)) is not None:
        open_blocks += 1 if mark[0] == "/*" else -1
        place = mark.end()
    return place if not open_blocks else len(text)


def place_of_word(text: str, word: str) -> int:
    """Where the first statement of a text has this word (in lower case) outside of quotes, comments and brackets; -1 if it has it nowhere."""
    cutter, place, depth = StatementCutter(), 0, 0
    while 0 <= place < len(text):
        if cutter.is_within_quotes:
            place = cutter._within(text, place)
            continue
        token = _TOKEN.match(text, place)
        assert token is not None
        depth += {"(": 1, ")": -1}.get(token[0], 0)
        if not depth and token.lastgroup == "word" and token[0].lower() == word:
            return place
        place = cutter._outside(text, place)
    return -1
