"""`linkd run --reset`: forgetting what a pipeline's links hold, and nothing else."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from linkd.errors import StateDamaged

KEPT = frozenset({"lock", "run.lock", "logs", "groups.json"})
"""Of the state directory: the locks that are being held, what programs printed, and what an earlier run may have left running."""


def may_forget(pipeline: str, directory: Path) -> bool:
    """Asks the person, if there is one at a terminal and anything to forget. True is go on."""
    if not sys.stdin.isatty() or not any(path.name not in KEPT for path in directory.iterdir()):
        return True
    size_bytes = sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
    question = f"This forgets all values that the links of {pipeline} hold ({size_bytes / 1e6:,.1f} MB in {directory}). Go on? [y/N] "
    print(question, end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def forget(directory: Path) -> None:
    """Deletes the state. The locks of home and run must be held. Raises StateDamaged if something cannot be deleted."""
    for path in directory.iterdir():
        if path.name in KEPT:
            continue
        try:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
        except OSError as error:
            raise StateDamaged(f"{path} cannot be deleted: {error.strerror}; delete {directory} by hand") from error
