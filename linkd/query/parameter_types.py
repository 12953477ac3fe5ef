"""What types the parameters of a statement have, as far as its text and the columns beside them say.

DuckDB decides the type of a parameter only by its value, but drivers want to know it before: that of JDBC can bind nothing else. So a parameter is of
the type that it is CAST to, else of that of the column it is compared with (`=`, `<`, BETWEEN, IN), else of that of the column it is inserted into;
a LIMIT is a BIGINT. Where nothing decides it is text, of which every value has one, and which CAST understands.

The tree is that of `statement`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

Node = Mapping[str, Any]

_TIMESTAMP_WITH_ZONE = pa.timestamp("us", "UTC")
_NAMED: Mapping[str, pa.DataType] = {
    **dict.fromkeys(("BOOLEAN", "BOOL", "LOGICAL"), pa.bool_()),
    **dict.fromkeys(("TINYINT", "INT1"), pa.int8()),
    **dict.fromkeys(("SMALLINT", "INT2", "SHORT"), pa.int16()),
    **dict.fromkeys(("INTEGER", "INT", "INT4", "SIGNED"), pa.int32()),
    **dict.fromkeys(("BIGINT", "INT8", "LONG"), pa.int64()),
    "UTINYINT": pa.uint8(),
    "USMALLINT": pa.uint16(),
    "UINTEGER": pa.uint32(),
    "UBIGINT": pa.uint64(),
    **dict.fromkeys(("FLOAT", "FLOAT4", "REAL"), pa.float32()),
    **dict.fromkeys(("DOUBLE", "FLOAT8"), pa.float64()),
    **dict.fromkeys(("BLOB", "BYTEA", "BINARY", "VARBINARY"), pa.binary()),
    "DATE": pa.date32(),
    "TIME": pa.time64("us"),
    **dict.fromkeys(("TIMESTAMP", "DATETIME"), pa.timestamp("us")),
    **dict.fromkeys(("TIMESTAMPTZ", "TIMESTAMP WITH TIME ZONE"), _TIMESTAMP_WITH_ZONE),
    "TIMESTAMP_S": pa.timestamp("s"),
    "TIMESTAMP_MS": pa.timestamp("ms"),
    "TIMESTAMP_NS": pa.timestamp("ns"),
}
_DECIMALS = ("DECIMAL", "NUMERIC", "DEC")
_DECIMAL_DEFAULT = (18, 3)
_IN = ("COMPARE_IN", "COMPARE_NOT_IN")
_CAST_TO, _BESIDE, _INSERTED_INTO = range(3)


def parameter_types(tree: Node, names: Sequence[str], tables: Sequence[pa.Schema], target: Sequence[pa.DataType | None] = ()) -> pa.Schema:
    """A field for each of `names`. `tables` are the schemas of what is read, `target` the types of the columns that an INSERT fills, in its order."""
    columns: dict[str, set[pa.DataType]] = {}
    for schema in tables:
        for field in schema:
            columns.setdefault(field.name.lower(), set()).add(field.type)
    found: dict[str, tuple[int, pa.DataType]] = {}
    for name, how, kind in _decided(tree, {name: kinds.copy().pop() for name, kinds in columns.items() if len(kinds) == 1}, target):
        if name not in found or how < found[name][0]:
            found[name] = how, kind
    return pa.schema([pa.field(name, found[name][1] if name in found else pa.string()) for name in names])


def _decided(
    tree: Node, columns: Mapping[str, pa.DataType], target: Sequence[pa.DataType | None]
) -> Iterator[tuple[str, int, pa.DataType]]:
    """(name, what decided, type) of each parameter that something decides, perhaps several times."""
    for row in _inserted_rows(tree):
        for node, kind in zip(row, target, strict=False):
            if _is_parameter(node) and kind is not None:
                yield node["identifier"], _INSERTED_INTO, kind
    waiting: list[Any] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting.extend(node)
        elif isinstance(node, dict):
            waiting.extend(node.values())
            for one, how, kind in _decided_by(node, columns):
                if _is_parameter(one):
                    yield one["identifier"], how, kind


def _decided_by(node: Node, columns: Mapping[str, pa.DataType]) -> Iterator[tuple[Any, int, pa.DataType]]:
    kind = node.get("class")
    if kind == "CAST":
        cast_to = _type_named(node.get("type_expr") or {})
        if cast_to is not None:
            yield node.get("child"), _CAST_TO, cast_to
    elif kind in ("COMPARISON", "BETWEEN") or (kind == "OPERATOR" and node.get("type") in _IN):
        beside = node.get("children") or [node.get(name) for name in ("left", "right", "input", "lower", "upper")]
        known = next((known for known in (_type_of(one, columns) for one in beside) if known is not None), None)
        if known is not None:
            yield from ((one, _BESIDE, known) for one in beside)
    elif node.get("type") == "LIMIT_MODIFIER":
        yield from ((node.get(name), _BESIDE, pa.int64()) for name in ("limit", "offset"))


def _type_of(node: Any, columns: Mapping[str, pa.DataType]) -> pa.DataType | None:
    """The type of an expression that is a column, or a CAST."""
    if not isinstance(node, dict):
        return None
    if node.get("class") == "COLUMN_REF":
        return columns.get(node["column_names"][-1].lower())
    return _type_named(node.get("type_expr") or {}) if node.get("class") == "CAST" else None


def _type_named(node: Node) -> pa.DataType | None:
    name = str(node.get("type_name", "")).upper()
    if name in _DECIMALS:
        said = [int(child["literal"]["text"]) for child in node.get("children") or () if "literal" in child]
        precision, scale = (*said, *(0, 0)[len(said) :]) if said else _DECIMAL_DEFAULT
        return pa.decimal128(precision, scale) if 0 <= scale <= precision <= 38 and precision else None
    return _NAMED.get(name)


def _inserted_rows(tree: Node) -> Iterator[Sequence[Any]]:
    """What stands in each column of the result: the rows of VALUES, or the select list."""
    source = tree.get("from_table") or {}
    if source.get("type") == "EXPRESSION_LIST":
        yield from source.get("values") or ()
    elif tree.get("select_list"):
        yield tree["select_list"]


def _is_parameter(node: Any) -> bool:
    return isinstance(node, dict) and node.get("class") == "PARAMETER"
