"""Problems in what people wrote, and how they are shown: place, what is wrong, the line with a caret, the remedy.

flights.yaml:4:4: nothing writes `flwn`; did you mean `flown`?
    (flwn, airlines)  sum_up  (totals)
     ^^^^
  let a task write `flwn`, or ...
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from linkd import limits
from linkd.model.frozen import frozen

_LINE_INDENT = "    "
_REMEDY_INDENT = "  "
_CUT = "…"


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A stretch of one line: line and column count from 1, `length` in characters (0 points between two)."""

    line: int
    column: int
    length: int = 1


@frozen()
class Problem:
    """One thing that is wrong. `span` is None where no single place is to blame; `remedy` says what to do about it."""

    span: Span | None
    what: str
    remedy: str = ""


def did_you_mean(word: str, candidates: Collection[str], likeness: float = 0.6) -> str | None:
    """The candidate that `word` is most likely a slip of, or None if there is none of at least this likeness (1 is the same word)."""
    import difflib  # only where something is wrong

    by_lower = {candidate.lower(): candidate for candidate in sorted(candidates)}
    close = difflib.get_close_matches(word.lower(), sorted(by_lower), n=1, cutoff=likeness)
    return by_lower[close[0]] if close and by_lower[close[0]] != word else None


def with_suggestion(what: str, word: str, candidates: Collection[str]) -> str:
    """`what`, and behind it `; did you mean ...?` if there is a candidate close to `word`."""
    suggestion = did_you_mean(word, candidates)
    return f"{what}; did you mean `{suggestion}`?" if suggestion else what


def one_of(words: Sequence[str]) -> str:
    """`a`, `b` and `c`: how a message lists names."""
    quoted = [f"`{word}`" for word in words]
    if len(quoted) < 2:
        return "".join(quoted)
    return f"{', '.join(quoted[:-1])} and {quoted[-1]}"


def render_problems(problems: Collection[Problem], path: str, lines: Sequence[str]) -> str:
    """All problems in the order of their places, each once, with the lines of the file they point at.

    At most `PIPELINE_PROBLEMS_SHOWN_MAX` are shown, and the last line counts the others.
    """
    ordered = sorted(dict.fromkeys(problems), key=lambda problem: problem.span or Span(0, 0))
    shown = ordered[: limits.PIPELINE_PROBLEMS_SHOWN_MAX]
    text = "\n".join(_render(problem, path, lines) for problem in shown)
    hidden = len(ordered) - len(shown)
    return f"{text}\nand {hidden} more" if hidden else text


def _render(problem: Problem, path: str, lines: Sequence[str]) -> str:
    span = problem.span
    place = path if span is None else f"{path}:{span.line}:{span.column}"
    parts = [f"{place}: {problem.what}"]
    if span is not None and 1 <= span.line <= len(lines):
        parts.extend(_pointed_line(lines[span.line - 1], span))
    if problem.remedy:
        parts.append(f"{_REMEDY_INDENT}{problem.remedy}")
    return "\n".join(parts)


def _pointed_line(line: str, span: Span) -> list[str]:
    """The line, cut to what fits around the span, and the carets below it."""
    first = span.column - 1
    length = max(1, min(span.length, len(line) - first))
    room = limits.PIPELINE_LINE_SHOWN_MAX_CHARS
    indent = len(line) - len(line.lstrip(" "))
    begin = indent if first >= indent and first + length - indent <= room else max(0, first - room // 2)
    end = min(len(line), begin + room)
    head = _CUT if begin > indent else ""
    shown = "".join(_printable(character) for character in line[begin:end])
    tail = _CUT if end < len(line) else ""
    pad = " " * len(head) + "".join(_blank(character) for character in line[begin:first])
    carets = "".join("^" * max(1, _cells(character)) for character in line[first : min(first + length, end)]) or "^"
    return [f"{_LINE_INDENT}{head}{shown.rstrip()}{tail}", f"{_LINE_INDENT}{pad}{carets}"]


def _printable(character: str) -> str:
    # A terminal must not obey what stands in a file: escape sequences and direction marks are shown as a blot.
    return character if character.isprintable() or character == "\t" else "\ufffd"


def _blank(character: str) -> str:
    return "\t" if character == "\t" else " " * _cells(character)


def _cells(character: str) -> int:
    """Columns a character takes on a terminal."""
    import unicodedata  # half a MiB of tables, only where something is wrong

    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
