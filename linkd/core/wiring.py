"""The wiring grammar: text in, tasks and wires with their places out, or what is wrong with it.

    wiring  = { line }
    line    = "(" [ wires ] ")" task "(" [ wires ] ")"       on one line; line breaks only inside the parentheses
    wires   = wire { "," wire }
    wire    = link [ "*" ] [ policy ]                        a policy behind inputs only
    comment = "#" to the end of the line

`in*`: people and programs outside may append. `out*` is accepted, and means an ordinary output. Policies are read in `policies`; what they or a
graph *mean* is checked in `graph` and `assembly`; here only the text is read, as much of it as can be.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, NoReturn

from linkd.core.diagnostics import Problem, Span
from linkd.core.policies import (
    BARE,
    POLICY_WORDS,
    PolicyError,
    WirePolicy,
    parse_policy_word,
    parse_window,
    policy_slip,
    render_policy,
)
from linkd.model.frozen import frozen

_SHAPE = "a line of the wiring is `(inputs) task (outputs)`"


@frozen()
class Wire:
    """One end of a link at a task. `policy_text` is the policy as written, without brackets' surroundings: `latest`, `[10/5]`, or ""."""

    link: str
    span: Span
    is_open: bool = False
    policy: WirePolicy = BARE
    policy_text: str = ""
    policy_span: Span | None = None


@frozen()
class WiredTask:
    """One line of the wiring."""

    name: str
    span: Span
    inputs: tuple[Wire, ...]
    outputs: tuple[Wire, ...]


@frozen()
class Wiring:
    """All lines that could be read, in the order of the text."""

    tasks: tuple[WiredTask, ...] = ()


@frozen()
class ParsedWiring:
    """`is_complete` says that every line was read: only then do checks of the whole graph make sense."""

    wiring: Wiring
    problems: tuple[Problem, ...]
    is_complete: bool


@frozen()
class Origin:
    """Where a line of the wiring's text begins in the file around it; both count from 1."""

    line: int
    column: int


def parse_wiring(text: str, origins: Sequence[Origin] = ()) -> ParsedWiring:
    """Read a wiring. Never raises.

    `origins[i]` is the place of line i in the file that contains the text; without them places are those of the text itself.
    """
    tokens = _tokens(text, origins)
    parser = _Parser(tokens)
    parser.parse()
    return ParsedWiring(Wiring(tuple(parser.tasks)), tuple(parser.problems), parser.is_complete)


def render_wiring(wiring: Wiring) -> str:
    """The canonical text of a wiring: equal for texts that differ in white space and comments only."""
    return "".join(f"({_render_wires(task.inputs)}) {task.name} ({_render_wires(task.outputs)})\n" for task in wiring.tasks)


def _render_wires(wires: Sequence[Wire]) -> str:
    return ", ".join(f"{wire.link}{'*' if wire.is_open else ''}{render_policy(wire.policy)}" for wire in wires)


_Kind = Literal["(", ")", ",", "*", "]", "window", "word", "end"]

_TOKEN = re.compile(r"(?P<space>[^\S\n]+)|(?P<comment>#.*)|(?P<window>\[[^\[\](),#]*\]?)|(?P<mark>[(),*\]])|(?P<word>[^\s()\[\],*#]+)")
LINE_BREAK = re.compile(r"\r\n|[\n\r\x85\u2028\u2029]")
"""What YAML counts as the end of a line."""


@frozen()
class _Token:
    kind: _Kind
    text: str
    span: Span
    starts_line: bool = False


def _tokens(text: str, origins: Sequence[Origin]) -> list[_Token]:
    tokens: list[_Token] = []
    lines = LINE_BREAK.split(text)
    for number, line in enumerate(lines):
        origin = origins[number] if number < len(origins) else Origin(number + 1, 1)
        starts_line = True
        for match in _TOKEN.finditer(line):
            if match.lastgroup in ("space", "comment"):
                continue
            span = Span(origin.line, origin.column + match.start(), len(match[0]))
            tokens.append(_Token(_kind(match), match[0], span, starts_line))
            starts_line = False
    last = tokens[-1].span if tokens else Span(1, 1)
    tokens.append(_Token("end", "", Span(last.line, last.column + last.length, 1), starts_line=True))
    return tokens


def _kind(match: re.Match[str]) -> _Kind:
    if match.lastgroup == "window":
        return "window"
    if match.lastgroup == "word":
        return "word"
    mark: dict[str, _Kind] = {"(": "(", ")": ")", ",": ",", "*": "*", "]": "]"}
    return mark[match[0]]


class _Unreadable(Exception):
    """The rest of a line cannot be read."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.what)
        self.problem = problem


class _Parser:
    """Recursive descent over the tokens; after an unreadable line it goes on with the next line that begins with `(`."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._next = 0
        self.tasks: list[WiredTask] = []
        self.problems: list[Problem] = []
        self.is_complete = True

    def parse(self) -> None:
        while self._peek.kind != "end":
            try:
                self.tasks.append(self._line())
                self._end_of_line()
            except _Unreadable as unreadable:
                self.problems.append(unreadable.problem)
                self.is_complete = False
                self._skip_line()

    @property
    def _peek(self) -> _Token:
        return self._tokens[self._next]

    def _take(self) -> _Token:
        token = self._tokens[self._next]
        if token.kind != "end":
            self._next += 1
        return token

    def _skip_line(self) -> None:
        while self._peek.kind != "end" and not (self._peek.starts_line and self._peek.kind == "("):
            self._next += 1

    def _line(self) -> WiredTask:
        if self._peek.kind == "window":
            self._fail(self._peek.span, f"`{self._peek.text}` stands alone", "the name of the pipeline is in `pipeline:`")
        if self._peek.kind != "(":
            self._fail(self._peek.span, f"`{self._peek.text}` is not the beginning of a line", _SHAPE)
        inputs = self._wires(is_input=True)
        name = self._peek
        if name.starts_line or name.kind == "(":
            self._fail(self._behind_last(), "the name of a task is missing here", _SHAPE)
        if name.kind != "word":
            self._fail(name.span, f"`{name.text}` is not the name of a task", _SHAPE)
        self._take()
        if self._peek.starts_line:
            remedy = f"{_SHAPE}; write `()` where there are none"
            self._fail(name.span, f"the outputs of task `{name.text}` are missing", remedy)
        if self._peek.kind != "(":
            what = f"`{self._peek.text}` between task `{name.text}` and its outputs has no meaning"
            self._fail(self._peek.span, what, _SHAPE)
        outputs = self._wires(is_input=False)
        return WiredTask(name.text, name.span, inputs, outputs)

    def _end_of_line(self) -> None:
        token = self._peek
        if not token.starts_line:
            self._fail(
                token.span, f"`{token.text}` stands behind the outputs of `{self.tasks[-1].name}`", "give each task a line of its own"
            )

    def _wires(self, *, is_input: bool) -> tuple[Wire, ...]:
        """The wires between two parentheses, both taken."""
        opening = self._take()
        noted = len(self.problems)
        wires: list[Wire] = []
        needs_wire = False
        while True:
            token = self._peek
            if token.kind == ")":
                if needs_wire:
                    self._note(token.span, "a wire is missing before `)`", "name one, or remove the comma before it")
                self._take()
                return tuple(wires)
            if token.kind in ("end", "("):
                del self.problems[noted:]  # what seemed wrong inside is most likely the line behind the missing parenthesis
                self._fail(opening.span, "this `(` is not closed", "write `)` behind its last wire")
            if token.kind == ",":
                self._note(token.span, "a wire is missing before this comma", "name one, or remove the comma")
                self._take()
                needs_wire = True
                continue
            if token.kind != "word":
                self._fail(token.span, f"`{token.text}` is not the name of a link", _SHAPE)
            wires.append(self._wire(is_input=is_input))
            needs_wire = self._separator(wires[-1])

    def _separator(self, wire: Wire) -> bool:
        """What stands between two wires; whether another wire has to follow."""
        token = self._peek
        if token.kind == ",":
            self._take()
            return True
        if token.kind == "word":
            self._missing_comma(wire, token)
        elif token.kind not in (")", "end", "("):
            remedy = "a wire is `link`, `link*` or `link policy`, and commas separate wires"
            self._fail(token.span, f"`{token.text}` behind `{_shown(wire)}` has no meaning", remedy)
        return False

    def _missing_comma(self, wire: Wire, token: _Token) -> None:
        """Say what is wrong with a second word behind a wire, and take it if it was meant as a policy."""
        if token.text in POLICY_WORDS:
            self._note(token.span, f"`{token.text}` stands behind `{_shown(wire)}`", "a wire has one policy; commas separate wires")
            self._take()
            return
        remedy = f"commas separate wires: `{_shown(wire)}, {token.text}`"
        policy = parse_policy_word(token.text)
        if not wire.policy_text and isinstance(policy, PolicyError) and policy_slip(token.text):
            self._note(token.span, policy.what, f"if it is a link, {remedy}")
            self._take()
            return
        self._note(token.span, f"there is no comma between `{_shown(wire)}` and `{token.text}`", remedy)

    def _wire(self, *, is_input: bool) -> Wire:
        name = self._take()
        is_open = False
        if self._peek.kind == "*":
            self._take()
            is_open = True
        token = self._peek
        if token.kind == "window" or (token.kind == "word" and token.text in POLICY_WORDS):
            self._take()
            if not is_input:
                what = f"`{token.text}` behind the output `{name.text}`: only inputs have policies"
                self._note(token.span, what, "write it behind this link where a task reads it")
                return Wire(name.text, name.span)
            policy = self._policy(token)
            return Wire(name.text, name.span, is_open, policy, token.text, token.span)
        return Wire(name.text, name.span, is_open and is_input)

    def _policy(self, token: _Token) -> WirePolicy:
        if token.kind == "word":
            parsed = parse_policy_word(token.text)
        elif not token.text.endswith("]"):
            parsed = PolicyError("this `[` is not closed", "write `]` behind the window")
        else:
            parsed = parse_window(token.text[1:-1])
        if isinstance(parsed, PolicyError):
            self._note(token.span, parsed.what, parsed.remedy)
            return BARE
        return parsed

    def _behind_last(self) -> Span:
        """The place right behind the token that was taken last."""
        last = self._tokens[self._next - 1].span
        return Span(last.line, last.column + last.length, 1)

    def _note(self, span: Span, what: str, remedy: str) -> None:
        self.problems.append(Problem(span, what, remedy))

    def _fail(self, span: Span, what: str, remedy: str) -> NoReturn:
        raise _Unreadable(Problem(span, what, remedy))


def _shown(wire: Wire) -> str:
    mark = "*" if wire.is_open else ""
    gap = "" if wire.policy_text.startswith("[") or not wire.policy_text else " "
    return f"{wire.link}{mark}{gap}{wire.policy_text}"
