"""`pyarrow.compute`, imported when its first function is called: it makes all of them as it is imported, which takes 50 ms.

from linkd.core import arrow_compute as pc
"""

from __future__ import annotations

import importlib
from typing import Any


def __getattr__(name: str) -> Any:
    return getattr(importlib.import_module("pyarrow.compute"), name)
