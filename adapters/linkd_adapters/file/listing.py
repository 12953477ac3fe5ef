"""The files that a location means: one, those that a pattern matches, or those in a directory.

`data/2013-*.csv` is a pattern (`*`, `?`, `[...]` as in a shell; `**` stands for any number of directories) unless a file has that very name.
`data/` is every visible regular file in it, not below it, of the format that `format:` names or that their extensions tell. Hidden files
are matched only by a pattern that names the dot. Files come in the order of their names. Of several files, stat and digest are

    size_bytes   the sum
    mtime_ns     the latest
    inode        of BLAKE3 of the JSON list [[name, inode, size, mtime], ...] the first 8 bytes, big-endian, without the highest bit
    digest       BLAKE3 of the JSON list [[name, digest of the file], ...]

with names relative to the pipeline's directory as the location is, and JSON without white space.
"""

from __future__ import annotations

import difflib
import glob
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path, PurePath

from blake3 import blake3

from linkd.errors import DataFault, InvalidArgument
from linkd.limits import SOURCE_FILES_MAX
from linkd.plugin.contract import SourcePart, SourceStat
from linkd_adapters.file.location import FileFormat, FileLocation, format_of_name, packing_of_name, reading_problem

_SHOWN_MAX = 3


def files_of(location: FileLocation) -> list[FileLocation]:
    """The files of a source, at least one. Raises `InvalidArgument` saying why there is none, or more than `SOURCE_FILES_MAX`."""
    if not location.is_several:
        problem = reading_problem(location)
        if problem is not None:
            raise InvalidArgument(problem)
        return [replace(location, format=location.format or _format_of(location, location.path.name))]
    if location.is_directory and (problem := reading_problem(location)) is not None:
        raise InvalidArgument(problem)
    names = _matches(location) if location.is_pattern else _entries(location)
    if not names:
        raise InvalidArgument(_nothing_found(location))
    if len(names) > SOURCE_FILES_MAX:
        raise too_many(location, f"{len(names):,}")
    return [_one(location, name) for name in names]


def too_many(location: FileLocation, count: str) -> InvalidArgument:
    """The error for a location that means more files than a source has."""
    remedy = "choose fewer by a narrower pattern, or put them together"
    return InvalidArgument(f"{location.shown} means {count} files, and a source has at most {SOURCE_FILES_MAX:,}; {remedy}")


def entries_of(location: FileLocation) -> list[FileLocation]:
    """The files in a directory, by their names; there may be none, or no directory any more."""
    try:
        return [_one(location, name) for name in _entries(location)]
    except FileNotFoundError:
        return []


def place_problem(location: FileLocation) -> str | None:
    """Why there is nothing to read at the location, with a remedy, or `None` if there is something."""
    try:
        files = files_of(location)
    except (InvalidArgument, DataFault) as error:
        return str(error)
    return next((problem for problem in map(reading_problem, files) if problem is not None), None)


def _one(location: FileLocation, name: str) -> FileLocation:
    return replace(
        location,
        shown=name,
        path=Path(location.base, name),
        format=location.format or _format_of(location, name),
        packing=packing_of_name(name),
        is_pattern=False,
        is_directory=False,
    )


def _format_of(location: FileLocation, name: str) -> FileFormat:
    found = format_of_name(name)
    if found is None:
        raise InvalidArgument(f"{location.shown}: the name {name} does not tell the format; say format:")
    return found


def _matches(location: FileLocation) -> list[str]:
    """The regular files that the pattern matches, as a person would write them, sorted."""
    # Of `glob` and not of `Path.glob`, which matches hidden files by `*`; and by `os.path`, for there may be thousands of them.
    matched = glob.iglob(location.shown, root_dir=location.base, recursive=True)  # noqa: PTH207
    names = sorted(name for name in matched if os.path.isfile(os.path.join(location.base, name)))  # noqa: PTH113, PTH118
    require_one_format(location, names)
    return names


def _entries(location: FileLocation) -> list[str]:
    """The visible regular files of the format in the directory, sorted."""
    with os.scandir(location.path) as entries:
        found = sorted(entry.name for entry in entries if not entry.name.startswith(".") and entry.is_file())
    if location.format is not None:
        found = [name for name in found if format_of_name(name) is location.format]
    else:
        found = [name for name in found if format_of_name(name) is not None]
    names = [str(PurePath(location.shown, name)) for name in found]
    require_one_format(location, names)
    return names


def require_one_format(location: FileLocation, names: Sequence[str]) -> None:
    """Raise `InvalidArgument` if nothing but the names tells the format, and they tell several."""
    if location.format is not None:
        return
    formats = {format_of_name(name): name for name in reversed(names)}
    if len(formats) > 1:
        seen = " and ".join(f"{name} ({kind or 'no known format'})" for kind, name in sorted(formats.items(), key=lambda item: item[1])[:2])
        raise InvalidArgument(f"{location.shown} means files of several formats, such as {seen}; say format:, or narrow the pattern")


def _nothing_found(location: FileLocation) -> str:
    """Why a pattern or a directory means no file, and what may be meant."""
    if location.is_directory:
        wanted = f"of format {location.format}" if location.format else "whose name ends in .csv, .jsonl, .parquet or .arrow"
        with os.scandir(location.path) as entries:
            others = sorted(entry.name for entry in entries if not entry.name.startswith("."))
        holds = f"it holds {_some(others)}" if others else "it is empty"
        return f"{location.shown} has no file {wanted} in it: {holds}"
    parent = Path(location.base, location.shown)
    while glob.has_magic(str(parent)):
        parent = parent.parent
    if not parent.is_dir():
        return f"{location.shown} matches no file: there is no directory {parent}"
    wanted = PurePath(location.shown).name
    names = sorted(entry.name for entry in parent.iterdir() if entry.is_file() and not entry.name.startswith("."))
    return f"{location.shown} matches no file{what_is_there(wanted, names, str(parent))}"


def what_is_there(wanted: str, names: Sequence[str], where: str) -> str:
    """How a sentence goes on that says that nothing is as `wanted`: what may be meant, or what there is."""
    near = difflib.get_close_matches(wanted, names, n=_SHOWN_MAX, cutoff=0.5)
    return f"; did you mean {_some(near)}?" if near else f"; {where} holds {_some(names)}" if names else f"; {where} is empty"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN_MAX} more" if len(names) > _SHOWN_MAX else ""
    return ", ".join(names[:_SHOWN_MAX]) + more


def combined_stat(files: Iterable[tuple[str, SourceStat]], is_several: bool) -> SourceStat:
    """The stat of a source from those of its files, by name: see the module."""
    listed = list(files)
    if not is_several:
        return listed[0][1]
    stats = [stat for _, stat in listed]
    hashed = blake3(_json([[name, stat.inode, stat.size_bytes, stat.mtime_ns] for name, stat in listed])).digest()
    return SourceStat(
        size_bytes=sum(stat.size_bytes for stat in stats),
        mtime_ns=max(stat.mtime_ns for stat in stats),
        inode=int.from_bytes(hashed[:8], "big") >> 1,
    )


def combined_digest(parts: Sequence[SourcePart], is_several: bool) -> str:
    """The digest of a source from those of its files: see the module."""
    if not is_several:
        return parts[0].digest
    return str(blake3(_json([[part.name, part.digest] for part in parts])).hexdigest())


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(errors="surrogateescape")
