"""A pipeline file as a tree of texts with places, before anything in it has a meaning, and how to take it apart.

There are no types here beyond text, list and mapping: `on`, `NO`, `1e3` and `2013-01-01` stay what was written.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from linkd.core.diagnostics import Problem, Span, one_of, with_suggestion


@dataclass(frozen=True, slots=True)
class Text:
    """A scalar. Its span is that of its first line; `style` is `|`, `>`, a quote, or nothing for a plain one."""

    value: str
    span: Span
    style: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    items: tuple[Node, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Record:
    """A mapping: keys are texts, none twice."""

    entries: tuple[tuple[Text, Node], ...]
    span: Span


Node = Text | Listing | Record


class Reader:
    """Takes nodes apart and keeps what is wrong with them; every method gives None or nothing for what cannot be used."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def note(self, span: Span | None, what: str, remedy: str = "") -> None:
        self.problems.append(Problem(span, what, remedy))

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
