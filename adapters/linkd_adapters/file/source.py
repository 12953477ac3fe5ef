"""Files as a source: one, or several that have one schema and are read as one, in the order of their names.

The survey reads every file once to find types and digest; reading reads them again, except for the rows of small files, which the survey
has kept for the first reader. What is in them is the business of the format (`reader`). A batch never holds rows of two files. Importing
this module imports no pyarrow: asking for stat and digest shall be quick. Where they lie, on this machine or elsewhere, is the business of
`Files`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Protocol

from linkd.errors import DataFault, InvalidArgument, SourceChanged
from linkd.limits import FOLLOW_SETTLED_S
from linkd.plugin.contract import STOP, LinkOptions, Source, SourceBatch, SourcePart, SourceStat, Survey
from linkd_adapters.file.completeness import is_complete
from linkd_adapters.file.follow_position import finite_position
from linkd_adapters.file.growth import appearance, can_grow, followed, has_begun, is_continued, watch_of
from linkd_adapters.file.listing import combined_digest, combined_stat, files_of
from linkd_adapters.file.location import FileFormat, FileLocation, reading_failed
from linkd_adapters.file.position import FilePosition, position_in, was_followed
from linkd_adapters.file.reader import FileBatch, FormatReader, Kept
from linkd_adapters.file.stored import StoredFile
from linkd_adapters.steps import in_thread, result, steps


class Files(Protocol):
    """Where the files of a source lie."""

    def listed(self, location: FileLocation) -> list[FileLocation]:
        """The files that the location means, at least one, each with its format. Raises `InvalidArgument` saying why there is none."""

    def stat(self, file: FileLocation) -> SourceStat:
        """Of one of those, without reading it."""

    def open(self, file: FileLocation) -> StoredFile:
        """One of those. Raises `InvalidArgument` if it cannot be."""


class StoredSource(Source):
    """Files that are complete when they are read, wherever they lie."""

    def __init__(self, options: LinkOptions, location: FileLocation, files: Files) -> None:
        self._options = options
        self._location = location
        self._files = files
        self._kept: tuple[str, list[Kept]] = ("", [])

    async def stat(self) -> SourceStat:
        return await in_thread(self._stat)

    async def digest(self) -> str:
        return await in_thread(self._digest)

    async def survey(self) -> Survey:
        return await result(self._survey(), self._location.shown)

    def read(self, survey: Survey, position: bytes | None) -> AsyncGenerator[SourceBatch, None]:
        return steps(self._batches(survey, position))

    async def _is_other(self, stat: SourceStat, digest: str) -> bool:
        """A source that is gone for a moment is about to be replaced."""
        try:
            return await self.stat() != stat and await self.digest() != digest
        except InvalidArgument:
            return False

    def _position(self, survey: Survey, size_bytes: int, position: bytes) -> FilePosition:
        """The position in the source that was surveyed. Raises `SourceChanged` for one in another source."""
        return position_in(self._location.shown, survey.digest, position)

    def _stat(self) -> SourceStat:
        return combined_stat(
            ((file.shown, self._files.stat(file)) for file in self._files.listed(self._location)), self._location.is_several
        )

    def _digest(self) -> str:
        parts = []
        for file in self._files.listed(self._location):
            with self._files.open(file) as stored:
                parts.append(SourcePart(file.shown, stored.digest(), stored.stat))
        return combined_digest(parts, self._location.is_several)

    def _survey(self) -> Generator[Survey | None, None, None]:
        """Blocks of work, and the survey at the end."""
        files = self._files.listed(self._location)
        surveyor = reader_of(self._options, files[0].format).surveyor()
        parts: list[SourcePart] = []
        for file in files:
            with self._files.open(file) as stored:
                yield from surveyor.look(stored)
                parts.append(SourcePart(file.shown, stored.digest(), stored.stat))
        found, is_several = surveyor.found(), self._location.is_several
        digest = combined_digest(parts, is_several)
        self._kept = (digest, list(surveyor.kept()))
        yield Survey(
            digest=digest,
            schema=found.schema,
            rows=found.rows,
            notes=found.notes,
            stat=combined_stat(((part.name, part.stat) for part in parts), is_several),
            parts=tuple(parts),
        )

    def _batches(self, survey: Survey, position: bytes | None) -> Generator[SourceBatch, None, None]:
        before = self._before(survey, position)
        files = self._surveyed_files(survey)
        reader = reader_of(self._options, files[0].format)
        kept = self._taken(survey)
        for index in range(before.file, len(files)):
            with self._opened(files[index]) as stored, _change_first(stored, survey.parts[index]):
                stored.require_unchanged_so_far(survey.parts[index])
                for batch in reader.batches(stored, survey.schema, before.place, kept.pop(index, None)):
                    final = batch.is_last and index == len(files) - 1
                    if batch.is_last:
                        stored.require_unchanged(survey.parts[index])
                    self._require_fit(batch, files[index])
                    after = before.behind(batch, final=final)
                    if final and self._location.is_directory:
                        after = replace(after, taken=tuple((part.name, part.digest) for part in survey.parts))
                    if batch.rows or final:
                        yield _source_batch(batch, files[index], after, final)
                    before = after

    def _before(self, survey: Survey, position: bytes | None) -> FilePosition:
        """Where to begin. Raises `SourceChanged` for a position in another source."""
        size_bytes = 0 if self._location.is_several else survey.stat.size_bytes
        if position is None:
            return FilePosition(survey.digest, size_bytes=size_bytes)
        return self._position(survey, size_bytes, position)

    def _taken(self, survey: Survey) -> dict[int, Kept]:
        """What the last survey kept, by file, if it is this one: whoever comes next reads the files."""
        (digest, kept), self._kept = self._kept, ("", [])
        return dict(enumerate(kept)) if digest == survey.digest else {}

    def _surveyed_files(self, survey: Survey) -> list[FileLocation]:
        """The files of the survey. Raises `SourceChanged` if one of them is gone or another has come."""
        try:
            files = self._files.listed(self._location)
        except InvalidArgument as error:
            raise SourceChanged(f"{self._location.shown} changed while it was read: {error}; run again to read it anew") from error
        now, then = {file.shown for file in files}, {part.name for part in survey.parts}
        if now != then:
            name = min(now ^ then)
            how = "came" if name in now else "went"
            raise SourceChanged(f"{self._location.shown} changed while it was read: {name} {how}; run again to read it anew")
        return files

    def _opened(self, file: FileLocation) -> StoredFile:
        try:
            return self._files.open(file)
        except InvalidArgument as error:
            raise SourceChanged(f"{file.shown} changed while it was read: {error}; run again to read it anew") from error

    def _require_fit(self, batch: FileBatch, file: FileLocation) -> None:
        if batch.rejects and self._options.on_bad_row == STOP:
            from linkd_adapters.file.rejects import bad_row

            raise bad_row(file.shown, self._options.link, batch.rejects[0])


class LocalFiles:
    """Files of the machine linkd runs on. With `complete_only` those of a directory that nobody writes any more."""

    def __init__(self, *, complete_only: bool = False) -> None:
        self._complete_only = complete_only

    def listed(self, location: FileLocation) -> list[FileLocation]:
        found = files_of(location)
        if self._complete_only and location.is_directory:
            found = [file for file in found if is_complete(file.path)]
            if not found:
                raise InvalidArgument(f"{location.shown} has no file in it yet that is complete")
        return found

    def stat(self, file: FileLocation) -> SourceStat:
        try:
            found = file.path.stat()
        except OSError as error:
            raise reading_failed(file, error) from error
        return SourceStat(found.st_size, found.st_mtime_ns, found.st_ino)

    def open(self, file: FileLocation) -> StoredFile:
        return StoredFile.open(file)


class FileSource(StoredSource):
    """Files of this machine, which tells when one of them changes; a text file alone can be followed as it grows."""

    def __init__(self, options: LinkOptions, location: FileLocation) -> None:
        super().__init__(options, location, LocalFiles(complete_only=options.growing))

    @property
    def can_follow(self) -> bool:
        return can_grow(self._options, self._location)

    async def exists(self) -> bool:
        return await in_thread(lambda: has_begun(self._options, self._location))

    async def appeared(self) -> None:
        await appearance(self._options, self._location)

    def follow(self, survey: Survey, position: bytes | None, stopping: asyncio.Event) -> AsyncGenerator[SourceBatch, None]:
        self._kept = ("", [])
        return followed(self._options, self._location, survey.schema, position, stopping)

    async def begins_with(self, position: bytes) -> bool:
        return self.can_follow and await in_thread(lambda: is_continued(self._location, position))

    async def changed(self, stat: SourceStat, digest: str) -> str:
        async with watch_of(self._location) as watch:
            while not await self._is_other(stat, digest):
                await watch.happened.wait()
                await watch.settled(FOLLOW_SETTLED_S)
                watch.check()
        return f"{self._location.shown} changed"

    def read(self, survey: Survey, position: bytes | None) -> AsyncGenerator[SourceBatch, None]:
        if position is not None and self._location.is_directory and was_followed(self._location.shown, position):
            return steps(self._rest_of_directory(survey, position))
        return super().read(survey, position)

    def _rest_of_directory(self, survey: Survey, position: bytes) -> Generator[SourceBatch, None, None]:
        """What came behind the position of a directory that was followed, to its end."""
        from linkd_adapters.file.directory_follow import FollowingDirectory

        kind = self._files.listed(self._location)[0].format
        following = FollowingDirectory(self._options, self._location, reader_of(self._options, kind), survey.schema, position)
        yield from following.batches()
        yield replace(following.ended(), digest=survey.digest)

    def _position(self, survey: Survey, size_bytes: int, position: bytes) -> FilePosition:
        if not self.can_follow or self._location.is_directory:
            return super()._position(survey, size_bytes, position)
        return finite_position(self._location.shown, self._location.path, survey.digest, size_bytes, position)


def reader_of(options: LinkOptions, kind: FileFormat | None) -> FormatReader:
    """The reader for files of this format. Imports pyarrow."""
    match kind:
        case FileFormat.PARQUET:
            from linkd_adapters.file.parquet_reader import ParquetReader

            return ParquetReader(options)
        case FileFormat.ARROW:
            from linkd_adapters.file.arrow_reader import ArrowReader

            return ArrowReader(options)
        case FileFormat.JSONL:
            from linkd_adapters.file.jsonl_reader import JsonlReader

            return JsonlReader(options)
        case _:
            from linkd_adapters.file.csv_reader import CsvReader

            return CsvReader(options)


@contextmanager
def _change_first(stored: StoredFile, part: SourcePart) -> Iterator[None]:
    """A file that changed under us looks damaged or ill-fitting; what the person needs to know is that it changed."""
    try:
        yield
    except SourceChanged:
        raise
    except DataFault:
        stored.require_unchanged(part)
        raise


def _source_batch(batch: FileBatch, file: FileLocation, after: FilePosition, final: bool) -> SourceBatch:
    from linkd_adapters.file.rejects import reject_batch

    return SourceBatch(
        data=batch.data,
        rejects=reject_batch(batch.rejects, file.shown) if batch.rejects else None,
        position=after.encode(),
        rows_read=after.row,
        rows_rejected=after.rejected,
        final=final,
        attributes={"file": file.shown, **batch.attributes},
    )
