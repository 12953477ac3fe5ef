"""The file adapter: chooses the reader or writer for a location. Readers and writers, and with them pyarrow, are loaded on first use."""

from __future__ import annotations

from linkd.errors import InvalidArgument
from linkd.plugin.contract import REJECT, STOP, Adapter, LinkOptions, Role, Sink, Source
from linkd_adapters.file.location import (
    FORMATS,
    FileFormat,
    FileLocation,
    locate,
    reading_problem,
    role_problem,
    writing_problem,
)


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
        found = [role_problem(options, location, role), _row_policy_problem(options), _schema_problem(options)]
        found.append(reading_problem(location) if role is Role.SOURCE else writing_problem(location))
        return [problem for problem in found if problem is not None]

    def source(self, options: LinkOptions) -> Source:
        location = _usable(options, Role.SOURCE)
        if location.format is FileFormat.PARQUET:
            from linkd_adapters.file.parquet_source import ParquetSource

            return ParquetSource(options, location)
        from linkd_adapters.file.csv_source import CsvSource

        return CsvSource(options, location)

    def sink(self, options: LinkOptions) -> Sink:
        location = _usable(options, Role.SINK)
        from linkd_adapters.file.sink import FileSink

        return FileSink(location)


def _usable(options: LinkOptions, role: Role) -> FileLocation:
    location = locate(options)
    for problem in (role_problem(options, location, role), _row_policy_problem(options), _schema_problem(options)):
        if problem is not None:
            raise InvalidArgument(problem)
    return location


def _row_policy_problem(options: LinkOptions) -> str | None:
    if options.on_bad_row in (STOP, REJECT):
        return None
    return f"links.{options.link}.on_bad_row: `{options.on_bad_row}` is neither `{STOP}` nor `{REJECT}`"


def _schema_problem(options: LinkOptions) -> str | None:
    if options.schema is None:
        return None
    from linkd.plugin.column_types import declared_types

    try:
        declared_types(options)
    except InvalidArgument as error:
        return str(error)
    return None
