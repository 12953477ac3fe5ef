"""What the tables of this folder are made of: sentences, and the node ids of the tests that show them.

Node ids are looked up by syntax tree: nothing is imported and nothing collected.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Shown:
    """A sentence that is true of linkd, and by which tests: files, and the names of tests in each."""

    sentence: str
    by: Mapping[str, tuple[str, ...]]

    def node_ids(self) -> Iterator[str]:
        for file, names in self.by.items():
            yield from (f"tests/{file}::{name}" for name in names)


@cache
def _tests_of(path: Path) -> frozenset[str]:
    """The test functions of a module, methods behind the name of their class (`TestAcks::test_twice`), and machines (`TestLife::runTest`)."""
    named: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Attribute) and node.value.attr == "TestCase":
            named |= {f"{target.id}::runTest" for target in node.targets if isinstance(target, ast.Name)}
        methods = node.body if isinstance(node, ast.ClassDef) else [node]
        within = f"{node.name}::" if isinstance(node, ast.ClassDef) else ""
        named |= {within + each.name for each in methods if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)}
    return frozenset(name for name in named if name.rpartition("::")[2].startswith(("test_", "runTest")))


def exists(node_id: str) -> bool:
    """Whether a test has this node id, as pytest spells it from the root (`tests/store/test_journal.py::test_name`).

    The parameters of a parametrized test may stand behind it in brackets; they are not looked at. A file alone is no test.
    """
    file, _, test = node_id.partition("[")[0].partition("::")
    path = ROOT / file
    return path.is_file() and test in _tests_of(path)
