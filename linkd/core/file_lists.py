"""The list of a directory: the artifact that a directory is, which names its files. Pure.

JSON in UTF-8 without white space, keys in this order, files and folders in the order of their paths as bytes:

    {"linkd":"directory","version":1,
     "folders":["empty",...],                                                     folders without a file in them
     "files":[{"path":"a/b.csv","size":12,"digest":"<64 digits>","executable":true},...]}     `executable` only where it is

So equal directories have equal lists, and one digest. A path is relative, with `/` between names of which none is empty, `.` or `..`; whoever
writes a directory from a list that a stranger made depends on that, so it is checked by whoever reads one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from linkd.core.artifacts import digest_of
from linkd.errors import InvalidArgument, ValueTooLarge
from linkd.limits import ARTIFACT_NAME_MAX_BYTES, DIRECTORY_FILES_MAX, DIRECTORY_LIST_MAX_BYTES
from linkd.model.frozen import frozen

_KIND = "directory"
_VERSION = 1


@frozen()
class ListedFile:
    """A file of a directory."""

    path: str
    size_bytes: int
    digest: bytes
    executable: bool = False


@frozen()
class FileList:
    """A directory. `folders` are those without a file in them."""

    files: tuple[ListedFile, ...]
    folders: tuple[str, ...] = ()

    @property
    def size_bytes(self) -> int:
        """Of all its files."""
        return sum(one.size_bytes for one in self.files)

    def encoded(self) -> bytes:
        """Raises ValueTooLarge, InvalidArgument for paths that may not be."""
        _check_paths([one.path for one in self.files], self.folders)
        files = [_said(one) for one in sorted(self.files, key=lambda one: one.path.encode())]
        said = {"linkd": _KIND, "version": _VERSION, "folders": sorted(self.folders, key=str.encode), "files": files}
        data = json.dumps(said, separators=(",", ":"), ensure_ascii=False).encode()
        if len(data) > DIRECTORY_LIST_MAX_BYTES:
            raise ValueTooLarge(f"the list of a directory has {DIRECTORY_LIST_MAX_BYTES:,} bytes at most, and this one {len(data):,}")
        return data


def file_list(data: bytes) -> FileList:
    """What a directory's list says. Raises InvalidArgument for what is none, or names a path outside of the directory."""
    try:
        said = json.loads(data)
        if said["linkd"] != _KIND or said["version"] != _VERSION:
            raise InvalidArgument(f"this version of linkd reads lists of directories of version {_VERSION}, and this is another one")
        files = tuple(_file(one) for one in said["files"])
        folders = tuple(said["folders"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise InvalidArgument("this is not the list of a directory: that is the JSON of proto/linkd/v1/artifacts.proto") from None
    _check_paths([one.path for one in files], folders)
    return FileList(files, folders)


def check_path(path: str) -> str:
    """The path itself. Raises InvalidArgument unless it stays inside the directory that it is of."""
    names = path.split("/") if isinstance(path, str) else []
    if not names or any(name in ("", ".", "..") or "\\" in name or any(ord(char) < 0x20 for char in name) for name in names):
        raise InvalidArgument(
            f"{str(path)[:80]!r} cannot be a path in a directory: it is relative, with no empty name, no `.` and no `..` in it"
        )
    if len(path.encode(errors="surrogatepass")) > ARTIFACT_NAME_MAX_BYTES:
        raise InvalidArgument(f"a path in a directory has {ARTIFACT_NAME_MAX_BYTES:,} bytes at most, and {path[:40]!r}... has more")
    return path


def _check_paths(files: Sequence[str], folders: Iterable[str]) -> None:
    """None stands twice, none outside, and what has something below it is no file."""
    if len(files) > DIRECTORY_FILES_MAX:
        raise ValueTooLarge(f"a directory that is a value has {DIRECTORY_FILES_MAX:,} files at most, and this one {len(files):,}")
    paths = [*files, *folders]
    known = {check_path(path) for path in paths}
    above = {path[:at] for path in known for at, char in enumerate(path) if char == "/"}
    if len(known) != len(paths) or above & set(files):
        raise InvalidArgument("the list of a directory has a path twice, or a file where a folder is")


def _said(one: ListedFile) -> dict[str, Any]:
    said: dict[str, Any] = {"path": one.path, "size": one.size_bytes, "digest": one.digest.hex()}
    return {**said, "executable": True} if one.executable else said


def _file(said: Any) -> ListedFile:
    size_bytes = said["size"]
    if not isinstance(size_bytes, int) or isinstance(size_bytes, bool) or size_bytes < 0:
        raise InvalidArgument("the list of a directory gives a file a size that is none")
    return ListedFile(check_path(said["path"]), size_bytes, digest_of(str(said["digest"])), said.get("executable") is True)
