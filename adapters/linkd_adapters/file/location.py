"""What a location means: which file or files, which format, and what is wrong with it that a look at the directory can tell."""

from __future__ import annotations

import difflib
import enum
import errno
import glob
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from linkd.errors import Error, InvalidArgument, StorageFailed
from linkd.plugin.contract import LinkOptions, Role


class FileFormat(enum.StrEnum):
    """Formats that are read and written; in messages by `TITLES`."""

    CSV = "csv"
    JSONL = "jsonl"
    PARQUET = "parquet"
    ARROW = "arrow"


FORMATS = tuple(str(known) for known in FileFormat)
TITLES = {FileFormat.CSV: "CSV", FileFormat.JSONL: "JSON lines", FileFormat.PARQUET: "Parquet", FileFormat.ARROW: "Arrow IPC"}

_EXTENSIONS = {
    ".csv": FileFormat.CSV,
    ".jsonl": FileFormat.JSONL,
    ".ndjson": FileFormat.JSONL,
    ".parquet": FileFormat.PARQUET,
    ".pq": FileFormat.PARQUET,
    ".arrow": FileFormat.ARROW,
    ".feather": FileFormat.ARROW,
    ".ipc": FileFormat.ARROW,
    ".arrows": FileFormat.ARROW,
}
_PACKINGS = (".gz", ".zip")
_SAY_FORMAT = "say format: csv, jsonl, parquet or arrow"
_SPREADSHEET = "is a spreadsheet, which linkd does not read; save the sheet as CSV (UTF-8) and name that"
_UNREAD = {
    ".tsv": 'is CSV with tabs; say format: csv and separator: "\\t"',
    ".tab": 'is CSV with tabs; say format: csv and separator: "\\t"',
    ".json": "holds one JSON document, and linkd reads JSON lines, one object per line; make them with: jq -c '.[]' {name} > {stem}.jsonl, "
    "or say format: jsonl if it has lines",
    ".xlsx": _SPREADSHEET,
    ".xlsm": _SPREADSHEET,
    ".xls": _SPREADSHEET,
    ".ods": _SPREADSHEET,
    ".bz2": "is packed with bzip2, and linkd unpacks .gz and .zip; pack it anew with: bzcat {name} | gzip > {stem}.gz",
    ".xz": "is packed with xz, and linkd unpacks .gz and .zip; pack it anew with: xzcat {name} | gzip > {stem}.gz",
    ".zst": "is packed with zstd, and linkd unpacks .gz and .zip; pack it anew with: zstdcat {name} | gzip > {stem}.gz",
    ".lz4": "is packed with lz4, and linkd unpacks .gz and .zip; pack it anew with: lz4cat {name} | gzip > {stem}.gz",
    ".tar": "is an archive of files; unpack it and name them, by a pattern if they are several",
    ".tgz": "is an archive of files; unpack it and name them, by a pattern if they are several",
    ".orc": "is ORC, which linkd does not read; write it as Parquet",
    ".avro": "is Avro, which linkd does not read; write it as Parquet",
    ".db": "is a database, not a table; export the table you mean as CSV or Parquet",
    ".sqlite": "is a database, not a table; export the table you mean as CSV or Parquet",
    ".duckdb": "is a database, not a table; export the table you mean as CSV or Parquet",
}
"""What people have and linkd does not read, by the end of its name: what it is, and what to do."""


@dataclass(frozen=True, slots=True)
class FileLocation:
    """A file as linkd reads or writes it, or several that are read as one.

    `shown` is the location as the person wrote it, relative to `base`; `packing` the extension around the file, or "". `format` is `None`
    where only the names of several files tell it.
    """

    shown: str
    base: Path
    path: Path
    format: FileFormat | None
    packing: str = ""
    is_pattern: bool = False
    is_directory: bool = False

    @property
    def is_several(self) -> bool:
        return self.is_pattern or self.is_directory


def locate(options: LinkOptions) -> FileLocation:
    """The file or files and the format that the options mean. Raises `InvalidArgument` for a format or extension that is none."""
    shown, path = options.shown, Path(options.base, options.location)
    declared = declared_format(options)
    # Of `os.path`, which says no where `Path` raises: what the system has against a place is said by `reading_problem` and `writing_problem`.
    if os.path.isdir(path) or shown.endswith(("/", os.sep)):  # noqa: PTH112
        return FileLocation(shown, options.base, path, declared or format_of_name(shown.rstrip("/")), is_directory=True)
    packing = packing_of_name(shown)
    if glob.has_magic(shown) and not os.path.exists(path):  # noqa: PTH110
        return FileLocation(shown, options.base, path, declared or format_of_name(shown), packing, is_pattern=True)
    return FileLocation(shown, options.base, path, declared or told_format(shown, packing), packing)


def packing_of_name(name: str) -> str:
    """The extension around a packed file, or ""."""
    return next((packing for packing in _PACKINGS if name.lower().endswith(packing)), "")


def format_of_name(name: str) -> FileFormat | None:
    """What the extension tells, if it does."""
    lowered = name.lower()
    return _EXTENSIONS.get(Path(lowered.removesuffix(packing_of_name(name))).suffix)


def declared_format(options: LinkOptions) -> FileFormat | None:
    """What `format:` says, if it does. Raises `InvalidArgument` for a format that is none."""
    if options.format is None or options.format in FORMATS:
        return FileFormat(options.format) if options.format is not None else None
    near = difflib.get_close_matches(options.format.lower(), FORMATS, n=1)
    meant = f"did you mean `{near[0]}`?" if near else f"formats are {', '.join(FORMATS)}"
    raise InvalidArgument(f"{options.shown}: `{options.format}` is not a format of files; {meant}")


def told_format(shown: str, packing: str) -> FileFormat:
    """What the name of a single file tells. Raises `InvalidArgument` for one that tells none that linkd knows."""
    found = format_of_name(shown)
    if found is not None:
        return found
    path = Path(shown.lower().removesuffix(packing))
    extension = path.suffix
    if extension in _UNREAD:
        raise InvalidArgument(f"{shown} {_UNREAD[extension].format(name=shown, stem=Path(shown).with_suffix(''))}")
    ending = f"`{extension}{packing}`" if extension or packing else "a name without an extension"
    raise InvalidArgument(f"{shown}: {ending} does not tell the format; {_SAY_FORMAT}")


def role_problem(options: LinkOptions, location: FileLocation, kind: FileFormat | None, role: Role) -> str | None:
    """What the format cannot do in this role, or `None`."""
    shown = location.shown
    if kind in (FileFormat.PARQUET, FileFormat.ARROW):
        title = TITLES[kind]
        if location.packing:
            return f"{shown}: {title} is compressed inside; unpack it, or write it without {location.packing}"
        if options.nulls:
            return f"{shown}: {title} has nulls of its own; nulls: is for CSV, so remove it"
    if kind is FileFormat.JSONL and options.nulls:
        return f"{shown}: JSON has a null of its own; nulls: is for CSV, so remove it"
    if role is Role.SINK and location.packing == ".zip":
        return f"{shown}: linkd reads .zip and does not write it; write {shown.removesuffix('.zip')}.gz or {shown.removesuffix('.zip')}"
    return None


def reading_problem(location: FileLocation) -> str | None:
    """Why the file cannot be opened for reading, with a remedy, or `None` if it can be."""
    path = location.path
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        if path.is_symlink():
            return f"{location.shown} is a symbolic link to {path.readlink()}, which does not exist; make it, or name another file"
        return f"{location.shown} does not exist{_nearby(location)}"
    except OSError as error:
        return f"{location.shown} cannot be read: {error.strerror}; {_remedy(error)}"
    if stat.S_ISDIR(mode) and not location.is_directory:
        return f"{location.shown} is a directory; name a file in it"
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        return f"{location.shown} is not a regular file; a source is read twice, so write it to a file first"
    if not os.access(path, os.R_OK):
        return f"{location.shown} may not be read by this user; change its permissions: chmod u+r {path}"
    return None


def _nearby(location: FileLocation) -> str:
    """A neighbour that may be meant: the same file packed or not, or a similar name; or which directory is missing."""
    parent = location.path.parent
    if not parent.is_dir():
        return f": there is no directory {parent}"
    if not os.access(parent, os.R_OK):
        return f" in {parent}"
    names = sorted(entry.name for entry in parent.iterdir() if not entry.name.startswith("."))
    wanted = location.path.name
    related = [name for name in names if name.startswith(f"{wanted}.") or wanted.startswith(f"{name}.")]
    near = related or difflib.get_close_matches(wanted, names, n=1)
    if not near:
        return f" in {parent}"
    return f"; did you mean {location.shown.removesuffix(wanted)}{near[0]}?"


def writing_problem(location: FileLocation) -> str | None:
    """Why the file cannot be written, with a remedy, or `None` if it can be. Missing directories will be made."""
    try:
        mode = location.path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        mode = stat.S_IFREG
    except OSError as error:
        return f"{location.shown} cannot be written: {error.strerror}; {_remedy(error)}"
    if stat.S_ISDIR(mode):
        return f"{location.shown} is a directory; name a file in it"
    if not stat.S_ISREG(mode):
        return f"{location.shown} is not a regular file; a sink is a file that can be replaced or added to, so name another place"
    parent = Path(os.path.realpath(location.path)).parent
    while not parent.exists() and parent != parent.parent:
        parent = parent.parent
    if not parent.is_dir():
        return f"{location.shown} cannot be written: {parent} is a file, not a directory; move it away or choose another place"
    if not os.access(parent, os.W_OK | os.X_OK):
        remedy = "change its permissions or choose another place"
        return f"{location.shown} cannot be written: directory {parent} is not writable by this user; {remedy}"
    return None


def _remedy(error: OSError) -> str:
    if isinstance(error, PermissionError):
        return "change the permissions of the directories on the way to it, or choose another place"
    return "choose another place"


def reading_failed(location: FileLocation, error: OSError) -> Error:
    """What the operating system refused while reading, as an error of ours."""
    problem = reading_problem(location)
    if problem is not None:
        return InvalidArgument(problem)
    return StorageFailed(f"{location.shown} cannot be read: {error.strerror or error}; check the disk it lies on")


def writing_failed(location: FileLocation, error: OSError) -> Error:
    """What the operating system refused while writing, as an error of ours."""
    problem = writing_problem(location)
    is_place = isinstance(error, PermissionError | FileNotFoundError | NotADirectoryError) or error.errno == errno.ENAMETOOLONG
    if problem is not None or is_place:
        return InvalidArgument(problem or f"{location.shown} cannot be written: {error.strerror}; choose another place")
    return StorageFailed(
        f"{location.shown} cannot be written: {error.strerror or error}; make room or choose another place, then run again"
    )
