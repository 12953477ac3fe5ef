"""A directory as a sink: a file for each value, and always those of one generation alone (`mode: parts`).

`to: out/totals/` (or `to: out/totals.parquet`, as Spark names them) gives

    out/totals -> .totals.linkd/gen-000003                          a symbolic link to the generation that readers see
    out/.totals.linkd/gen-000003/part-000003-0000000042.parquet     the value 42, in generation 3

so `out/totals/*.parquet` in DuckDB, polars or a shell, and `out/totals` in Spark or pyarrow, are the parts of one generation. The link is
replaced by a rename, so there is no moment at which a reader sees parts of two, and a new generation takes the place of the old one only when
everything there is of it was written; while there is no old one, parts are seen as they come. (A `current` link inside of the directory
would not do: DuckDB's `*` matches hidden directories too, and would read everything twice.) A part is written aside and renamed: nobody sees
half of one, and a value that is written again takes the same name with the same bytes. Part names carry the generation, so whoever listed
the directory before a switch and opens a file behind it is told that it is gone. The generation before stays for those who are in it; what is
older is removed. Parts that somebody takes away are not missed.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from linkd.durability import sync_directory
from linkd.errors import Conflict
from linkd.plugin.contract import LinkOptions, SinkResult, SinkValue, ValueSink
from linkd_adapters.file.location import FileLocation, format_of_name, packing_of_name
from linkd_adapters.file.modes import PARTS
from linkd_adapters.file.ownership import Place, require_unchanged
from linkd_adapters.file.sink import OpenSink, translated
from linkd_adapters.steps import in_thread

_GENERATION = "gen-"


class PartsSink(ValueSink):
    """See the module."""

    def __init__(self, options: LinkOptions, location: FileLocation) -> None:
        self._options = options
        self._location = location
        self._target = location.path
        self._store = location.path.with_name(f".{location.path.name}.linkd")
        self._extension = part_extension(location)

    async def check(self, last: Mapping[str, str]) -> None:
        await in_thread(lambda: self._check(last))

    async def write(self, value: SinkValue, last: Mapping[str, str]) -> SinkResult:
        return await in_thread(lambda: self._write(value, last))

    async def caught_up(self, generation: int) -> None:
        await in_thread(lambda: self._show(generation))

    async def close(self) -> None:
        return

    def _check(self, last: Mapping[str, str]) -> None:
        with translated(self._location):
            self._require_place()
            if last.get("mode") == PARTS and "path" in last:
                part = Path(last["path"])
                require_unchanged(
                    Place(self._options.link, f"{self._location.shown.rstrip('/')}/{part.name}", part, self._options.overwrite), last
                )

    def _require_place(self) -> None:
        """Raise `Conflict` if something else than our link stands there. An empty directory does not count."""
        path, shown = self._target, self._location.shown
        if path.is_symlink():
            if path.readlink().parent.name == self._store.name:
                return
            raise Conflict(f"{shown} is a link to {path.readlink()}, and linkd wants to make a link there itself: move it away")
        if path.is_dir() and next(path.iterdir(), None) is not None:
            raise Conflict(f"{shown} is a directory that linkd did not make, and holds files: move it away, or name one inside of it")
        if path.is_file():
            raise Conflict(f"{shown} is a file, and mode: parts makes a directory of that name: move it away")

    def _write(self, value: SinkValue, last: Mapping[str, str]) -> SinkResult:
        self._check(last)
        directory = self._directory(value.generation)
        name = f"part-{value.generation:06}-{value.sequence:010}{self._extension}"
        with translated(self._location):
            if (last.get("mode"), last.get("generation")) != (PARTS, str(value.generation)):
                # The first part of a generation: what stands there is of a state that was removed, or of a commit that never was.
                shutil.rmtree(directory, ignore_errors=True)
        part = replace(self._location, path=directory / name, shown=f"{self._location.shown.rstrip('/')}/{name}", is_directory=False)
        written = OpenSink.begin(self._options, part, value.data.schema)
        try:
            written.write(value.data)
            written.end()
            made = written.commit()
        except BaseException:
            written.abort()
            raise
        if not self._target.is_symlink():
            self._show(value.generation)
        return replace(made, attributes={"mode": PARTS, "generation": str(value.generation), "sequence": str(value.sequence)})

    def _show(self, generation: int) -> None:
        """Make readers see this generation, and remove those that nobody can be in any more."""
        with translated(self._location):
            directory = self._directory(generation)
            before = self._target.readlink().name if self._target.is_symlink() else ""
            if before == directory.name:
                return
            directory.mkdir(parents=True, exist_ok=True)
            if self._target.is_dir() and not before:
                self._target.rmdir()
            fresh = self._store / "shown-next"
            fresh.unlink(missing_ok=True)
            fresh.symlink_to(Path(self._store.name, directory.name))
            fresh.replace(self._target)
            sync_directory(self._store)
            sync_directory(self._target.parent)
            for old in self._generations():
                if old.name not in (before, directory.name):
                    shutil.rmtree(old)

    def _directory(self, generation: int) -> Path:
        return self._store / f"{_GENERATION}{generation:06}"

    def _generations(self) -> Iterator[Path]:
        return (entry for entry in list(self._store.iterdir()) if entry.name.startswith(_GENERATION))


def part_extension(location: FileLocation) -> str:
    """Of the parts: that of the location if it tells the format, else the format's name."""
    name = location.path.name
    packing = packing_of_name(name)
    own = Path(name.removesuffix(packing)).suffix if format_of_name(name) is not None else f".{location.format}"
    return own + packing
