"""What the last runs of a program that failed were given and had written, kept to look at and to run again by hand.

    FAILED/TASK/ID/in, out      ID is the beginning of the snapshot's, in hexadecimal; a later attempt at it takes the place of an earlier one

At most `FAILED_RUNS_KEPT` of a task, the newest, and none above `FAILED_RUN_KEPT_MAX_BYTES`.
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

from linkd.faces.files.directories import RunDirectory
from linkd.faces.files.work import FileTask
from linkd.limits import FAILED_RUN_KEPT_MAX_BYTES, FAILED_RUNS_KEPT, MIB

_ID_CHARS = 8


def keep(task: FileTask, run: RunDirectory, snapshot_id: bytes) -> str:
    """Keeps the directories of a run that failed. Returns what there is to say about it; that a disk refuses it is no failure of its own."""
    try:
        size_bytes = sum(path.lstat().st_size for path in run.path.rglob("*"))
        if size_bytes > FAILED_RUN_KEPT_MAX_BYTES:
            return f"its files are not kept: they have {-(-size_bytes // MIB):,} MiB, and {FAILED_RUN_KEPT_MAX_BYTES // MIB:,} MiB are kept at most"
        kept = RunDirectory(task.failed_directory / task.name / snapshot_id.hex()[:_ID_CHARS])
        kept.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.rmtree(kept.path, ignore_errors=True)
        run.path.rename(kept.path)
        for path in kept.taken.iterdir():  # what was taken from the program is its again
            path.rename(kept.outputs / path.name)
        kept.taken.rmdir()
        _remove_older(kept.path.parent)
    except OSError as error:
        return f"its files could not be kept: {error.strerror}: {error.filename}"
    return f"its files are in {kept.path}; once more, by hand: {task.by_hand(kept.path.name)}"


def kept_runs(failed_directory: Path, task: str) -> dict[str, dict[str, str]]:
    """The runs of the task that were kept, the newest first: the variables of each by its ID."""
    found = _newest_first(failed_directory / task) if (failed_directory / task).is_dir() else []
    return {path.name: RunDirectory(path).variables for path in found}


def _newest_first(parent: Path) -> list[Path]:
    return sorted(parent.iterdir(), key=lambda path: path.stat().st_mtime_ns, reverse=True)


def _remove_older(parent: Path) -> None:
    for path in _newest_first(parent)[FAILED_RUNS_KEPT:]:
        with suppress(OSError):
            shutil.rmtree(path)
