"""What `mode:` of a sink can mean for a file, and which sink it is."""

from __future__ import annotations

from linkd.plugin.contract import LinkOptions, ValueSink
from linkd_adapters.file.location import TITLES, FileFormat, FileLocation

APPEND = "append"
PARTS = "parts"


def mode_problem(options: LinkOptions, location: FileLocation) -> str | None:
    """What cannot be, with its remedy, or `None`."""
    shown, link, kind = location.shown, f"links.{options.link}", location.format
    if kind is None:
        return f"{shown} does not tell the format of what is to be written; say format: csv, jsonl, parquet or arrow"
    if options.mode == PARTS:
        return None
    if options.mode == APPEND and not _takes_more(location):
        return f"{link}.mode: {TITLES[kind]} files have an end, and nothing can be appended to {shown}; say mode: parts, or name a .csv or .jsonl"
    if options.mode == APPEND and _has_byte_order_mark(options.dialect.encoding):
        return (
            f"{link}.encoding: {options.dialect.encoding} begins a file with a mark, so nothing can be appended in it; say encoding: utf-8"
        )
    if shown.endswith("/"):
        return f"{shown} names a directory; name a file in it, or say mode: parts to have a file for each value in it"
    return None


def value_sink(options: LinkOptions, location: FileLocation) -> ValueSink:
    """The sink for one of the modes that take value by value."""
    if options.mode == PARTS:
        from linkd_adapters.file.parts import PartsSink

        return PartsSink(options, location)
    from linkd_adapters.file.append import AppendSink

    return AppendSink(options, location)


def _takes_more(location: FileLocation) -> bool:
    """Whether rows may stand behind the last row. Of Arrow only the stream has no end."""
    if location.format is FileFormat.ARROW:
        return location.path.suffix == ".arrows"
    return location.format in (FileFormat.CSV, FileFormat.JSONL)


def _has_byte_order_mark(encoding: str) -> bool:
    """Whether a text in two pieces is longer than in one. An encoding that is none is refused elsewhere."""
    try:
        return len("a".encode(encoding)) * 2 != len("aa".encode(encoding))
    except LookupError:
        return False
