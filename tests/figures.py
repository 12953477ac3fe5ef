"""Numbers that long tests come to, for whoever runs them: a line of JSON each, in the file that LINKD_FIGURES names, if it does."""

from __future__ import annotations

import json
import os
from pathlib import Path


def keep_figure(what: str, **numbers: float) -> None:
    """Adds one line. Tests that run beside each other add theirs, and `benchmarks/soak.py` sums up."""
    path = os.environ.get("LINKD_FIGURES")
    if path:
        with Path(path).open("a") as lines:
            lines.write(json.dumps({"what": what, **numbers}) + "\n")
