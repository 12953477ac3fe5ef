"""What a location means: which file, which format, and what is wrong with it that a look at the directory can tell."""

from __future__ import annotations

import difflib
import enum
import os
from dataclasses import dataclass
from pathlib import Path

from linkd.errors import Error, InvalidArgument, StorageFailed
from linkd.plugin.contract import LinkOptions, Role

_EXTENSIONS = {".csv": "csv", ".parquet": "parquet", ".pq": "parquet"}
_PACKINGS = (".gz", ".zip")


class FileFormat(enum.StrEnum):
    CSV = "csv"
    PARQUET = "parquet"


FORMATS = tuple(str(known) for known in FileFormat)


@dataclass(frozen=True, slots=True)
class FileLocation:
    """A file as linkd reads or writes it. `shown` is the location as the person wrote it; `packing` the extension around it, or ""."""

    shown: str
    path: Path
    format: FileFormat
    packing: str


def locate(options: LinkOptions) -> FileLocation:
    """The file and format that the options mean. Raises `InvalidArgument` for a format or extension that is none."""
    path = Path(options.base, options.location)
    stem, packing = path.name.lower(), ""
    for known in _PACKINGS:
        if stem.endswith(known):
            stem, packing = stem.removesuffix(known), known
    return FileLocation(options.location, path, _format(options, Path(stem).suffix, packing), packing)


def _format(options: LinkOptions, extension: str, packing: str) -> FileFormat:
    if options.format is not None:
        if options.format not in FORMATS:
            near = difflib.get_close_matches(options.format.lower(), FORMATS, n=1)
            meant = f"did you mean `{near[0]}`?" if near else f"formats are {', '.join(FORMATS)}"
            raise InvalidArgument(f"{options.location}: `{options.format}` is not a format of files; {meant}")
        return FileFormat(options.format)
    if extension not in _EXTENSIONS:
        ending = f"`{extension}{packing}`" if extension or packing else "a name without an extension"
        raise InvalidArgument(f"{options.location}: {ending} does not tell the format; say format: csv or format: parquet")
    return FileFormat(_EXTENSIONS[extension])


def role_problem(options: LinkOptions, location: FileLocation, role: Role) -> str | None:
    """What the format cannot do in this role, or `None`."""
    if location.format is FileFormat.PARQUET and location.packing:
        return f"{location.shown}: Parquet is compressed inside; unpack it, or write it without {location.packing}"
    if location.format is FileFormat.PARQUET and options.nulls:
        return f"{location.shown}: Parquet has nulls of its own; nulls: is for CSV, so remove it"
    if role is Role.SINK and location.packing == ".zip":
        return f"{location.shown}: linkd reads .zip and does not write it; write .csv.gz or .csv"
    return None


def reading_problem(location: FileLocation) -> str | None:
    """Why the file cannot be opened for reading, with a remedy, or `None` if it can be."""
    path = location.path
    if path.is_dir():
        return f"{location.shown} is a directory; name a file in it"
    if not path.exists():
        return f"{location.shown} does not exist{_nearby(location)}"
    if not path.is_file():
        return f"{location.shown} is not a regular file; a source is read twice, so write it to a file first"
    if not os.access(path, os.R_OK):
        return f"{location.shown} may not be read by this user; change its permissions: chmod u+r {path}"
    return None


def _nearby(location: FileLocation) -> str:
    """A neighbour that may be meant: the same file packed or not, or a similar name; or which directory is missing."""
    parent = location.path.parent
    if not parent.is_dir():
        return f": there is no directory {parent}"
    names = sorted(entry.name for entry in parent.iterdir() if not entry.name.startswith("."))
    wanted = location.path.name
    related = [name for name in names if name.startswith(f"{wanted}.") or wanted.startswith(f"{name}.")]
    near = related or difflib.get_close_matches(wanted, names, n=1)
    if not near:
        return f" in {parent}"
    return f"; did you mean {location.shown.removesuffix(wanted)}{near[0]}?"


def writing_problem(location: FileLocation) -> str | None:
    """Why the file cannot be written, with a remedy, or `None` if it can be. Missing directories will be made."""
    if location.path.is_dir():
        return f"{location.shown} is a directory; name a file in it"
    parent = Path(os.path.realpath(location.path)).parent
    while not parent.exists() and parent != parent.parent:
        parent = parent.parent
    if not parent.is_dir():
        return f"{location.shown} cannot be written: {parent} is a file, not a directory; move it away or choose another place"
    if not os.access(parent, os.W_OK | os.X_OK):
        remedy = "change its permissions or choose another place"
        return f"{location.shown} cannot be written: directory {parent} is not writable by this user; {remedy}"
    return None


def reading_failed(location: FileLocation, error: OSError) -> Error:
    """What the operating system refused while reading, as an error of ours."""
    problem = reading_problem(location)
    if problem is not None:
        return InvalidArgument(problem)
    return StorageFailed(f"{location.shown} cannot be read: {error.strerror or error}; check the disk it lies on")


def writing_failed(location: FileLocation, error: OSError) -> Error:
    """What the operating system refused while writing, as an error of ours."""
    problem = writing_problem(location)
    if problem is not None or isinstance(error, PermissionError | FileNotFoundError | NotADirectoryError):
        return InvalidArgument(problem or f"{location.shown} cannot be written: {error.strerror}; choose another place")
    return StorageFailed(
        f"{location.shown} cannot be written: {error.strerror or error}; make room or choose another place, then run again"
    )
