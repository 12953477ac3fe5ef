"""Optional packages of a client: looked for without importing them, and missed by name.

The client works without any of them: rows then travel as JSON lines.
"""

from __future__ import annotations

import importlib
import importlib.util
from types import ModuleType

from linkd.errors import MissingExtra
from linkd.wire.messages import ARROW, ROWS

_REMEDY = {"pyarrow": "linkd[arrow]"}


def is_installed(package: str) -> bool:
    """Whether `package` could be imported. Does not import it."""
    try:
        return importlib.util.find_spec(package) is not None
    except ImportError:
        return False


def preferred_format() -> int:
    """The format in which values are asked for: Arrow if this process can read it, else JSON lines."""
    return ARROW if is_installed("pyarrow") else ROWS


def need(package: str, operation: str) -> ModuleType:
    """The package, imported. Raises MissingExtra naming `operation` and how to install what it needs."""
    try:
        return importlib.import_module(package)
    except ImportError:
        raise missing(package, operation) from None


def missing(package: str, operation: str) -> MissingExtra:
    return MissingExtra(f"{operation} needs {package}, which is not installed: pip install '{_REMEDY.get(package, package)}'")
