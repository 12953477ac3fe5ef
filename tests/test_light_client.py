"""`import linkd` is light: errors at first, grpcio and protobuf when it connects, and never what belongs to the sidecar."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import linkd

HEAVY = (
    *("pyarrow", "numpy", "pandas", "polars", "duckdb", "aiohttp", "typer", "rich", "yaml", "uvloop", "xxhash", "blake3"),
    *("opentelemetry", "prometheus_client", "sqlite3", "grpc_health", "grpc_reflection"),
)
PROGRAM = """
import importlib.abc, json, sys

class OnlyBaseDependencies(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top in sys.stdlib_module_names or top in ("linkd", "grpc", "google", "typing_extensions"):  # the last comes with grpcio
            return None
        raise ModuleNotFoundError(f"{name} is not installed", name=name)

sys.meta_path.insert(0, OnlyBaseDependencies())
import linkd
at_import = sorted({name.partition(".")[0] for name in sys.modules} | {name for name in sys.modules if name.startswith("linkd.")})
for name in linkd.__all__:
    getattr(linkd, name)
try:
    linkd.connect("unix:/nowhere/s", timeout_s=0.05)
except linkd.ConnectionFailed:
    connected = sorted(sys.modules)
print(json.dumps([at_import, connected]))
"""


def _modules() -> tuple[set[str], set[str]]:
    environ = {**os.environ, "PYTHONPATH": str(Path(linkd.__file__).parent.parent)}
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, env=environ, check=False)
    assert done.returncode == 0, done.stderr
    at_import, connected = json.loads(done.stdout)
    return set(at_import), set(connected)


def test_import_loads_errors_and_connecting_only_what_the_base_installs() -> None:
    at_import, connected = _modules()
    assert {name for name in at_import if name.startswith("linkd.")} == {"linkd.errors"}
    assert not at_import & {"grpc", "google", "asyncio", *HEAVY}
    assert {"grpc", "google"} <= connected
    assert not connected & set(HEAVY)
    sidecar_only = ("linkd.home", "linkd.store", "linkd.faces", "linkd.app", "linkd.query", "linkd.plugin")
    assert not [name for name in connected if name.startswith(sidecar_only)]
