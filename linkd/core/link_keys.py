"""What `links:` says of one link."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast, get_args

from linkd.core.column_types import NoType, parse_column_type
from linkd.core.declared import Knowledge, LinkDeclaration
from linkd.core.diagnostics import one_of
from linkd.core.document import Node, Reader, Record, Text
from linkd.core.file_keys import LATER_KEYS, LINK_KEYS
from linkd.core.pipeline import CsvDialect, OnBadRow, SinkMode
from linkd.core.term_keys import read_link_terms
from linkd.limits import EVERY_MAX_S, EVERY_MIN_S, FOLLOW_EVERY_S

OF_SOURCES = ("nulls", "on_bad_row")
OF_SINKS = ("mode", "overwrite")
OF_DATABASES = ("query", "key")
SINK_MODES: tuple[SinkMode, ...] = get_args(SinkMode)
OF_CSV = ("header", "separator", "quote", "decimal")
OF_TEXT = (*OF_CSV, "encoding")
_TEXT_FORMATS: Mapping[str, tuple[str, ...]] = {**dict.fromkeys(OF_CSV, ("csv",)), "encoding": ("csv", "jsonl")}


def read_link(reader: Reader, key: Text, node: Node, knowledge: Knowledge) -> LinkDeclaration:
    """The declaration of the link `key`. What is wrong with it goes to the reader."""
    name = f"links.{key.value}"
    example = f"{key.value}: {{from: {node.value or 'FILE'}}}" if isinstance(node, Text) else f"{key.value}: {{from: FILE}}"
    fields = reader.fields(reader.record(node, name, example), f"link `{key.value}`", tuple(LINK_KEYS), LATER_KEYS)
    source = reader.text(fields.get("from"), f"{name}.from", "from: data/flights.csv")
    sink = reader.text(fields.get("to"), f"{name}.to", "to: out/totals.csv")
    form = reader.text(fields.get("format"), f"{name}.format", "format: csv")
    nulls = tuple(text.value for text in reader.texts(fields.get("nulls"), f"{name}.nulls", "nulls: [NA]"))
    on_bad_row = reader.choice(fields.get("on_bad_row"), f"{name}.on_bad_row", ("stop", "reject"), "stop")
    mode = reader.choice(fields.get("mode"), f"{name}.mode", SINK_MODES, "replace")
    query = reader.text(fields.get("query"), f"{name}.query", "query: SELECT id, total FROM orders")
    every_s = reader.duration(fields.get("every"), f"{name}.every", "every: 10s", EVERY_MIN_S, EVERY_MAX_S)
    _check_ends(reader, key.value, fields)
    _check_databases(reader, key.value, fields)
    return LinkDeclaration(
        name=key.value,
        span=key.span,
        source=source,
        sink=sink,
        format=form.value if form else None,
        nulls=nulls,
        schema=_schema(reader, fields.get("schema"), name, knowledge.is_zone),
        on_bad_row=cast(OnBadRow, on_bad_row),
        has_source="from" in fields or isinstance(node, Text),
        dialect=_dialect(reader, name, fields, knowledge.is_codec),
        mode=cast(SinkMode, mode),
        overwrite=reader.flag(fields.get("overwrite"), f"{name}.overwrite", False),
        query=query.value if query else None,
        key=_key(reader, fields.get("key"), name),
        every_s=FOLLOW_EVERY_S if every_s is None else every_s,
        terms=read_link_terms(reader, name, fields),
    )


def _check_ends(reader: Reader, link: str, fields: Mapping[str, Node]) -> None:
    """Options that speak of an end which the link does not have, or of a format that its files do not have."""
    for option in OF_SOURCES:
        if option in fields and "from" not in fields:
            what = f"`{option}` says how a file is read, and `{link}` has no `from:`"
            reader.note(fields[option].span, what, f"take it out, or give `{link}` a `from:`")
    for option in OF_SINKS:
        if option in fields and "to" not in fields:
            what = f"`{option}` says how a file is written, and `{link}` has no `to:`"
            reader.note(fields[option].span, what, f"take it out, or give `{link}` a `to:`")
    if "from" not in fields and "to" not in fields:
        for option in ("format", *OF_TEXT, "every"):
            if option in fields:
                about = "when files are looked at" if option == "every" else "what a file holds"
                what = f"`{option}` says {about}, and `{link}` has neither `from:` nor `to:`"
                reader.note(fields[option].span, what, "take it out")
    form = fields.get("format")
    for option, formats in _TEXT_FORMATS.items():
        if option in fields and isinstance(form, Text) and form.value and form.value not in formats:
            what = f"`{option}` concerns files in {' and '.join(formats)}, and the format of `{link}` is `{form.value}`"
            reader.note(fields[option].span, what, "take it out, or correct `format:`")


def _check_databases(reader: Reader, link: str, fields: Mapping[str, Node]) -> None:
    """Options that only a database knows, of a link that has none."""
    ends = {"query": ("from",), "key": ("from", "to")}
    for option in OF_DATABASES:
        at = [fields.get(end) for end in ends[option]]
        if option in fields and not any(isinstance(node, Text) and "://" in node.value for node in at):
            what = f"`{option}` is for databases, and `{link}` has none at its `{'` or `'.join(f'{end}:' for end in ends[option])}`"
            reader.note(fields[option].span, what, "take it out, or name a database: `postgresql://HOST/DATABASE?table=TABLE`")
    if isinstance(mode := fields.get("mode"), Text) and mode.value == "upsert" and "key" not in fields:
        reader.note(mode.span, f"`{link}` is to be written by key, and no column is named", "add `key: COLUMN`, or `key: [COLUMN, COLUMN]`")


def _key(reader: Reader, node: Node | None, name: str) -> tuple[str, ...]:
    """One column, or several in their order."""
    if isinstance(node, Text):
        text = reader.text(node, f"{name}.key", "key: id")
        return (text.value,) if text else ()
    columns = tuple(text.value for text in reader.texts(node, f"{name}.key", "key: [day, id]"))
    if node is not None and (len(set(columns)) < len(columns) or not all(columns)):
        reader.note(node.span, f"`{name}.key` has a column twice, or one without a name", "name each column once: `key: [day, id]`")
    return columns


def _dialect(reader: Reader, name: str, fields: Mapping[str, Node], is_codec: Callable[[str], bool]) -> CsvDialect:
    dialect = CsvDialect(
        header=reader.flag(fields.get("header"), f"{name}.header", True),
        separator=reader.character(fields.get("separator"), f"{name}.separator", 'separator: ";"', ","),
        quote=reader.character(fields.get("quote"), f"{name}.quote", 'quote: "\'"', '"', or_none=True),
        encoding=_encoding(reader, fields.get("encoding"), name, is_codec),
        decimal=reader.choice(fields.get("decimal"), f"{name}.decimal", (".", ","), "."),
    )
    if not dialect.header and "from" in fields and "schema" not in fields:
        what = f"`{name}.header` is false, and nothing says what the columns are called"
        reader.note(fields["header"].span, what, "name them in order: `schema: {carrier: string, distance: int64}`")
    if dialect.separator == dialect.decimal:
        node = fields.get("decimal") or fields["separator"]
        what = f"`{name}` has `{dialect.decimal}` both between fields and in numbers"
        reader.note(node.span, what, 'say what separates fields: `separator: ";"`')
    if dialect.separator == dialect.quote:
        node = fields.get("quote") or fields["separator"]
        reader.note(
            node.span, f"`{name}` has `{dialect.quote}` both between fields and around them", "write another `quote:` or `separator:`"
        )
    return dialect


def _encoding(reader: Reader, node: Node | None, name: str, is_codec: Callable[[str], bool]) -> str:
    text = reader.text(node, f"{name}.encoding", "encoding: latin-1")
    if text is None:
        return CsvDialect().encoding
    if not is_codec(text.value):
        known = one_of(("utf-8", "utf-16", "latin-1", "cp1252", "shift_jis"))
        reader.note(text.span, f"`{text.value[:40]}` is not an encoding of text", f"write the name of a Python codec, such as {known}")
        return CsvDialect().encoding
    return text.value


def _schema(reader: Reader, node: Node | None, name: str, is_zone: Callable[[str], bool]) -> tuple[tuple[str, str], ...] | None:
    if node is None:
        return None
    example = "schema: {carrier: string, distance: int64}"
    entries = reader.record(node, f"{name}.schema", example)
    if not entries and (isinstance(node, Record) or (isinstance(node, Text) and not node.value)):
        reader.note(node.span, f"`{name}.schema` names no column", f"write `{example}`, or leave it out")
    columns: list[tuple[str, str]] = []
    for column, type_node in entries:
        if not column.value:
            reader.note(column.span, f"a column of `{name}.schema` has no name", f"write `{example}`")
            continue
        text = reader.text(type_node, f"{name}.schema.{column.value}", f"{column.value}: string")
        if text is None:
            continue
        parsed = parse_column_type(text.value, is_zone)
        if isinstance(parsed, NoType):
            reader.note(text.span, parsed.what, parsed.remedy)
        else:
            columns.append((column.value, str(parsed)))
    return tuple(columns)
