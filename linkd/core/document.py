"""A pipeline file as a tree of texts with places, before anything in it has a meaning, and how to take it apart.

There are no types here beyond text, list and mapping: `on`, `NO`, `1e3` and `2013-01-01` stay what was written.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from linkd.core.diagnostics import Problem, Span, one_of, with_suggestion
from linkd.core.durations import duration_text, parse_duration
from linkd.core.sizes import parse_size, size_text
from linkd.model.frozen import frozen

_SPELT_OUT = {"\\t": "\t", "tab": "\t"}


@frozen()
class Text:
    """A scalar. Its span is that of its first line; `style` is `|`, `>`, a quote, or nothing for a plain one."""

    value: str
    span: Span
    style: str = ""


@frozen()
class Listing:
    items: tuple[Node, ...]
    span: Span


@frozen()
class Record:
    """A mapping: keys are texts, none twice."""

    entries: tuple[tuple[Text, Node], ...]
    span: Span


Node = Text | Listing | Record


class Reader:
    """Takes nodes apart and keeps what is wrong with them; every method gives None or nothing for what cannot be used.

    `lines` are those of the file, where they are at hand: with them a place inside a text can be pointed at.
    """

    def __init__(self, lines: Sequence[str] = ()) -> None:
        self.problems: list[Problem] = []
        self._lines = lines

    def note(self, span: Span | None, what: str, remedy: str = "") -> None:
        self.problems.append(Problem(span, what, remedy))

    def inside(self, text: Text, offset: int, part: str) -> Span:
        """Where `part`, which begins at `offset` of the text, stands in the file; of the text itself if it is written otherwise there."""
        nth = text.value.count(part, 0, offset)
        column = text.span.column - 1
        for number in range(text.span.line, min(len(self._lines), text.span.line + text.value.count("\n") + 1) + 1):
            line = self._lines[number - 1]
            while (found := line.find(part, column)) >= 0:
                if nth == 0:
                    return Span(number, found + 1, len(part))
                nth -= 1
                column = found + len(part)
            column = 0
        return text.span

    def record(self, node: Node | None, name: str, example: str) -> tuple[tuple[Text, Node], ...]:
        """The entries of a mapping; an empty text counts as an empty one, as YAML writes `links:` with nothing below."""
        if node is None or (isinstance(node, Text) and not node.value):
            return ()
        if isinstance(node, Record):
            return node.entries
        self.note(node.span, f"`{name}` is {_kind(node)} where a mapping belongs", f"write `{example}`")
        return ()

    def text(self, node: Node | None, name: str, example: str) -> Text | None:
        """A text that is not empty."""
        if node is None:
            return None
        if not isinstance(node, Text):
            self.note(node.span, f"`{name}` is {_kind(node)} where a text belongs", f"write `{example}`")
            return None
        if not node.value.strip():
            self.note(node.span, f"`{name}` is empty", f"write `{example}`, or leave it out")
            return None
        return node

    def texts(self, node: Node | None, name: str, example: str) -> tuple[Text, ...]:
        """The texts of a list, empty ones too."""
        if node is None:
            return ()
        if not isinstance(node, Listing):
            self.note(node.span, f"`{name}` is {_kind(node)} where a list belongs", f"write `{example}`")
            return ()
        found: list[Text] = []
        for item in node.items:
            if isinstance(item, Text):
                found.append(item)
            else:
                self.note(item.span, f"`{name}` holds {_kind(item)} where a text belongs", f"write `{example}`")
        return tuple(found)

    def flag(self, node: Node | None, name: str, default: bool) -> bool:
        return self.choice(node, name, ("true", "false"), str(default).lower()) == "true"

    def character(self, node: Node | None, name: str, example: str, default: str, *, or_none: bool = False) -> str:
        """One character; `\\t` and `tab` are the tab. With `or_none` the empty text is welcome too."""
        if node is None:
            return default
        if not isinstance(node, Text):
            self.text(node, name, example)
            return default
        value = _SPELT_OUT.get(node.value, node.value)
        if (len(value) == 1 and value not in "\r\n") or (or_none and not value):
            return value
        remedy = f"write `{example}`" + ('; `""` is none' if or_none else "")
        self.note(node.span, f"`{name}` is one character, and `{node.value[:20]}` is none" if value else f"`{name}` is empty", remedy)
        return default

    def duration(self, node: Node | None, name: str, example: str, least_s: float, most_s: float) -> float | None:
        """A span of time within bounds, in seconds."""
        text = self.text(node, name, example)
        if text is None:
            return None
        seconds = parse_duration(text.value)
        if seconds is None:
            self.note(text.span, f"`{name}` is no span of time: `{text.value[:20]}`", "write a number and a unit: 500ms, 10s, 10m, 1h, 2d")
            return None
        if not least_s <= seconds <= most_s:
            bounds = f"from {duration_text(least_s)} to {duration_text(most_s)}"
            self.note(text.span, f"`{name}` of {text.value} is out of bounds", f"it may be {bounds}")
            return None
        return seconds

    def size(self, node: Node | None, name: str, example: str, least: int) -> int | None:
        """A number of bytes, no less than `least`."""
        text = self.text(node, name, example)
        if text is None:
            return None
        size_bytes = parse_size(text.value)
        if size_bytes is None:
            self.note(text.span, f"`{name}` is no size: `{text.value[:20]}`", "write a number and a unit: 500KB, 64MB, 1.5GB, 64MiB")
            return None
        if size_bytes < least:
            self.note(text.span, f"`{name}` of {text.value} is too small", f"it may be {size_text(least)} or more")
            return None
        return size_bytes

    def count(self, node: Node | None, name: str, example: str, most: int) -> int | None:
        """A whole number from 0 to `most`."""
        text = self.text(node, name, example)
        if text is None:
            return None
        if not text.value.isascii() or not text.value.isdigit() or len(text.value) > 9 or int(text.value) > most:
            self.note(text.span, f"`{name}` is no whole number from 0 to {most}: `{text.value[:20]}`", f"write `{example}`")
            return None
        return int(text.value)

    def choice(self, node: Node | None, name: str, choices: tuple[str, ...], default: str) -> str:
        """One of a few words."""
        example = f"{name.rpartition('.')[2]}: {choices[0]}"
        text = self.text(node, name, example)
        if text is None:
            return default
        if text.value not in choices:
            what = with_suggestion(f"`{name}` cannot be `{text.value}`", text.value, choices)
            self.note(text.span, what, f"it is one of {one_of(choices)}")
            return default
        return text.value

    def fields(self, entries: Iterable[tuple[Text, Node]], owner: str, known: tuple[str, ...], later: Collection[str]) -> dict[str, Node]:
        """The entries by key, with every key that has no meaning refused: by name if a later version knows it."""
        found: dict[str, Node] = {}
        for key, node in entries:
            if key.value in known:
                found[key.value] = node
                continue
            allowed = f"keys of {owner} are {one_of(known)}"
            if key.value in later:
                self.note(key.span, f"`{key.value}` has no meaning yet in this version of linkd", f"take it out; {allowed}")
                continue
            remedy = allowed
            if any(character.isspace() for character in key.value):
                remedy = "put quotes around a text that has a comma or a colon in it"
            self.note(key.span, with_suggestion(f"{owner} has no key `{key.value}`", key.value, known), remedy)
        return found


def _kind(node: Node) -> str:
    match node:
        case Text(value=""):
            return "empty"
        case Text():
            return "a text"
        case Listing():
            return "a list"
        case Record():
            return "a mapping"
