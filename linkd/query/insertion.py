"""`INSERT INTO link [(columns)] SELECT ...`: taken off by a small grammar of our own, so that DuckDB only ever runs the SELECT behind it.

    insertion = [ with ] INSERT INTO [ [ catalog "." ] "links" "." ] name [ "(" column { "," column } ")" ] [ BY NAME ] select
    name, column = identifier | quoted

where blanks and comments may stand between words, and `select` is whatever `statement` takes: SELECT, VALUES, FROM, WITH.
`with`, the parts of a WITH, is put before it: they may stand before INSERT as well.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from linkd.core.names import DB_SCHEMA
from linkd.core.sql_text import place_of_word
from linkd.core.value_names import LINK_NAME
from linkd.errors import QueryInvalid, SchemaMismatch
from linkd.model.frozen import frozen
from linkd.query.diagnosis import pointed_at

GAP = r"(?:\s|--[^\n]*(?:\n|\Z)|/\*.*?\*/)"
"""Blanks and comments: one of what may stand between words."""
_NAME = r'(?:"(?:[^"]|"")+"|[A-Za-z_\x80-\U0010ffff][\w$]*)'
_BEGIN = re.compile(rf"{GAP}*INSERT\b", re.IGNORECASE | re.DOTALL)
# Names are not compared in either case: of a range of a million characters that takes longer to compile than everything else here.
_INTO = re.compile(rf"{GAP}+(?i:INTO){GAP}+(?P<name>{_NAME}(?:{GAP}*\.{GAP}*{_NAME})*)", re.DOTALL)
_COLUMNS = re.compile(rf"{GAP}*\({GAP}*(?P<list>{_NAME}(?:{GAP}*,{GAP}*{_NAME})*){GAP}*\)", re.DOTALL)
_BY_NAME = re.compile(rf"{GAP}+BY{GAP}+NAME\b", re.IGNORECASE | re.DOTALL)
_WITH = re.compile(rf"{GAP}*WITH\b", re.IGNORECASE | re.DOTALL)
_VALUES = re.compile(rf"{GAP}*VALUES\b", re.IGNORECASE | re.DOTALL)
_EACH = re.compile(_NAME)
_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)


@frozen()
class InsertInto:
    """`select` is the text with blanks in place of what was taken off, so that places in it are those of the statement."""

    target: str
    columns: tuple[str, ...]
    select: str
    is_values: bool


def insertion_in(sql: str, catalog: str = "") -> InsertInto | None:
    """The parts of an INSERT; None for any other statement. `catalog` may stand before the schema of the link.

    Raises QueryInvalid for one that is not understood.
    """
    begin = _BEGIN.match(sql)
    parts_before = ""
    if begin is None and _WITH.match(sql) is not None and (place := place_of_word(sql, "insert")) >= 0:
        begin, parts_before = _BEGIN.match(sql, place), sql[:place]
    if begin is None:
        return None
    into = _INTO.match(sql, begin.end())
    if into is None and parts_before:
        return None  # the word is the name of something there
    if into is None:
        raise _refused(sql, begin.end(), "after INSERT comes INTO and the name of a link: INSERT INTO link (columns) SELECT ...")
    parts = [_plain(part) for part in _EACH.findall(into["name"])]
    *qualifiers, target = map(str.lower, parts)
    if qualifiers not in ([], [DB_SCHEMA], [catalog, DB_SCHEMA]) or not LINK_NAME.fullmatch(target):
        raise _refused(sql, into.start("name"), f"`{'.'.join(parts)}` is not the name of a link: rows go into links only")
    end, columns = into.end(), tuple[str, ...]()
    listed = _COLUMNS.match(sql, end)
    if listed is not None:
        columns, end = tuple(_plain(each) for each in _EACH.findall(_COMMENT.sub(" ", listed["list"]))), listed.end()
        for name, count in Counter(columns).items():
            if count > 1:
                raise _refused(sql, listed.start("list"), f"column `{name}` is named {count} times")
    by_name = _BY_NAME.match(sql, end)
    end = by_name.end() if by_name is not None else end
    if parts_before and _WITH.match(sql, end) is not None:
        raise _refused(sql, end + 1, "WITH stands before INSERT and behind it: write all its parts in one of the two places")
    taken = re.sub(r"[^\n]", " ", sql[len(parts_before) : end])
    return InsertInto(target, columns, parts_before + taken + sql[end:], _VALUES.match(sql, end) is not None)


def fitted(insertion: InsertInto, given: Sequence[str], columns: Sequence[str]) -> list[tuple[str, int]]:
    """The columns of the link, in its order, and which of the result goes into each.

    `given` are those of the result, `columns` those of the link (none: it has none yet, and takes those of the result). They are matched by
    name: those in brackets where there are some; rows of VALUES have no names and go by position. Raises SchemaMismatch with both lists.
    """
    names = list(insertion.columns) or (list(columns) if insertion.is_values and columns else list(given))
    if len(names) != len(given):
        wanted = "named in brackets" if insertion.columns else "in the link"
        raise SchemaMismatch(f"{insertion.target}: there are {len(names)} columns {wanted} and {len(given)} in the result")
    for name, count in Counter(names).items():
        if count > 1:
            raise SchemaMismatch(f"{insertion.target}: the result has {count} columns named `{name}`: give each a name of its own with AS")
    if not columns:
        return [(name, index) for index, name in enumerate(names)]
    places = {name: index for index, name in enumerate(names)}
    folded = {name.lower(): index for index, name in enumerate(names)}
    found = [(name, places.get(name, folded.get(name.lower()))) for name in columns]
    missing = [name for name, place in found if place is None]
    taken = {place for _, place in found}
    extra = [name for index, name in enumerate(names) if index not in taken]
    if missing or extra:
        raise SchemaMismatch(_fault(insertion.target, missing, extra, names, columns))
    return [(name, place) for name, place in found if place is not None]


def _fault(target: str, missing: Sequence[str], extra: Sequence[str], given: Sequence[str], columns: Sequence[str]) -> str:
    faults = [f"{_listed(missing)} missing"] if missing else []
    faults += [f"{_listed(extra)} not in the link"] if extra else []
    return (
        f"{target}: {' and '.join(faults)}\n  the link has   {', '.join(columns)}\n  the result has {', '.join(given)}\n"
        "  name columns with AS, and give what has no value as NULL"
    )


def _listed(names: Sequence[str]) -> str:
    quoted = ", ".join(f"`{name}`" for name in names)
    return f"column {quoted} is" if len(names) == 1 else f"columns {quoted} are"


def _plain(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


def _refused(sql: str, place: int, fault: str) -> QueryInvalid:
    return QueryInvalid(pointed_at(fault, sql, len(sql[:place].encode()), 1))
