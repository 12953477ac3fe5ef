"""The directories of one run of a program: what it finds as LINKD_IN, and what it leaves as LINKD_OUT.

    SPILL/PID-RANDOM/       one process of the task, gone with it (`query.scratch`)
        NUMBER/             one run of the program, and then another one
            in/             LINKD_IN: a file for each input
            out/            LINKD_OUT: a file for each output, when the program is done
            taken/          those files, while they are read: nobody who kept LINKD_OUT can put something else in their place

Both directories are private, and the files in them are copies: whatever a program does to them, no link is touched.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from linkd.core.diagnostics import did_you_mean
from linkd.errors import StorageFailed, StorageFull, TaskFailed
from linkd.faces.files.work import FILE_FORMAT, IN_VARIABLE, OUT_VARIABLE, FileTask
from linkd.model.frozen import frozen

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_STRAYS_NAMED = 5
_KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFBLK: "a device",
    stat.S_IFCHR: "a device",
}


@frozen()
class RunDirectory:
    """The directories of one run, until they are given back, or kept elsewhere."""

    path: Path

    @property
    def inputs(self) -> Path:
        return self.path / "in"

    @property
    def outputs(self) -> Path:
        return self.path / "out"

    @property
    def taken(self) -> Path:
        return self.path / "taken"

    @property
    def parts(self) -> tuple[Path, ...]:
        return self.inputs, self.outputs, self.taken

    @property
    def variables(self) -> dict[str, str]:
        """By which the program finds them."""
        return {IN_VARIABLE: str(self.inputs), OUT_VARIABLE: str(self.outputs)}


class RunDirectories:
    """The directories of runs below one parent. They are used again: to make and remove them takes longer than many a program."""

    def __init__(self, parent: Path) -> None:
        self._parent = parent
        self._numbers = count(1)
        self._free: list[RunDirectory] = []

    def take(self) -> RunDirectory:
        """Empty directories that nobody uses. Raises StorageFailed where the disk refuses."""
        if self._free:
            return self._free.pop()
        directory = RunDirectory(self._parent / str(next(self._numbers)))
        with translated("the files of a run"):
            for path in (directory.path, *directory.parts):
                path.mkdir(mode=0o700)
        return directory

    def empty(self, directory: RunDirectory) -> None:
        """The files are not needed any more: their room is free before the run is over."""
        for path in directory.parts:
            with suppress(OSError):  # as in `give_back`, which sees to that
                _empty(path)

    def give_back(self, directory: RunDirectory) -> None:
        """The run is over: what lies in its directories is removed, unless they have been moved elsewhere."""
        try:
            for path in directory.parts:
                _empty(path)
        except OSError:  # the program has made something else of them
            shutil.rmtree(directory.path, ignore_errors=True)
        else:
            self._free.append(directory)


def removed(path: Path) -> None:
    """What is there of an input that is a file is gone."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _empty(path: Path) -> None:
    """Raises OSError for what is no directory of ours any more."""
    descriptor = os.open(path, _DIRECTORY)
    try:
        with os.scandir(descriptor) as entries:
            for entry in list(entries):
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.name, dir_fd=descriptor)
                else:
                    os.unlink(entry.name, dir_fd=descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def translated(what: str) -> Iterator[None]:
    """What the operating system refuses while `what` is written or read, as an error of ours."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        kind = StorageFull if full else StorageFailed
        remedy = "make room there, and run again" if full else "see to the disk, and run again"
        raise kind(f"{what}: {error.filename or 'the disk'}: {error.strerror}; {remedy}") from error


@frozen()
class Left:
    """What a program left: the file of each output, moved to where only we look, and the names of what is no output."""

    files: dict[str, Path]
    strays: tuple[str, ...]
    size_bytes: int
    """Of these files, directories not counted."""

    def note(self, task: FileTask) -> str:
        """What there is to say about the strays; "" if there are none."""
        if not self.strays:
            return ""
        names = f"{', '.join(self.strays[:_STRAYS_NAMED])}{' ...' if len(self.strays) > _STRAYS_NAMED else ''}"
        wanted = ", ".join(map(task.file_name, task.outputs)) or "it has none"
        return f"{task.name} left {names} in ${OUT_VARIABLE}, which is no output and is dropped (outputs: {wanted})"


def take_outputs(task: FileTask, directory: RunDirectory) -> Left:
    """Takes the files of all outputs away from the program, which has ended.

    Raises TaskFailed, naming output and file, for one that is missing or is no regular file, and where LINKD_OUT is another directory now.
    """
    with translated("what a program wrote"):
        descriptor = _opened(task, directory.outputs)
        try:
            found = sorted(os.listdir(descriptor))  # noqa: PTH208  # of the directory that was looked at
            names = {output: task.file_name(output) for output in task.outputs}
            strays = tuple(name for name in found if name not in names.values())
            files, size_bytes = {}, 0
            for output, name in names.items():
                if name not in found:
                    raise TaskFailed(_missing(task, output, name, strays))
                files[output] = directory.taken / name
                os.rename(name, files[output], src_dir_fd=descriptor)
                now = files[output].lstat()
                if task.terms.formats[output] != FILE_FORMAT or not stat.S_ISDIR(now.st_mode):
                    _check_regular(task, name, now.st_mode)
                    size_bytes += now.st_size
        finally:
            os.close(descriptor)
    return Left(files, strays, size_bytes)


def _opened(task: FileTask, path: Path) -> int:
    try:
        return os.open(path, _DIRECTORY)
    except OSError as error:
        now = "is gone"
        with suppress(OSError):
            now = f"is {_KINDS.get(stat.S_IFMT(path.lstat().st_mode), 'a file')} now"
        raise TaskFailed(f"{task.name}: ${OUT_VARIABLE} {now}: it is linkd's, write into it and leave it where it is") from error


def _check_regular(task: FileTask, name: str, mode: int) -> None:
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "no file")
        what = f"{task.name} made ${OUT_VARIABLE}/{name} {kind}"
        raise TaskFailed(f"{what}: an output is a regular file; write what it is to hold into it (cp, not ln)")


def _missing(task: FileTask, output: str, name: str, strays: tuple[str, ...]) -> str:
    what = f"{task.name} wrote no ${OUT_VARIABLE}/{name}, the file of its output {output}"
    if not strays:
        return f"{what}: write it, if only an empty one"
    near = did_you_mean(name, strays, 0.5)
    meant = f"; did you mean {name} where it wrote {near}?" if near else ""
    return f"{what}{meant} (it wrote: {', '.join(strays[:_STRAYS_NAMED])})"
