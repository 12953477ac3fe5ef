"""The client in other people's images: with grpcio and protobuf alone, the oldest that linkd allows and the newest there are."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from linkd.testing.pipelines import open_home

ROOT = Path(__file__).resolve().parents[1]
INSTALL_TIMEOUT_S = 90.0
CLIENT_TIMEOUT_S = 30.0

OLDEST = ("protobuf==6.31.*", "grpcio==1.71.*")
NEWEST = ("protobuf>=7,<8", "grpcio")

PROGRAM = """
import json, sys
import google.protobuf, grpc
import linkd, linkd.aio
from linkd.wire.v1 import links_pb2, runs_pb2, value_pb2

envelope = value_pb2.Envelope(id=bytes(16), link="l", position=value_pb2.Position(incarnation=1, sequence=2**63), attributes={"k": "v"})
asked = runs_pb2.BeginRequest(run_id="r", fingerprint={"wiring": "0"})
value = links_pb2.SubscribeResponse(value=value_pb2.Value(envelope=envelope, format=value_pb2.ROWS, data=b"{}"))
assert links_pb2.SubscribeResponse.FromString(value.SerializeToString()) == value
assert runs_pb2.BeginRequest.FromString(asked.SerializeToString()) == asked

with linkd.connect(sys.argv[1]) as client:
    ack = client.publish("light", [{"n": 2**60, "name": "caf\\u00e9"}, {"n": None, "name": None}])
    rows = client.read("light").rows()
    try:
        client.read("light").to_table()
        needed = ""
    except linkd.MissingExtra as error:
        needed = str(error)
print(json.dumps({
    "protobuf": google.protobuf.__version__, "grpcio": grpc.__version__, "rows": rows, "sequence": ack.last.sequence, "needed": needed,
}))
"""

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("light client")]


def _installed(cache: pytest.Cache, name: str, requirements: tuple[str, ...]) -> Path:
    """A directory with these packages and what they need, and nothing else. Skips, saying why, where they cannot be had."""
    target = cache.mkdir(f"linkd-client-{name}-{sys.version_info.major}.{sys.version_info.minor}")
    mark = target / ".installed"
    with (target / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not mark.exists():
            command = [sys.executable, "-m", "pip", "install", "--quiet", "--only-binary=:all:", f"--target={target}", *requirements]
            try:
                done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S, check=False)
            except subprocess.TimeoutExpired:
                pytest.skip(f"{' '.join(requirements)} not tried: pip took more than {INSTALL_TIMEOUT_S:.0f} s")
            if done.returncode != 0:
                pytest.skip(f"{' '.join(requirements)} not tried: pip could not install them: {done.stderr.strip()[-300:]}")
            mark.touch()
    return target


@pytest.mark.parametrize(
    ("name", "requirements", "protobuf", "grpcio"), [("oldest", OLDEST, "6.31.", "1.71."), ("newest", NEWEST, "7.", "1.")]
)
def test_the_client_works_with_grpcio_and_protobuf_alone(
    name: str, requirements: tuple[str, ...], protobuf: str, grpcio: str, request: pytest.FixtureRequest
) -> None:
    assert request.config.cache is not None
    target = _installed(request.config.cache, name, requirements)
    command = [sys.executable, "-S", "-W", "error", "-c", PROGRAM]
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join((str(target), str(ROOT)))}
    with open_home() as endpoint:
        done = subprocess.run(
            [*command, endpoint], env=env, cwd=target, capture_output=True, text=True, timeout=CLIENT_TIMEOUT_S, check=False
        )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    told = json.loads(done.stdout)
    assert told["protobuf"].startswith(protobuf)
    assert told["grpcio"].startswith(grpcio)
    assert told["rows"] == [{"n": 2**60, "name": "café"}, {"n": None, "name": None}]
    assert told["sequence"] == 1
    assert "pip install 'linkd[arrow]'" in told["needed"]
