"""The answer to Flight SQL's GetSqlInfo: what this server is and what its SQL can do. Pure, by way of pyarrow: imported when it is asked.

A row for each piece of information: its number, and its value in a dense union whose members are `_MEMBERS`, in this order.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import pyarrow as pa

from linkd.core.names import SQL_WORDS
from linkd.core.search_pattern import ESCAPE
from linkd.limits import NAME_MAX_CHARS, PREPARED_STATEMENT_IDLE_S, QUERY_TEXT_MAX_BYTES
from linkd.model.frozen import frozen
from linkd.query.functions import SCALARS

_INT32_LISTS = pa.map_(pa.int32(), pa.list_(pa.int32()))
_MEMBERS = (
    ("string_value", pa.string()),
    ("bool_value", pa.bool_()),
    ("bigint_value", pa.int64()),
    ("int32_bitmask", pa.int32()),
    ("string_list", pa.list_(pa.string())),
    ("int32_to_int32_list_map", _INT32_LISTS),
)
_TEXT, _BOOL, _INT64, _INT32, _TEXTS, _LISTS = range(len(_MEMBERS))
SQL_INFO = pa.schema(
    [
        pa.field("info_name", pa.uint32(), nullable=False),
        pa.field("value", pa.dense_union([pa.field(name, kind) for name, kind in _MEMBERS]), nullable=False),
    ]
)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_NUMERIC = _words(
    """
    abs acos asin atan atan2 cbrt ceil ceiling cos cot degrees exp factorial floor gcd greatest lcm least ln log log10 log2 mod pi pow power
    radians random round sign sin sqrt tan
    """
)
_STRING = _words(
    """
    ascii chr concat concat_ws contains ends_with format instr lcase left length levenshtein lower lpad ltrim md5 overlay position
    regexp_extract regexp_matches regexp_replace repeat replace reverse right rpad rtrim sha256 split_part starts_with strip_accents strpos
    substr substring trim ucase unicode upper
    """
)
_DATETIME = _words(
    """
    age century current_date date_add date_diff date_part date_sub date_trunc day dayname dayofmonth dayofweek dayofyear decade epoch era
    hour last_day make_date make_time make_timestamp microsecond millennium millisecond minute month monthname now quarter second strftime
    strptime time_bucket week weekday year
    """
)
_SYSTEM = _words("coalesce if ifnull nullif typeof")

_CASE_INSENSITIVE = 1
_NULLS_AT_END = 3
_FULL_OUTER_JOINS = 2
_NO_ISOLATION = 0
_FORWARD_ONLY, _READ_ONLY = 1, 1


@frozen()
class ServerFacts:
    """What the answer depends on."""

    version: str
    read_only: bool
    """Whether the caller may insert nowhere."""


Value = tuple[int, object]
"""The member of the union, and what is in it."""


def sql_info(asked: Collection[int], facts: ServerFacts) -> pa.RecordBatch:
    """The rows for the numbers that were `asked` for, all there are if none were. Numbers that nobody here knows have no row."""
    known = {**_server(facts), **_syntax(), **_bounds(), **_transactions_and_results()}
    wanted = {number: value for number, value in sorted(known.items()) if not asked or number in asked}
    return pa.RecordBatch.from_arrays([pa.array(list(wanted), pa.uint32()), _union(list(wanted.values()))], schema=SQL_INFO)


def _union(values: Sequence[Value]) -> pa.UnionArray:
    members: list[list[object]] = [[] for _ in _MEMBERS]
    offsets = []
    for member, content in values:
        offsets.append(len(members[member]))
        members[member].append(content)
    arrays = [pa.array(contents, kind) for contents, (_, kind) in zip(members, _MEMBERS, strict=True)]
    codes = pa.array([member for member, _ in values], pa.int8())
    return pa.UnionArray.from_dense(codes, pa.array(offsets, pa.int32()), arrays, [name for name, _ in _MEMBERS])


def _server(facts: ServerFacts) -> Mapping[int, Value]:
    return {
        0: (_TEXT, "linkd"),
        1: (_TEXT, facts.version),
        2: (_TEXT, pa.__version__),  # the format's version, as all Arrow libraries answer it
        3: (_BOOL, facts.read_only),
        4: (_BOOL, True),  # SQL
        5: (_BOOL, False),  # Substrait
        8: (_INT32, 0),  # no transactions
        9: (_BOOL, True),  # cancellation
        10: (_BOOL, True),  # bulk ingestion
        11: (_BOOL, False),  # in transactions
        100: (_INT32, int(PREPARED_STATEMENT_IDLE_S * 1000)),
        101: (_INT32, 0),
    }


def _syntax() -> Mapping[int, Value]:
    return {
        500: (_BOOL, False),  # CREATE and DROP of catalogs
        501: (_BOOL, False),  # of schemas
        502: (_BOOL, False),  # of tables
        503: (_INT32, _CASE_INSENSITIVE),  # names
        504: (_TEXT, '"'),
        505: (_INT32, _CASE_INSENSITIVE),  # names in quotes
        506: (_BOOL, True),  # all tables can be selected from
        507: (_INT32, _NULLS_AT_END),
        508: (_TEXTS, sorted(word.upper() for word in SQL_WORDS)),
        509: (_TEXTS, sorted(_NUMERIC & SCALARS)),
        510: (_TEXTS, sorted(_STRING & SCALARS)),
        511: (_TEXTS, sorted(_SYSTEM & SCALARS)),
        512: (_TEXTS, sorted(_DATETIME & SCALARS)),
        513: (_TEXT, ESCAPE),
        514: (_TEXT, ""),  # characters of names beyond letters, digits and _
        515: (_BOOL, True),  # AS
        516: (_BOOL, True),  # NULL || x is NULL
        517: (_LISTS, []),  # CONVERT
        518: (_BOOL, True),  # table aliases
        519: (_BOOL, False),  # which need not differ from the names of tables
        520: (_BOOL, True),  # expressions in ORDER BY
        521: (_BOOL, True),  # ORDER BY what is not selected
        522: (_INT32, 0b11),  # GROUP BY what is not selected, and beyond it
        523: (_BOOL, True),  # LIKE ... ESCAPE
        524: (_BOOL, False),  # NOT NULL columns
        525: (_INT32, 0b011),  # ODBC grammar: minimum, core
        526: (_INT32, 0b001),  # SQL-92: entry level
        527: (_BOOL, False),
        528: (_INT32, _FULL_OUTER_JOINS),
        529: (_TEXT, "schema"),
        530: (_TEXT, "procedure"),
        531: (_TEXT, "pipeline"),  # what a catalog is
        532: (_BOOL, True),
        533: (_INT32, 0),  # statements name no schema
        534: (_INT32, 0),  # nor a catalog
        535: (_INT32, 0),
        536: (_BOOL, False),  # SELECT FOR UPDATE
        537: (_BOOL, False),  # procedures
        538: (_INT32, 0b1111),  # subqueries: comparison, EXISTS, IN, quantified
        539: (_BOOL, True),  # correlated ones
        540: (_INT32, 0b11),  # UNION, UNION ALL
    }


def _bounds() -> Mapping[int, Value]:
    """0: there is none, or it is that of the statement."""
    unbounded = dict.fromkeys((541, 542, 543, 544, 545, 546, 547, 548, 549, 550, 551, 552, 553, 554, 555, 558, 560, 561), (_INT64, 0))
    return {
        **unbounded,
        556: (_BOOL, True),
        557: (_INT64, QUERY_TEXT_MAX_BYTES),
        559: (_INT64, NAME_MAX_CHARS),
    }


def _transactions_and_results() -> Mapping[int, Value]:
    return {
        562: (_INT32, _NO_ISOLATION),
        563: (_BOOL, False),  # transactions
        564: (_INT32, 1 << _NO_ISOLATION),
        565: (_BOOL, False),
        566: (_BOOL, False),
        567: (_INT32, 1 << _FORWARD_ONLY),
        568: (_INT32, 0),
        569: (_INT32, 1 << _READ_ONLY),
        570: (_INT32, 0),
        571: (_INT32, 0),
        572: (_BOOL, True),  # batches of INSERT
        573: (_BOOL, False),  # savepoints
        574: (_BOOL, True),  # named parameters
        575: (_BOOL, False),
        576: (_BOOL, False),
    }
