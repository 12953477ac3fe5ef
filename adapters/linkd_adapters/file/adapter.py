"""The file adapter: chooses the reader or writer for a location. Readers and writers, and with them pyarrow, are loaded on first use."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from linkd.errors import InvalidArgument
from linkd.plugin.contract import REJECT, STOP, Adapter, LinkOptions, Role, Sink, Source, ValueSink
from linkd.plugin.type_words import schema_problem
from linkd_adapters.file.dialect import dialect_problems, foreign_key
from linkd_adapters.file.growth import may_come
from linkd_adapters.file.listing import files_of, place_problem
from linkd_adapters.file.location import FORMATS, TITLES, FileFormat, FileLocation, locate, role_problem, writing_problem
from linkd_adapters.file.modes import PARTS, mode_problem, value_sink

if TYPE_CHECKING:
    import io

    import pyarrow as pa

    from linkd.plugin.contract import RowWriter
    from linkd.plugin.streaming import RowDecoder, RowEncoder


class FileAdapter(Adapter):
    """Plain paths, relative to the directory of the pipeline file."""

    @property
    def formats(self) -> tuple[str, ...]:
        return FORMATS

    def check(self, options: LinkOptions, role: Role) -> list[str]:
        try:
            location = locate(options)
        except InvalidArgument as error:
            return [str(error)]
        if role is Role.SOURCE and may_come(options, location):
            return list(option_problems(options, location, location.format, role))
        place = place_problem(location) if role is Role.SOURCE else None if options.mode == PARTS else writing_problem(location)
        kind = files_of(location)[0].format if role is Role.SOURCE and place is None else location.format
        problems = list(option_problems(options, location, kind, role))
        return problems if place is None else [*problems, place]

    def source(self, options: LinkOptions) -> Source:
        location = _usable(options, Role.SOURCE)
        from linkd_adapters.file.source import FileSource

        return FileSource(options, location)

    def sink(self, options: LinkOptions) -> Sink:
        location = _usable(options, Role.SINK)
        from linkd_adapters.file.sink import FileSink

        return FileSink(options, location)

    def value_sink(self, options: LinkOptions) -> ValueSink:
        return value_sink(options, _usable(options, Role.SINK))

    def row_writer(self, options: LinkOptions, schema: pa.Schema, file: io.RawIOBase) -> RowWriter:
        location = _usable(options, Role.SINK)
        from linkd_adapters.file.writers import require_writable, row_writer

        require_writable(location, schema)
        return row_writer(options, location, schema, file)

    def row_encoder(self, options: LinkOptions, schema: pa.Schema) -> RowEncoder:
        from linkd_adapters.file.streaming import stream_encoder

        return stream_encoder(options, schema)

    def row_decoder(self, options: LinkOptions) -> RowDecoder:
        from linkd_adapters.file.streaming import stream_decoder

        return stream_decoder(options)


def _usable(options: LinkOptions, role: Role) -> FileLocation:
    location = locate(options)
    for problem in option_problems(options, location, location.format, role):
        raise InvalidArgument(problem)
    return location


def option_problems(options: LinkOptions, location: FileLocation, kind: FileFormat | None, role: Role) -> Iterator[str]:
    """What the options say that cannot be, without a look at the place. `kind` is `None` where only the files in it tell their format."""
    if (problem := role_problem(options, location, kind, role)) is not None:
        yield problem
    if role is Role.SINK and (problem := mode_problem(options, location)) is not None:
        yield problem
    if options.on_bad_row not in (STOP, REJECT):
        yield f"links.{options.link}.on_bad_row: `{options.on_bad_row}` is neither `{STOP}` nor `{REJECT}`"
    if (problem := schema_problem(options)) is not None:
        yield problem
    if kind in (FileFormat.CSV, None):
        yield from dialect_problems(options, role)
    elif (key := foreign_key(options.dialect)) is not None:
        yield f"links.{options.link}.{key}: this is for CSV, and {location.shown} is {TITLES[kind]}; remove it"
