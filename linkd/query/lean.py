"""DuckDB and Arrow by themselves. Importing this imports neither."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import ModuleType

_DATA_FRAMES = frozenset({"numpy", "pandas"})


def without_data_frames() -> None:
    """This process has no use for numpy and pandas: what asks for them, as Arrow and DuckDB do where they are installed, finds none.

    They take 0.3 s and 80 MiB: nearly as much as everything that a query needs, and more than a home. What was imported before stays; may be called
    again.
    """
    if not any(isinstance(finder, _NoDataFrames) for finder in sys.meta_path):
        sys.meta_path.insert(0, _NoDataFrames())


class _NoDataFrames:
    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        if fullname in _DATA_FRAMES:
            raise ModuleNotFoundError("this process of linkd goes without data frames", name=fullname)
