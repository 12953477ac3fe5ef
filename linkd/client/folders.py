"""Directories as values, on the program's side: what is in one that is put, and writing one that was got. Blocking, but for getting the files."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from linkd.client.artifact_sources import first_error
from linkd.core.file_lists import ListedFile, check_path, file_list
from linkd.errors import InvalidArgument, ValueTooLarge
from linkd.limits import DIRECTORY_FILES_MAX
from linkd.model.frozen import frozen

_SAVED_AT_ONCE = 16


@frozen()
class Folder:
    """Paths of files, with whether they are executable, and of folders without any."""

    files: tuple[tuple[str, bool], ...]
    empty: tuple[str, ...]


def folder_of(path: Path) -> Folder:
    """What is in a directory. Symbolic links stand for what they point to, which must be in it.

    Raises InvalidArgument for what cannot be part of a value (a socket, a link that leads out), ValueTooLarge for too many files.
    """
    files: list[tuple[str, bool]] = []
    empty: list[str] = []
    root = path.resolve()
    for directory, folders, names in os.walk(path):
        folders.sort()
        for name in [*names, *(folder for folder in folders if (Path(directory) / folder).is_symlink())]:
            found = Path(directory) / name
            inside = check_path(found.relative_to(path).as_posix())
            files.append((inside, _is_executable(found, root)))
            if len(files) > DIRECTORY_FILES_MAX:
                raise ValueTooLarge(
                    f"{path} has more than {DIRECTORY_FILES_MAX:,} files, and a directory that is a value has no more than that"
                )
        if not folders and not names and Path(directory) != path:
            empty.append(check_path(Path(directory).relative_to(path).as_posix()))
    return Folder(tuple(files), tuple(empty))


def _is_executable(found: Path, root: Path) -> bool:
    """Of what is to be a file of the directory."""
    try:
        target, mode = found.resolve(strict=True), found.stat().st_mode
    except OSError as problem:
        raise InvalidArgument(f"{found} cannot be read: {problem.strerror or problem}") from None
    if not target.is_relative_to(root):
        raise InvalidArgument(f"{found} is a symbolic link out of the directory: put what it points to, or leave it out")
    if not stat.S_ISREG(mode):
        raise InvalidArgument(f"{found} is no regular file, and a directory that is a value has only these: leave it out")
    return bool(mode & stat.S_IXUSR)


async def write_folder(path: Path, content: bytes, save: Callable[[bytes, Path], Awaitable[None]]) -> None:
    """Makes the directory that a list says; `save` writes a file. All of it, or nothing. Raises InvalidArgument if something is there."""
    listed = file_list(content)
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise InvalidArgument(f"{path} is there already: give the path of a directory that is to be made")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    except OSError as problem:
        raise InvalidArgument(f"{path} cannot be made: {problem.strerror or problem}") from None
    some_at_a_time = asyncio.Semaphore(_SAVED_AT_ONCE)

    async def write(one: ListedFile) -> None:
        async with some_at_a_time:
            target = made / one.path
            target.parent.mkdir(parents=True, exist_ok=True)
            await save(one.digest, target)
            if one.executable:
                target.chmod(target.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)

    try:
        try:
            async with asyncio.TaskGroup() as group:
                for one in listed.files:
                    group.create_task(write(one), name=f"linkd get {one.path}")
        except ExceptionGroup as failures:
            raise first_error(failures) from None
        for folder in listed.folders:
            (made / folder).mkdir(parents=True, exist_ok=True)
        made.chmod(0o777 & ~_umask())
        made.replace(path)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
