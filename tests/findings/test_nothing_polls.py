"""Nothing in linkd looks again and again whether something has happened: each wait for a time is named here with what it waits for.

The system before this one asked its stores every 50 ms, 100 ms and every second, with nothing to do (koalja.md, d19 and d20).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from index import ROOT

TIMED = {
    "adapters/linkd_adapters/objects/source.py": "no object store tells when an object changes: `every:`",
    "adapters/linkd_adapters/sql/incremental.py": "no database tells when a table grows (`every:`), nor when those who write have ended",
    "adapters/linkd_adapters/sql/source.py": "no database tells when a table changes: `every:`",
    "linkd/app/patience.py": "the pause between two tries to reach a place that is away",
    "linkd/app/run/task_program.py": "the pause before a program that failed is started again",
    "linkd/app/serve.py": "the event loop's lag is how much later than asked this wakes up",
    "linkd/client/calls.py": "the pause between two tries to reach a home that is away or full",
    "linkd/client/snapshot_feed.py": "the next renewal of a lease, while a program has one",
    "linkd/client/subscription.py": "the next renewal of a lease, while a program has one",
    "linkd/faces/links.py": "behind a change: those of the next tenth of a second are told together with it",
}


def _pauses(path: Path) -> Iterator[int]:
    """The lines of calls of a `sleep`, but for `sleep(0)`, which lets others go first and waits for nothing."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "sleep" and ast.unparse(node.args[0]) != "0":
            yield node.lineno


def test_whatever_waits_for_a_time_says_for_which() -> None:
    sleeping = set()
    for folder in ("linkd", "adapters"):
        for path in (ROOT / folder).rglob("*.py"):
            name = str(path.relative_to(ROOT))
            if not name.startswith("linkd/testing/") and any(_pauses(path)):
                sleeping.add(name)
    assert sleeping == set(TIMED)
