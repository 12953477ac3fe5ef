"""Which program a task's command really runs: what its first word means on the task's PATH, and behind that what a script's `#!` names."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from linkd.core.pipeline import TaskSpec

_PYTHON = re.compile(r"(?:python|pypy)[0-9.]*")
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_SEPARATOR = re.compile(r"[();&|]+|&&|\|\|")
_PASSED_OVER = frozenset({"exec", "env", "time", "nohup", "command", "!", "if", "then", "else", "do", "while", "{"})
"""Words of the shell, and programs that run the one behind them."""
_SHEBANG_MAX_BYTES = 256


def interpreter_of(spec: TaskSpec, environ: Mapping[str, str], directory: Path) -> str | None:
    """The program that runs the task, as an absolute path: its Python if there is one, else what its first word means.

    None for SQL, and for what cannot be found. `environ` is the task's own, `directory` the one it runs in.
    """
    found: str | None = None
    for word in _program_words(spec.command):
        path = _resolved(word, environ, directory)
        if path is None:
            continue
        path = _shebang(path, environ, directory) or path
        if _PYTHON.fullmatch(Path(path).name):
            return path
        found = found or path
    return found


def _program_words(command: str | tuple[str, ...] | None) -> Iterator[str]:
    """The words of a command that name programs."""
    if command is None:
        return
    words = _shell_words(command) if isinstance(command, str) else list(command)
    is_program = True
    for word in words:
        if isinstance(command, str) and _SEPARATOR.fullmatch(word):
            is_program = True
        elif is_program and not _ASSIGNMENT.match(word) and word not in _PASSED_OVER:
            yield word
            is_program = False


def _shell_words(command: str) -> list[str]:
    words: list[str] = []
    for line in command.splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        try:
            words += [*lexer, ";"]
        except ValueError:  # a quote that goes on in the next line: the shell knows better, and a guess does here
            words += [*line.split(), ";"]
    return words


def _resolved(word: str, environ: Mapping[str, str], directory: Path) -> str | None:
    if "/" in word:
        path = directory / word
        return str(path) if path.is_file() else None
    return shutil.which(word, path=environ.get("PATH", ""))


def _shebang(path: str, environ: Mapping[str, str], directory: Path) -> str | None:
    """The interpreter that a script names in its first line; None for a program."""
    try:
        with Path(path).open("rb") as file:
            first = file.readline(_SHEBANG_MAX_BYTES)
    except OSError:
        return None
    if not first.startswith(b"#!"):
        return None
    words = first[2:].decode("utf-8", "replace").split()
    if words and Path(words[0]).name == "env":
        words = [word for word in words[1:] if not word.startswith("-") and "=" not in word]
    return _resolved(words[0], environ, directory) if words else None
