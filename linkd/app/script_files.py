"""Which files a task's command runs: those it names, and the Python modules beside them that they import.

Found by reading, not by running: `import` statements of a script anywhere in it (also inside functions), resolved in the directory of the
script, as Python does for the script that it starts, and from there on. What comes from installed packages is not followed, nor is what a
program finds in other ways (`importlib`, `exec`, data files): such a task gets a `version:` in the pipeline file, or names the file in its
command.
"""

from __future__ import annotations

import ast
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path

from linkd import limits
from linkd.core.pipeline import TaskSpec

_REDIRECTIONS = frozenset({">", ">>", ">|", ">&", "&>", "&>>"})
_MODULE_FLAG = "-m"


def script_files(task: TaskSpec, directory: Path) -> dict[str, Path]:
    """The files that are part of a task's version, by name: as in the command, or relative to `directory` for imported modules.

    Every word of the command (or what stands behind `=` in it) that is a regular file below `SCRIPT_FILE_MAX_BYTES`, relative to
    `directory`, also as a module behind `-m`; not what the command writes to by `>`, and not programs found by PATH.
    """
    found: dict[str, Path] = {}
    before = ""
    for word in _words(task.command):
        names = _module_paths(word) if before == _MODULE_FLAG else (word, word.partition("=")[2])
        for name in names:
            if name and name not in found and _is_script(directory / name):
                found[name] = directory / name
                break
        before = word
    for path in list(found.values()):
        _add_imports(path, directory, found)
    return found


def _add_imports(script: Path, directory: Path, found: dict[str, Path]) -> None:
    """The modules that a Python script imports, and those that they import, as far as they lie beside it."""
    if script.suffix != ".py":
        return
    home = script.parent
    known = {path.resolve() for path in found.values()}
    waiting = [script]
    while waiting and len(found) < limits.SCRIPT_FILES_MAX:
        for module in _imported(waiting.pop(), home):
            resolved = module.resolve()
            if resolved not in known:
                known.add(resolved)
                found[_shown(module, directory)] = module
                waiting.append(module)


def _imported(path: Path, home: Path) -> Iterator[Path]:
    """The files of the modules that `path` imports. Nothing for a file that is not Python: the interpreter will say so when it runs."""
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield from _module_files(home, name.name.split("."))
        elif isinstance(node, ast.ImportFrom):
            base = home
            if node.level:
                base = path.parent
                for _ in range(node.level - 1):
                    base = base.parent
            parts = node.module.split(".") if node.module else []
            yield from _module_files(base, parts)
            for name in node.names:  # `from package import module`
                yield from _module_files(base, [*parts, name.name])


def _module_files(base: Path, parts: list[str]) -> Iterator[Path]:
    """The file of a module below `base`, and the `__init__.py` of every package on the way to it."""
    for length in range(1, len(parts) + 1):
        place = base.joinpath(*parts[:length])
        if _is_script(place / "__init__.py"):
            yield place / "__init__.py"
        elif _is_script(place.with_name(f"{place.name}.py")):
            yield place.with_name(f"{place.name}.py")
            return
        elif not place.is_dir():
            return


def _module_paths(module: str) -> tuple[str, ...]:
    """What `python -m module` would run, relative to the working directory."""
    path = module.replace(".", "/")
    return (f"{path}/__main__.py", f"{path}.py")


def _shown(path: Path, directory: Path) -> str:
    return str(path.relative_to(directory)) if path.is_relative_to(directory) else str(path)


def _words(command: str | tuple[str, ...] | None) -> Iterator[str]:
    if command is None:
        return
    if not isinstance(command, str):
        yield from command
        return
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    lexer.commenters = ""
    try:
        words = list(lexer)
    except ValueError:
        # An open quote: the shell will say so when it runs; until then its words are as good as any.
        words = command.split()
    is_target = False
    for word in words:
        if not is_target:
            yield word
        is_target = word in _REDIRECTIONS


def _is_script(path: Path) -> bool:
    try:
        found = path.stat()
    except (OSError, ValueError):
        return False
    return stat.S_ISREG(found.st_mode) and found.st_size < limits.SCRIPT_FILE_MAX_BYTES
