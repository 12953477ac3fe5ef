"""Freeing what was dropped: payloads, index rows, and envelopes unless they stay. Blocking; every step may be done again.

The envelopes of values that were dropped, and are not forgotten, are written to files of their own before anything else that has them is deleted.
Values that were dropped by themselves lie in files with others: such a file is deleted when nothing in it is live any more.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path

from linkd.model.kept import PartDropped
from linkd.store import envelope_file
from linkd.store.ground import Ground
from linkd.store.segment_format import directory_name


class Freeing:
    """See the head of the file. For the thread that keeps the store small; the frames that dropped what is freed are durable."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    def generation(self, link: str, generation: int) -> None:
        """Deletes what there is of a dropped generation, but its envelopes unless they are forgotten."""
        ground = self._ground
        forgotten = ground.holdings.is_forgotten(link, generation)
        self._write_through()
        directory = ground.envelopes / directory_name(link)
        whole = directory / envelope_file.file_name(generation)
        if not forgotten and not envelope_file.is_there(ground.files, whole):
            envelope_file.write(ground.files, whole, ground.catalog.envelopes(link, generation))
        ground.delete_segments(link, ground.holdings.files_of(link, generation))
        if forgotten:
            ground.catalog.forget(link, generation)
        else:
            ground.catalog.empty(link, generation)
        self._delete(path for path in self._envelope_files(directory, generation) if forgotten or path != whole)
        ground.holdings.freed(link, generation, forgotten=forgotten)

    def part(self, link: str, part: PartDropped) -> None:
        """Deletes what there is of values that were dropped by themselves, but what lies in files with others."""
        ground = self._ground
        self._write_through()
        directory = ground.envelopes / directory_name(link)
        if part.forgotten:
            freed = ground.catalog.forget_between(link, part.first, part.last)
            self._delete(path for path in self._envelope_files(directory) if self._is_forgotten(link, path, part))
        else:
            self._remember(link, directory, part.first, part.last)
            freed = ground.catalog.empty_between(link, part.first, part.last)
        ground.holdings.part_freed(link, part, freed)

    def spent_files(self) -> None:
        """Deletes the segment files in which nothing is live."""
        ground = self._ground
        for link, files in itertools.groupby(ground.holdings.spent(), key=lambda one: one[0]):
            numbers = [number for _, number in files]
            ground.delete_segments(link, numbers)
            for number in numbers:
                ground.holdings.remove_file(link, number)

    def _is_forgotten(self, link: str, path: Path, part: PartDropped) -> bool:
        """Whether the index has nothing any more of what a file of envelopes has, some of which was among these values."""
        extent = envelope_file.file_extent(path.name)
        if extent is None or extent[1] < part.first or part.last < extent[0]:
            return False
        return next(self._ground.catalog.envelopes_between(link, *extent), None) is None

    def _remember(self, link: str, directory: Path, first: int, last: int) -> None:
        """Write the envelopes of these values; those of each generation to one file."""
        ground = self._ground
        rows = ground.catalog.envelopes_between(link, first, last)
        for generation, of_it in itertools.groupby(rows, key=lambda row: row[0]):
            path = directory / envelope_file.file_name(generation, (first, last))
            if not envelope_file.is_there(ground.files, path):
                envelope_file.write(ground.files, path, (envelope for _, envelope in of_it))
                self._join(link, directory, generation)

    def _join(self, link: str, directory: Path, generation: int) -> None:
        """Makes one file of many; what was forgotten meanwhile is not in it."""
        ground = self._ground
        paths = [path for path in self._envelope_files(directory, generation) if envelope_file.file_extent(path.name) is not None]
        if len(paths) <= ground.limits.envelope_files_max:
            return
        extents = [extent for path in paths if (extent := envelope_file.file_extent(path.name)) is not None]
        first, last = min(extent[0] for extent in extents), max(extent[1] for extent in extents)
        rows = ground.catalog.envelopes_between(link, first, last)
        joined = directory / envelope_file.file_name(generation, (first, last))
        envelope_file.write(ground.files, joined, (envelope for number, envelope in rows if number == generation))
        self._delete(path for path in paths if path != joined)

    def _envelope_files(self, directory: Path, generation: int | None = None) -> list[Path]:
        """The envelope files of a link, or of one generation of it."""
        there = [(name, envelope_file.file_generation(name)) for name in self._ground.files.list(directory)]
        return [directory / name for name, number in there if number is not None and generation in (None, number)]

    def _delete(self, paths: Iterable[Path]) -> None:
        ground = self._ground
        gone = list(paths)
        for path in gone:
            ground.files.unlink(path)
        if gone:
            ground.files.sync_directory(gone[0].parent)

    def _write_through(self) -> None:
        """The index has in its file what is freed."""
        catalog = self._ground.catalog
        catalog.write_through(catalog.durable_lsn, self._ground.limits.catalog_batch_values)
