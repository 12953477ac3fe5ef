"""Making the index again from what there is: the journal, the segments' own messages, the envelope files. Blocking.

The journal says where values are that it names, as far as it is still there (`store.Store` reads it anyway). Everything older lies in segments,
each message with its envelope in its metadata, and of generations that were dropped the envelopes are in files of their own.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from linkd.errors import InvalidArgument, StateDamaged
from linkd.model.kept import SegmentFileHeld
from linkd.model.values import Place, PlaceKind
from linkd.store import envelope_file
from linkd.store.catalog import Catalog, CatalogEntry
from linkd.store.files import File, Files
from linkd.store.segment_format import directory_name, file_name, filler_body_bytes, stamped_envelope
from linkd.wire import arrow_ipc
from linkd.wire.frames import decode_envelope, encode_envelope

Needed = Callable[[str, int, int], bool]
"""Whether a value (link, generation, sequence) is there, or was dropped and not freed yet."""


def find_again(
    catalog: Catalog,
    files: Files,
    segments: Path,
    envelopes: Path,
    held: Iterable[tuple[str, SegmentFileHeld]],
    batch_values: int,
    needed: Needed = lambda link, generation, sequence: True,
) -> None:
    """Enter what lies in these segment files and is needed, and what is remembered of values that were dropped.

    Raises `StateDamaged` naming the file that is not what was written.
    """
    stored = itertools.chain.from_iterable(_of_segment(files, segments, link, file) for link, file in held)
    wanted = (one for one in stored if needed(one.envelope.link, one.envelope.generation, one.envelope.position.sequence))
    entries = itertools.chain(wanted, _of_dropped(files, envelopes))
    while batch := list(itertools.islice(entries, batch_values)):
        catalog.found_again(batch)


def move_again(catalog: Catalog, files: Files, segments: Path, link: str, held: SegmentFileHeld, batch_values: int) -> None:
    """Say where the copies are that begin at the gate of this file, which is open. Raises `StateDamaged` as `find_again`."""
    entries = _messages(files, segments / directory_name(link) / file_name(held.file), held, held.gate_offset)
    while batch := list(itertools.islice(entries, batch_values)):
        for incarnation, some in itertools.groupby(batch, lambda entry: entry.envelope.position.incarnation):
            catalog.move(link, incarnation, {entry.envelope.position.sequence: entry.place for entry in some})


def _of_segment(files: Files, directory: Path, link: str, held: SegmentFileHeld) -> Iterator[CatalogEntry]:
    """The values in a segment file, as its messages describe themselves."""
    path = directory / directory_name(link) / file_name(held.file)
    try:
        yield from _messages(files, path, held)
    except StateDamaged:
        if not held.volatile:  # of which a power cut has left anything: a start of the home drops its values
            raise


def _messages(files: Files, path: Path, held: SegmentFileHeld, at: int = 0) -> Iterator[CatalogEntry]:
    """The values in a file from the message at `at` on; from the first one behind the schema if that is 0."""
    file = files.open(path)
    try:
        at = at or arrow_ipc.PREFIX_BYTES + _metadata_bytes(file, path, 0)
        while at < held.end:
            metadata_bytes = _metadata_bytes(file, path, at)
            metadata = file.pread(metadata_bytes, at + arrow_ipc.PREFIX_BYTES)
            body_bytes = filler_body_bytes(metadata)
            if body_bytes is None:
                entry = _entry(path, held.file, at, metadata)
                body_bytes = entry.place.body_bytes
                yield entry
            at += arrow_ipc.PREFIX_BYTES + metadata_bytes + body_bytes
    finally:
        file.close()


def _entry(path: Path, number: int, at: int, metadata: bytes) -> CatalogEntry:
    try:
        envelope, published_bytes = stamped_envelope(metadata)
    except InvalidArgument as problem:
        raise _damage(path, at) from problem
    body_bytes = envelope.size_bytes - arrow_ipc.PREFIX_BYTES - published_bytes
    place = Place(PlaceKind.SEGMENT, number, at, envelope.size_bytes, len(metadata), body_bytes)
    return CatalogEntry(0, envelope, place, encode_envelope(envelope))


def _metadata_bytes(file: File, path: Path, at: int) -> int:
    try:
        length = arrow_ipc.metadata_length(file.pread(arrow_ipc.PREFIX_BYTES, at))
    except InvalidArgument as problem:
        raise _damage(path, at) from problem
    if not length:
        raise _damage(path, at)
    return length


def _of_dropped(files: Files, directory: Path) -> Iterator[CatalogEntry]:
    for link in files.list(directory):
        for name in files.list(directory / link):
            if envelope_file.file_generation(name) is not None:
                for data in envelope_file.read(files, directory / link / name):
                    envelope = decode_envelope(data)
                    yield CatalogEntry(0, envelope, Place(PlaceKind.DROPPED, 0, 0, envelope.size_bytes), data)


def _damage(path: Path, offset: int) -> StateDamaged:
    return StateDamaged(
        f"{path}, offset {offset}: this is not the message that was written. The disk or another program has changed it; `linkd repair` sets it "
        "aside and says what is lost, or restore a backup"
    )
