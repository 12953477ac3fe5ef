"""The columns that files have, against each other, what a link can have, and what it declares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import pyarrow as pa

from linkd.errors import DataFault, SchemaMismatch


def require_column_names(names: Sequence[str], shown: str) -> None:
    """Raise `DataFault` if there is no column, or one has no name or the name of another."""
    if not names:
        raise DataFault(f"{shown} has no columns; write at least one")
    unnamed = [str(place) for place, name in enumerate(names, 1) if not name.strip()]
    if unnamed:
        which = f"column {unnamed[0]} has" if len(unnamed) == 1 else f"columns {', '.join(unnamed)} have"
        raise DataFault(f"{shown}: {which} no name in the header; name every column")
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise DataFault(f"{shown}: the header names {', '.join(repeated)} more than once; every column needs a name of its own")


class FileColumns:
    """The columns of the files of one source: all that any of them has, in the order in which they first appear."""

    def __init__(self) -> None:
        self._files_with: dict[str, int] = {}
        self._first_without: dict[str, str] = {}
        self._first_file = ""
        self._files = 0

    def take(self, names: Sequence[str], shown: str) -> None:
        """The next file has these."""
        for name in names:
            if name not in self._files_with and self._files:
                self._first_without[name] = self._first_file
            self._files_with[name] = self._files_with.get(name, 0) + 1
        for name in self._files_with.keys() - set(names):
            self._first_without.setdefault(name, shown)
        self._first_file = self._first_file or shown
        self._files += 1

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._files_with)

    @property
    def is_one_file(self) -> bool:
        return self._files == 1

    @property
    def notes(self) -> tuple[str, ...]:
        """Which columns are missing where."""
        told = []
        for name, count in self._files_with.items():
            lacking = self._files - count
            if lacking:
                more = f" and {lacking - 1} more" if lacking > 1 else ""
                told.append(f"column {name} is missing in {self._first_without[name]}{more}, so it is null there")
        return tuple(told)

    def declared(self, declared: Mapping[str, pa.DataType]) -> pa.Schema:
        """The declared types in the order of the files. Raises `SchemaMismatch` if the columns are not the same."""
        missing = [name for name in declared if name not in self._files_with]
        extra = [name for name in self._files_with if name not in declared]
        if missing or extra:
            found = [f"lacks {', '.join(missing)}"] if missing else []
            found += [f"has {', '.join(extra)}, which schema: does not name"] if extra else []
            both = f"the file has the columns {', '.join(self.names)}, schema: declares {', '.join(declared)}"
            shown = self._first_file if self.is_one_file else f"{self._first_file} with {self._files - 1} more"
            raise SchemaMismatch(f"{shown} {' and '.join(found)}; {both}")
        return pa.schema([pa.field(name, declared[name]) for name in self._files_with])
