"""YAML text to a tree of texts with places (`core.document`), without YAML's implicit types, its aliases, its tags and its duplicate keys.

Only PyYAML's scanner, parser and composer are used: no object is ever constructed from the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml
from yaml.reader import ReaderError

from linkd import limits
from linkd.core.diagnostics import Problem, Span
from linkd.core.document import Listing, Node, Record, Text
from linkd.core.wiring import LINE_BREAK, Origin
from linkd.model.frozen import frozen

_TEXT_TAG = "tag:yaml.org,2002:str"
_QUOTES = "put quotes around a text that begins with a special character, or has `: ` or ` #` in it"


@frozen()
class YamlDocument:
    """`root` is None if there is none to be had; `lines` are those of the file."""

    root: Record | None
    problems: tuple[Problem, ...]
    lines: Sequence[str]


def read_yaml(text: str) -> YamlDocument:
    """The tree of a file's text. Never raises for what the text holds."""
    lines = LINE_BREAK.split(text)
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
        finally:
            loader.dispose()
    except _Refused as refused:
        return YamlDocument(None, (refused.problem,), lines)
    except ReaderError as error:
        return YamlDocument(None, (_unreadable_character(text, error),), lines)
    except yaml.MarkedYAMLError as error:
        return YamlDocument(None, (_syntax_problem(error, lines),), lines)
    if node is None:
        remedy = "begin it with `pipeline: NAME`"
        return YamlDocument(None, (Problem(None, "the file is empty", remedy),), lines)
    converter = _Converter()
    root = converter.convert(node)
    if not isinstance(root, Record):
        what = "a pipeline file is a mapping, and this is " + ("a list" if isinstance(root, Listing) else "a text")
        converter.problems.append(Problem(root.span, what, "begin it with `pipeline: NAME`"))
        return YamlDocument(None, tuple(converter.problems), lines)
    return YamlDocument(root, tuple(converter.problems), lines)


def line_origins(text: Text, lines: Sequence[str]) -> list[Origin] | Problem:
    """Where each line of a text begins in the file, or why that cannot be said of it.

    A text in `|` style keeps its lines; of the other styles only those on a single line, without escapes, do.
    """
    inside = LINE_BREAK.split(text.value)
    if text.style == "|":
        first = text.span.line + 1
        return [_origin(line, number, lines) for number, line in enumerate(inside, first)]
    column = text.span.column + (1 if text.style in ("'", '"') else 0)
    shown = lines[text.span.line - 1]
    if len(inside) == 1 and text.style != ">" and shown[column - 1 :].startswith(text.value):
        return [Origin(text.span.line, column)]
    return Problem(
        text.span, "the wiring is not written as a block that keeps its lines", "write `wiring: |`, and its lines indented below"
    )


def _origin(line: str, number: int, lines: Sequence[str]) -> Origin:
    shown = lines[number - 1] if number <= len(lines) else ""
    return Origin(number, len(shown) - len(line) + 1 if shown.endswith(line) else 1)


class _Refused(Exception):
    """Valid YAML that a pipeline file may not use."""

    def __init__(self, what: str, remedy: str, span: Span) -> None:
        super().__init__(what)
        self.problem = Problem(span, what, remedy)


class _Loader(yaml.BaseLoader):
    """Refuses aliases, which can make a small file endless, and bounds the depth."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        place = Span(event.start_mark.line + 1, event.start_mark.column + 1)
        if self.check_event(yaml.AliasEvent):
            what, remedy = f"`*{event.anchor}`: aliases are not for pipeline files", "write the value out where it is needed"
            raise _Refused(what, remedy, place)
        if self._depth == limits.PIPELINE_FILE_DEPTH_MAX:
            what, remedy = f"nested deeper than {self._depth} levels", "a pipeline file needs about five"
            raise _Refused(what, remedy, place)
        self._depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1


class _Converter:
    """PyYAML's nodes to ours."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def convert(self, node: yaml.Node) -> Node:
        span = _span(node)
        if node.tag.startswith("!") or "python/" in node.tag:
            self.problems.append(Problem(span, f"`{node.tag}`: tags are not for pipeline files", "take it out"))
        if isinstance(node, yaml.SequenceNode):
            return Listing(tuple(self.convert(item) for item in node.value), span)
        if isinstance(node, yaml.MappingNode):
            return self._record(node, span)
        style: str | None = getattr(node, "style", None)
        return Text(self._value(node.value, span), span, style or "")

    def _record(self, node: yaml.MappingNode, span: Span) -> Record:
        entries: dict[str, tuple[Text, Node]] = {}
        for key_node, value_node in node.value:
            key, value = self.convert(key_node), self.convert(value_node)
            if not isinstance(key, Text):
                self.problems.append(Problem(key.span, "a key has to be a text", "write `key: value`"))
            elif key.value in entries:
                first = entries[key.value][0].span.line
                what = f"`{key.value}` is there twice; the first is in line {first}"
                self.problems.append(Problem(key.span, what, "YAML would take the last one silently: keep one"))
            else:
                entries[key.value] = (key, value)
        return Record(tuple(entries.values()), span)

    def _value(self, value: str, span: Span) -> str:
        if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
            self.problems.append(Problem(span, "a text holds a character that no program can take (NUL, or half a pair)", "take it out"))
            return ""
        return value


def _span(node: yaml.Node) -> Span:
    start, end = node.start_mark, node.end_mark
    is_text = isinstance(node, yaml.ScalarNode) and start.line == end.line
    return Span(start.line + 1, start.column + 1, max(1, end.column - start.column) if is_text else 1)


def _unreadable_character(text: str, error: ReaderError) -> Problem:
    before = LINE_BREAK.split(text[: error.position])
    span = Span(len(before), len(before[-1]) + 1)
    return Problem(
        span,
        f"the character U+{ord(text[error.position]):04X} may not stand in a YAML file",
        "take it out, or is this another kind of file?",
    )


def _syntax_problem(error: yaml.MarkedYAMLError, lines: Sequence[str]) -> Problem:
    mark = error.problem_mark or error.context_mark
    span = Span(mark.line + 1, mark.column + 1) if mark is not None else None
    found = error.problem or error.context or "this is not YAML"
    line = lines[span.line - 1] if span is not None and span.line <= len(lines) else ""
    if "\\t" in found or (span is not None and line[span.column - 1 : span.column] == "\t"):
        return Problem(span, "a tab where YAML wants spaces", "indent with spaces")
    if "single document" in (error.context or ""):
        return Problem(span, "a second document begins here", "one file holds one pipeline: take out `---`")
    opened = error.context_mark
    if opened is not None and opened.line + 1 != (span.line if span else 0):
        found = f"{found} ({error.context}, from line {opened.line + 1})"
    return Problem(span, f"not YAML: {found}", _QUOTES)
