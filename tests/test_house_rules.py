"""What holds the tree together: layers, generated code, the protocol's completeness."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from linkd import limits
from linkd.wire.methods import METHODS

ROOT = Path(__file__).parents[1]
FILE_MAX_LINES = 400
LISTS = {"linkd/model/records.py"}
"""Nothing but one entry behind the other, looked up and not read: that each is complete and in one place is what they are for."""
FUNCTION_MAX_LINES = 60
LIMITS = ROOT / "linkd" / "limits"


def _written() -> list[Path]:
    """The modules of linkd and its adapters, but for generated ones."""
    return [path for folder in ("linkd", "adapters") for path in (ROOT / folder).rglob("*.py") if not path.stem.endswith("_pb2")]


@pytest.mark.slow
def test_imports_point_one_way() -> None:
    finished = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as main; main()"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stdout


def test_generated_code_is_current() -> None:
    finished = subprocess.run([sys.executable, "proto/generate.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr


def test_every_method_of_the_protocol_is_in_the_table() -> None:
    declared = set()
    for path in (ROOT / "proto/linkd/v1").glob("*.proto"):
        text = path.read_text(encoding="utf-8")
        for service, body in re.findall(r"^service (\w+) \{\n(.*?)^\}", text, re.DOTALL | re.MULTILINE):
            declared |= {f"/linkd.v1.{service}/{name}" for name in re.findall(r"rpc (\w+)\(", body)}
    assert {method.path for method in METHODS} == declared


def test_no_file_has_a_name_that_says_nothing() -> None:
    nothing = {"utils", "util", "helpers", "common", "misc", "manager"}
    named = [path for folder in ("linkd", "adapters") for path in (ROOT / folder).rglob("*.py") if path.stem in nothing]
    assert not named


def test_files_and_functions_are_read_in_one_sitting() -> None:
    long = []
    for path in _written():
        text = path.read_text(encoding="utf-8")
        if text.count("\n") > FILE_MAX_LINES and str(path.relative_to(ROOT)) not in LISTS:
            long.append(str(path))
        functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
        long += [f"{path}: {node.name}" for node in functions if (node.end_lineno or 0) - node.lineno >= FUNCTION_MAX_LINES]
    assert not long


def test_every_bound_has_a_user() -> None:
    code = "\n".join(path.read_text(encoding="utf-8") for path in _written() if path.parent != LIMITS)
    words = set(re.findall(r"\w+", code))
    assert not [name for name in vars(limits) if name.isupper() and name not in words | {"KIB", "MIB", "GIB"}]


def test_every_package_says_what_lives_in_it() -> None:
    packages = [path for folder in ("linkd", "adapters") for path in (ROOT / folder).rglob("__init__.py")]
    silent = [str(path) for path in packages if not path.read_text(encoding="utf-8").lstrip().startswith('"""')]
    assert not silent
