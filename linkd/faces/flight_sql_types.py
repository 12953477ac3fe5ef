"""The types of columns as SQL and JDBC know them: the answer to GetXdbcTypeInfo, and what metadata says of the columns of a table.

By way of pyarrow: imported when the first such call comes. The numbers are those of JDBC and ODBC (`XdbcDataType` and others of Flight SQL).
"""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from linkd.core.column_types import DECIMAL_PRECISION_MAX
from linkd.model.frozen import frozen

_NULLABLE = 1
_SEARCHABLE_BASIC, _SEARCHABLE_FULL = 2, 3
_DATETIME = 9
_EXACT, _APPROXIMATE = 10, 2


@frozen()
class SqlType:
    """A type of SQL: what it is called, its number in JDBC, and how wide it is (digits, bits, characters)."""

    name: str
    number: int
    size: int | None = None
    quoted: bool = False
    radix: int | None = None
    unsigned: bool | None = None
    scale: tuple[int, int] | None = None
    datetime_subcode: int | None = None
    parameters: tuple[str, ...] | None = None


BOOLEAN = SqlType("BOOLEAN", -7, 1)
TINYINT = SqlType("TINYINT", -6, 3, radix=_EXACT, unsigned=False, scale=(0, 0))
SMALLINT = SqlType("SMALLINT", 5, 5, radix=_EXACT, unsigned=False, scale=(0, 0))
INTEGER = SqlType("INTEGER", 4, 10, radix=_EXACT, unsigned=False, scale=(0, 0))
BIGINT = SqlType("BIGINT", -5, 19, radix=_EXACT, unsigned=False, scale=(0, 0))
UTINYINT = SqlType("UTINYINT", 5, 3, radix=_EXACT, unsigned=True, scale=(0, 0))
USMALLINT = SqlType("USMALLINT", 4, 5, radix=_EXACT, unsigned=True, scale=(0, 0))
UINTEGER = SqlType("UINTEGER", -5, 10, radix=_EXACT, unsigned=True, scale=(0, 0))
UBIGINT = SqlType("UBIGINT", 2, 20, radix=_EXACT, unsigned=True, scale=(0, 0))
FLOAT = SqlType("FLOAT", 7, 24, radix=_APPROXIMATE, unsigned=False)
DOUBLE = SqlType("DOUBLE", 8, 53, radix=_APPROXIMATE, unsigned=False)
DECIMAL = SqlType(
    "DECIMAL",
    3,
    DECIMAL_PRECISION_MAX,
    radix=_EXACT,
    unsigned=False,
    scale=(0, DECIMAL_PRECISION_MAX),
    parameters=("precision", "scale"),
)
VARCHAR = SqlType("VARCHAR", 12, quoted=True)
BLOB = SqlType("BLOB", -3, quoted=True)
DATE = SqlType("DATE", 91, 10, quoted=True, datetime_subcode=1)
TIME = SqlType("TIME", 92, 15, quoted=True, scale=(6, 6), datetime_subcode=2)
TIMESTAMP = SqlType("TIMESTAMP", 93, 26, quoted=True, scale=(0, 9), datetime_subcode=3)
TIMESTAMP_WITH_TIME_ZONE = SqlType("TIMESTAMP WITH TIME ZONE", 93, 29, quoted=True, scale=(0, 9), datetime_subcode=5)

TYPES = (
    BOOLEAN, TINYINT, SMALLINT, INTEGER, BIGINT, UTINYINT, USMALLINT, UINTEGER, UBIGINT, FLOAT, DOUBLE, DECIMAL, VARCHAR, BLOB,
    DATE, TIME, TIMESTAMP, TIMESTAMP_WITH_TIME_ZONE,
)  # fmt: skip
"""All that a column of a link can be, but for lists and structs, for which JDBC has no number that tools understand."""

_BY_ARROW: Mapping[str, SqlType] = {
    "bool": BOOLEAN,
    "int8": TINYINT,
    "int16": SMALLINT,
    "int32": INTEGER,
    "int64": BIGINT,
    "uint8": UTINYINT,
    "uint16": USMALLINT,
    "uint32": UINTEGER,
    "uint64": UBIGINT,
    "halffloat": FLOAT,
    "float": FLOAT,
    "double": DOUBLE,
    "string": VARCHAR,
    "binary": BLOB,
    "date32[day]": DATE,
}

TYPE_INFO = pa.schema(
    [
        pa.field("type_name", pa.string(), nullable=False),
        pa.field("data_type", pa.int32(), nullable=False),
        pa.field("column_size", pa.int32()),
        pa.field("literal_prefix", pa.string()),
        pa.field("literal_suffix", pa.string()),
        pa.field("create_params", pa.list_(pa.field("item", pa.string(), nullable=False))),
        pa.field("nullable", pa.int32(), nullable=False),
        pa.field("case_sensitive", pa.bool_(), nullable=False),
        pa.field("searchable", pa.int32(), nullable=False),
        pa.field("unsigned_attribute", pa.bool_()),
        pa.field("fixed_prec_scale", pa.bool_(), nullable=False),
        pa.field("auto_increment", pa.bool_()),
        pa.field("local_type_name", pa.string()),
        pa.field("minimum_scale", pa.int32()),
        pa.field("maximum_scale", pa.int32()),
        pa.field("sql_data_type", pa.int32(), nullable=False),
        pa.field("datetime_subcode", pa.int32()),
        pa.field("num_prec_radix", pa.int32()),
        pa.field("interval_precision", pa.int32()),
    ]
)
"""As Flight SQL specifies it for CommandGetXdbcTypeInfo."""


def type_info(number: int | None) -> pa.RecordBatch:
    """The types, or those of this number, ordered as the specification asks."""
    wanted = [one for one in TYPES if number is None or one.number == number]
    return pa.RecordBatch.from_pylist([_row(one) for one in sorted(wanted, key=lambda one: (one.number, one.name))], schema=TYPE_INFO)


def _row(one: SqlType) -> dict[str, object]:
    lowest, highest = one.scale or (None, None)
    return {
        "type_name": one.name,
        "data_type": one.number,
        "column_size": one.size,
        "literal_prefix": "'" if one.quoted else None,
        "literal_suffix": "'" if one.quoted else None,
        "create_params": one.parameters,
        "nullable": _NULLABLE,
        "case_sensitive": one is VARCHAR,
        "searchable": _SEARCHABLE_FULL if one is VARCHAR else _SEARCHABLE_BASIC,
        "unsigned_attribute": one.unsigned,
        "fixed_prec_scale": False,
        "auto_increment": False if one.unsigned is not None else None,
        "local_type_name": one.name,
        "minimum_scale": lowest,
        "maximum_scale": highest,
        "sql_data_type": one.number if one.datetime_subcode is None else _DATETIME,
        "datetime_subcode": one.datetime_subcode,
        "num_prec_radix": one.radix,
        "interval_precision": None,
    }


def type_name(kind: pa.DataType) -> str:
    """What SQL calls the type of a column, as a query would CAST to it."""
    if pa.types.is_decimal(kind):
        return f"DECIMAL({kind.precision},{kind.scale})"
    if pa.types.is_time(kind):
        return TIME.name
    if pa.types.is_timestamp(kind):
        return (TIMESTAMP_WITH_TIME_ZONE if kind.tz else TIMESTAMP).name
    if pa.types.is_list(kind):
        return f"{type_name(kind.value_type)}[]"
    if pa.types.is_fixed_size_list(kind):
        return f"{type_name(kind.value_type)}[{kind.list_size}]"
    if pa.types.is_map(kind):
        return f"MAP({type_name(kind.key_type)}, {type_name(kind.item_type)})"
    if pa.types.is_struct(kind):
        return "STRUCT(" + ", ".join(f'"{field.name}" {type_name(field.type)}' for field in kind) + ")"
    known = _BY_ARROW.get(str(kind))
    return known.name if known is not None else str(kind).upper()


def described(schema: pa.Schema) -> pa.Schema:
    """The schema of a table with what Flight SQL tells of its columns beside their Arrow types: what SQL calls these."""
    return pa.schema([field.with_metadata(_column_metadata(field.type)) for field in schema])


def _column_metadata(kind: pa.DataType) -> dict[str, str]:
    told = {"TYPE_NAME": type_name(kind)}
    if pa.types.is_decimal(kind):
        told |= {"PRECISION": str(kind.precision), "SCALE": str(kind.scale)}
    return {f"ARROW:FLIGHT:SQL:{name}": value for name, value in told.items()}
