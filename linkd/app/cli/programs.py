"""Whether the program and the script that a `run:` names are there, as far as can be told without running them.

A command that needs a shell to be understood (pipes, variables, `&&`, ...) is left to the shell. Of any other, the first word must be found
on PATH or be a file, and so must the script that an interpreter is given.
"""

from __future__ import annotations

import os
import shlex
import shutil
from pathlib import Path

from linkd.core.diagnostics import with_suggestion

_SHELL_CHARACTERS = frozenset("|&;<>()$`\\*?[]#~{}!\n")
_SHELL_BUILTINS = frozenset({".", ":", "cd", "eval", "exec", "exit", "export", "set", "source", "trap", "ulimit", "umask", "unset"})
_INTERPRETERS = frozenset({"python", "node", "Rscript", "ruby", "perl", "julia", "php", "lua", "sh", "bash", "zsh"})
_SCRIPT_SUFFIXES = frozenset({".py", ".js", ".mjs", ".cjs", ".R", ".r", ".rb", ".pl", ".jl", ".php", ".lua", ".sh"})


def program_problem(command: str | tuple[str, ...], directory: Path, search_path: str) -> str | None:
    """Why `command` cannot run in `directory`, with a remedy; None if nothing speaks against it."""
    words = _words(command)
    if not words:
        return None
    program, *arguments = words
    if program in _SHELL_BUILTINS and isinstance(command, str):
        return None
    return _absent_program(program, directory, search_path) or _absent_script(program, arguments, directory)


def _words(command: str | tuple[str, ...]) -> list[str]:
    """The words of a command that needs no shell, without settings of variables before it; none of one that does."""
    if not isinstance(command, str):
        return list(command)
    if _SHELL_CHARACTERS.intersection(command):
        return []
    try:
        words = shlex.split(command)
    except ValueError:
        return []
    while words and words[0].partition("=")[0].isidentifier() and "=" in words[0]:
        words.pop(0)
    return words


def _absent_program(program: str, directory: Path, search_path: str) -> str | None:
    if os.sep not in program:
        if shutil.which(program, path=search_path) is not None:
            return None
        if (directory / program).is_file():
            return f"there is no program `{program}` on PATH; for the file beside the pipeline write `./{program}`"
        return f"there is no program `{program}` on PATH; install it, or name its path"
    path = directory / program
    if not path.is_file():
        return with_suggestion(f"there is no program {path}", path.name, _names_beside(path))
    if not os.access(path, os.X_OK):
        return f"{path} may not be executed; chmod +x {path}, or put its interpreter before it"
    return None


def _absent_script(program: str, arguments: list[str], directory: Path) -> str | None:
    """Of `python clean.py --fast`: the script. Options before it may have arguments of their own, so only a sure script is looked for."""
    if Path(program).name.rstrip("0123456789.") not in _INTERPRETERS:
        return None
    first = next((word for word in arguments if not word.startswith("-")), None)
    if first is None or Path(first).suffix not in _SCRIPT_SUFFIXES or {"-c", "-m", "-e"}.intersection(arguments[: arguments.index(first)]):
        return None
    path = directory / first
    if path.is_file():
        return None
    return with_suggestion(f"there is no file {path}", path.name, _names_beside(path))


def _names_beside(path: Path) -> list[str]:
    try:
        return [entry.name for entry in path.parent.iterdir()]
    except OSError:
        return []
