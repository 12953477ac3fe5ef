"""The columns a file has, against what a link can have and what it declares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import pyarrow as pa

from linkd.errors import DataFault, SchemaMismatch


def require_column_names(names: tuple[str, ...], shown: str) -> None:
    """Raise `DataFault` if a column has no name or the name of another."""
    unnamed = [str(place) for place, name in enumerate(names, 1) if not name.strip()]
    if unnamed:
        which = f"column {unnamed[0]} has" if len(unnamed) == 1 else f"columns {', '.join(unnamed)} have"
        raise DataFault(f"{shown}: {which} no name in the header; name every column")
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise DataFault(f"{shown}: the header names {', '.join(repeated)} more than once; every column needs a name of its own")


def declared_schema(declared: Mapping[str, pa.DataType], names: tuple[str, ...], shown: str) -> pa.Schema:
    """The declared types in the order of the file. Raises `SchemaMismatch` if the columns are not the same."""
    missing = [name for name in declared if name not in names]
    extra = [name for name in names if name not in declared]
    if missing or extra:
        found = [f"lacks {', '.join(missing)}"] if missing else []
        found += [f"has {', '.join(extra)}, which schema: does not name"] if extra else []
        both = f"the file has the columns {', '.join(names)}, schema: declares {', '.join(declared)}"
        raise SchemaMismatch(f"{shown} {' and '.join(found)}; {both}")
    return pa.schema([pa.field(name, declared[name]) for name in names])
