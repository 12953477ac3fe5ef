"""The prompt of `linkd sql`: statements over several lines until `;`, with history, completion, and commands that begin with `\\`.

Ctrl-C ends the statement that runs, or clears the line; Ctrl-D, `\\q` or `exit` leaves. An error never does. Importing this module imports
prompt_toolkit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa
from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.enums import DEFAULT_BUFFER
from prompt_toolkit.filters import has_focus
from prompt_toolkit.history import History
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

from linkd.app.cli.sql_answer import Presentation, answer
from linkd.app.cli.sql_completion import suggestions
from linkd.app.cli.sql_history import SqlHistory
from linkd.app.cli.tables import Column, print_columns
from linkd.app.cli.terminal import remark, result_console
from linkd.app.wording import number_text
from linkd.core.arrow_types import type_text
from linkd.core.diagnostics import with_suggestion
from linkd.core.sql_text import StatementCutter, is_complete
from linkd.errors import Error, InvalidArgument, LinkNotFound, StorageFailed

if TYPE_CHECKING:
    from linkd.client.description import Description
    from linkd.client.sync import Client

LEAVE = ("\\q", "exit", "quit")
HELP = """\
\\d         the links
\\d LINK    the columns of a link
\\timing    tell how long a statement takes, or do not
\\q         leave (or Ctrl-D)
A statement is one SELECT, over as many lines as you like, and ends with `;`. Ctrl-C stops one that runs. Tab completes."""


def converse(client: Client, presentation: Presentation, history: SqlHistory) -> None:
    """Answers until the person leaves. Raises what keeps it from beginning."""
    conversation = Conversation(client, presentation)
    remark(f"{conversation.pipeline}: a SELECT over links, ended by `;`  (\\d: links, \\?: help, \\q: leave)", quiet=presentation.quiet)
    session: PromptSession[str] = PromptSession(
        message=f"{conversation.pipeline}> ",
        prompt_continuation=lambda width, line, wraps: " " * (width - 3) + "-> ",
        multiline=True,
        key_bindings=_bindings(),
        history=_Remembered(history),
        completer=Suggesting(conversation),
        complete_while_typing=False,
        enable_history_search=True,
    )
    while True:
        try:
            text = session.prompt()
        except KeyboardInterrupt:
            continue
        except EOFError:
            return
        if not conversation.take(text):
            return


class Conversation:
    """What is asked at the prompt, and answered."""

    def __init__(self, client: Client, presentation: Presentation) -> None:
        self._client = client
        self._presentation = presentation
        self._described = client.describe()
        self._commands: dict[str, Callable[[str], None]] = {
            "\\d": self._tell_links,
            "\\timing": self._switch_timing,
            "\\?": self._help,
            "\\h": self._help,
            "help": self._help,
        }

    @property
    def pipeline(self) -> str:
        return self._described.pipeline

    def take(self, text: str) -> bool:
        """Answers a command, or statements until one fails. False if the person leaves."""
        command, _, argument = text.strip().rstrip(";").rstrip().partition(" ")
        if command.lower() in LEAVE:
            return False
        try:
            if command in self._commands:
                self._commands[command](argument.strip())
            elif command.startswith("\\"):
                raise InvalidArgument(f"{with_suggestion(f'there is no command `{command}`', command, self._commands)} (\\? lists them)")
            else:
                self._answer(text)
        except KeyboardInterrupt:
            remark("stopped")
        except Error as error:
            remark(str(error))
        return True

    def columns(self) -> dict[str, Sequence[str]]:
        """The links and their columns, as they are now; as they were when last asked for, where the home is away."""
        try:
            self._described = self._client.describe()
        except Error:  # completion is no place to complain: the next statement will
            pass
        return {link.name: _schema(link.schema).names for link in self._described.links}

    def _answer(self, text: str) -> None:
        cutter = StatementCutter()
        for statement in (*cutter.feed(text), *cutter.rest()):
            answer(self._client, statement.text, self._presentation)

    def _tell_links(self, link: str) -> None:
        self._described = self._client.describe()
        if link:
            self._tell_columns(self._described, link)
            return
        links = self._described.links
        reads = [each.read for each in links]
        columns = [
            Column("link", [each.name for each in links]),
            Column("rows", [number_text(read.rows) if read else "" for read in reads], True),
            Column("state", [read.state if read else "empty" for read in reads]),
            Column("columns", [", ".join(_schema(each.schema).names) for each in links]),
        ]
        print_columns(result_console(), columns)

    def _tell_columns(self, described: Description, link: str) -> None:
        known = {each.name: each for each in described.links}
        if link not in known:
            raise LinkNotFound(with_suggestion(f"there is no link `{link}`", link, known))
        schema = _schema(known[link].schema)
        if not schema.names:
            raise LinkNotFound(f"{link} has no columns yet: nothing was published to it")
        print_columns(result_console(), [Column("column", schema.names), Column("type", [type_text(kind) for kind in schema.types])])

    def _switch_timing(self, _: str) -> None:
        self._presentation = replace(self._presentation, timing=not self._presentation.timing)
        remark(f"timing is {'on' if self._presentation.timing else 'off'}")

    def _help(self, _: str) -> None:
        result_console().print(HELP)


def _schema(message: bytes) -> pa.Schema:
    return pa.ipc.read_schema(pa.py_buffer(message)) if message else pa.schema([])


def ends(text: str) -> bool:
    """Whether what was typed is all of it, so that Enter sends it: nothing, a command, or statements that have ended."""
    return text.lstrip().startswith("\\") or text.strip().lower() in (*LEAVE, "help") or is_complete(text)


def _bindings() -> KeyBindings:
    bindings = KeyBindings()

    @bindings.add("enter", filter=has_focus(DEFAULT_BUFFER))
    def enter(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if buffer.complete_state is not None:
            buffer.complete_state = None
        elif ends(buffer.text):
            buffer.validate_and_handle()
        else:
            buffer.newline(copy_margin=False)

    return bindings


class _Remembered(History):
    """The history as the prompt wants it; where the file does not serve, that is said once."""

    def __init__(self, kept: SqlHistory) -> None:
        super().__init__()
        self._kept = kept
        self._told = False

    def load_history_strings(self) -> Iterable[str]:
        """The newest first."""
        try:
            return reversed(self._kept.load())
        except StorageFailed as error:
            self._tell(error)
            return ()

    def store_string(self, string: str) -> None:
        try:
            self._kept.append(string)
        except StorageFailed as error:
            self._tell(error)

    def _tell(self, error: StorageFailed) -> None:
        if not self._told:
            self._told = True
            remark(str(error))


class Suggesting(Completer):
    """Completes with what there is now."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        before = document.text_before_cursor
        columns = self._conversation.columns()
        if before.lstrip().startswith("\\"):
            word = before.split(" ")[-1]
            commands = ("\\d", "\\timing", "\\q", "\\?")
            names = list(columns) if " " in before.strip() + before[-1:] else [name for name in commands if name.startswith(word)]
            yield from (Completion(name, -len(word)) for name in names if name.startswith(word))
            return
        word, found = suggestions(before, document.text_after_cursor, columns)
        yield from (Completion(each.text, -len(word), display_meta=each.about) for each in found)
