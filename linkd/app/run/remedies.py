"""What the last words of a program that failed say about how it was started, and what to do then."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from linkd.app.run.interpreter import interpreter_of
from linkd.core.pipeline import TaskSpec

_FILE_VARIABLE = re.compile(r"\bLINKD_(?:IN|OUT)\b")


def remedy(spec: TaskSpec, tail: Sequence[str], environment: Mapping[str, str], directory: Path) -> str:
    """Lines for below the message that the task failed; "" if nothing is known. `environment` is that of the program, `tail` what it said last."""
    missing = next((line for line in reversed(tail) if line.startswith("ModuleNotFoundError")), None)
    if missing is not None:
        return f"\n  {missing}{_interpreter(spec, environment, directory)}"
    unset = next((line for line in reversed(tail) if _FILE_VARIABLE.search(line)), None)
    if unset is not None and spec.files is None:
        return (
            f"\n  {unset}: {spec.name} is not told to meet its links as files\n  add `files: whole` to tasks.{spec.name} (or `each: true`)"
        )
    return ""


def _interpreter(spec: TaskSpec, environment: Mapping[str, str], directory: Path) -> str:
    """Which Python a task ran with, and how to have another."""
    found = interpreter_of(spec, environment, directory)
    used = f": the program ran with {found}" if found is not None else ""
    choose = "activate the virtual environment that has the module, or name its python in `run:`"
    return f"{used}\n  {choose} (such as `run: .venv/bin/python {spec.name}.py`)"
