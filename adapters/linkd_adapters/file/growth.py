"""How files are waited for: those that are followed as they grow, and those that are watched until they are others.

A single text file in UTF-8 that is not packed can be followed, and so can a directory, into which files come that are complete. Files that a pattern
means, and formats with an end, are complete at any time: when one of them changes, comes or goes, the source is another, and is read anew as a whole.
"""

from __future__ import annotations

import asyncio
import glob
import os
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING

from linkd.errors import InternalFault
from linkd.limits import FOLLOW_SETTLED_S
from linkd.plugin.contract import LinkOptions, SourceBatch
from linkd_adapters.file.dialect import is_utf_8
from linkd_adapters.file.follow_position import mark_of, where_it_is
from linkd_adapters.file.listing import entries_of
from linkd_adapters.file.location import FileFormat, FileLocation
from linkd_adapters.steps import in_thread, steps

if TYPE_CHECKING:
    import pyarrow as pa

    from linkd_adapters.file.directory_follow import FollowingDirectory
    from linkd_adapters.file.follow import Following
    from linkd_adapters.file.text_reader import TextReader
    from linkd_adapters.file.watching import Watch


def can_grow(options: LinkOptions, location: FileLocation) -> bool:
    """Whether the source can be followed, told by its name."""
    if location.is_directory:
        return True
    is_text = location.format in (FileFormat.CSV, FileFormat.JSONL) and not location.is_several
    return is_text and not location.packing and is_utf_8(options.dialect.encoding)


def may_come(options: LinkOptions, location: FileLocation) -> bool:
    """Whether a source that is to be followed is not there and can be waited for."""
    if options.growing and location.is_directory:
        return location.path.is_dir() and not entries_of(location)
    return options.growing and can_grow(options, location) and _is_missing(location.path) and location.path.parent.is_dir()


def _is_missing(path: Path) -> bool:
    """Whether there may be such a file one day: not where the system has something else against it."""
    try:
        path.stat()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return False


def is_continued(location: FileLocation, position: bytes) -> bool:
    """Whether what was read up to the position is still there, under whichever name: whether to go on behind it."""
    if location.is_directory:
        from linkd_adapters.file.directory_follow import is_continued_directory

        return is_continued_directory(location, position)
    return location.path.parent.is_dir() and where_it_is(location.path, mark_of(location.shown, position)) is not None


def has_begun(options: LinkOptions, location: FileLocation) -> bool:
    """Whether the file has a header, and, where types are to be learned from its rows, a row; or the directory a file that is complete."""
    if location.is_directory:
        from linkd_adapters.file.directory_follow import has_complete_file

        return has_complete_file(location)
    from linkd_adapters.file.follow import beginning_of, has_records

    if not location.path.is_file():
        return False
    has_header = location.format is FileFormat.CSV and options.dialect.header
    return has_records(_reader_of(options, location), beginning_of(location), int(has_header) + int(options.schema is None))


async def appearance(options: LinkOptions, location: FileLocation) -> None:
    """Returns when the file has begun."""
    async with watch_of(location) as watch:
        while not await in_thread(lambda: has_begun(options, location)):
            await _something(watch, location.is_directory)
            watch.check()
            watch.happened.clear()


async def followed(
    options: LinkOptions, location: FileLocation, schema: pa.Schema, position: bytes | None, stopping: asyncio.Event
) -> AsyncGenerator[SourceBatch, None]:
    """The batches behind the position, and those of what is added, until `stopping` is set."""
    following = _following(options, location, schema, position)
    try:
        async with watch_of(location) as watch:
            while not stopping.is_set():
                watch.happened.clear()
                async with aclosing(steps(following.batches())) as batches:
                    async for batch in batches:
                        yield batch
                        if stopping.is_set():
                            return
                await _something(watch, following.is_waiting, stopping)
                watch.check()
    finally:
        await in_thread(following.close)


def _following(options: LinkOptions, location: FileLocation, schema: pa.Schema, position: bytes | None) -> Following | FollowingDirectory:
    if location.is_directory:
        from linkd_adapters.file.directory_follow import FollowingDirectory
        from linkd_adapters.file.source import reader_of

        kind = location.format or next((file.format for file in entries_of(location)), None)
        return FollowingDirectory(options, location, reader_of(options, kind), schema, position)
    from linkd_adapters.file.follow import Following

    return Following(options, location, _reader_of(options, location), schema, position)


async def _something(watch: Watch, is_waiting: bool, *others: asyncio.Event) -> None:
    """Returns when something happened; where nothing tells, because a file is still being written, after a time, too."""
    from linkd_adapters.file.watching import first_of

    try:
        async with asyncio.timeout(FOLLOW_SETTLED_S if is_waiting else None):
            await first_of(watch.happened, *others)
    except TimeoutError:
        return


def watch_of(location: FileLocation) -> Watch:
    """Tells when something happens where the source is. What a symbolic link names changes where it is, not where the link is."""
    from linkd_adapters.file.watching import Watch

    if location.is_directory:
        return Watch([location.path])
    if location.is_pattern:
        fixed = location.path
        while glob.has_magic(str(fixed)):
            fixed = fixed.parent
        return Watch([fixed], recursive=True)
    return Watch({location.path.parent, Path(os.path.realpath(location.path)).parent})


def _reader_of(options: LinkOptions, location: FileLocation) -> TextReader:
    from linkd_adapters.file.source import reader_of
    from linkd_adapters.file.text_reader import TextReader

    reader = reader_of(options, location.format)
    if not isinstance(reader, TextReader):
        raise InternalFault(f"{location.shown}: a file of this format was to be followed; please report this")
    return reader
