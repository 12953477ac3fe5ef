"""Arrow without pandas, in processes of linkd's own.

The first array that pyarrow makes of Python values has it import pandas wherever that is installed, to tell its types apart: 0.4 s and 60 MiB
for a process that has no data frames. Asked while there is none to be found, it goes without; if an adapter imports pandas after all, Arrow is
made to look again.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType

_PANDAS = "pandas"


def keep_arrow_alone() -> None:
    """Imports pyarrow, which does not import pandas from here on. Nothing to do where pandas is imported already; may be called again."""
    if _PANDAS in sys.modules or any(isinstance(finder, _PandasLater) for finder in sys.meta_path):
        return
    import pyarrow as pa

    finder = _PandasLater()
    sys.meta_path.insert(0, finder)
    pa.scalar(0)  # the question is asked here
    finder.is_asked_by_arrow = False


class _PandasLater(MetaPathFinder):
    """Finds no pandas while Arrow asks for it. Whoever imports it later gets it, and so does Arrow."""

    def __init__(self) -> None:
        self.is_asked_by_arrow = True

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if fullname != _PANDAS:
            return None
        if self.is_asked_by_arrow:
            raise ModuleNotFoundError("Arrow goes without pandas here", name=_PANDAS)
        sys.meta_path.remove(self)
        spec = find_spec(_PANDAS)
        if spec is not None and spec.loader is not None:
            spec.loader = _Told(spec.loader)
        return spec


class _Told(Loader):
    """Loads pandas, and has Arrow look again."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        from pyarrow.lib import _pandas_api

        _pandas_api.data_frame()  # unlike a look at a value, making a frame has Arrow ask once more
