"""Has a program forked in all ways: `python fork_trial.py` prints what was seen, as JSON.

A process of its own, because only one that has a single thread may fork.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import tempfile
from pathlib import Path
from typing import Any

from linkd.app.run.fork_server import ForkServer, OwnProgram
from linkd.app.run.processes import Child, Processes

PROGRAM = OwnProgram("forked_program", ("json", "no_such_module"))


async def _ended(child: Child, line: bytes = b"hello\n") -> dict[str, Any]:
    assert child.process.stdin is not None
    assert child.process.stdout is not None
    child.process.stdin.write(line)
    told = await child.process.stdout.readline()
    rest = await child.process.stdout.read()
    return {"told": json.loads(told), "rest": rest.decode(), "pid": child.pid, "code": await child.process.wait()}


async def drive(forks: ForkServer | None, directory: Path) -> dict[str, Any]:
    """Everything that is to be seen."""
    processes = Processes(directory, forks)

    async def start(ending: str, pass_fds: tuple[int, ...] = ()) -> Child:
        environment = {"ENDING": ending, "PYTHONPATH": str(Path(__file__).parent)}
        return await processes.start_own("trial", PROGRAM, env=environment, cwd=directory, stdin=-1, pass_fds=pass_fds)

    passed = os.open(os.devnull, os.O_RDONLY)
    seen: dict[str, Any] = {"passed": passed, "supervisor": os.getsid(0)}
    seen["plain"] = await _ended(await start("", (passed,)))
    for ending in ("exit", "signal", "raise"):
        seen[ending] = await _ended(await start(ending))
    cancelled = asyncio.ensure_future(start("wait"))
    await asyncio.sleep(0)
    cancelled.cancel()
    await asyncio.gather(cancelled, return_exceptions=True)
    seen["after a cancelled one"] = await _ended(await start(""))
    waiting = await start("wait")
    assert waiting.process.stdin is not None
    assert waiting.process.stdout is not None
    waiting.process.stdin.write(b"\n")
    await waiting.process.stdout.readline()
    if forks is not None:
        os.kill(forks.pid, signal.SIGKILL)
        seen["without its server"] = await waiting.process.wait()
        seen["executed instead"] = await _ended(await start(""))
    await waiting.end(0.0)
    seen["groups"] = len(json.loads((directory / "groups.json").read_text()))
    return seen


if __name__ == "__main__":
    server = ForkServer.start([PROGRAM], {"TRIAL": "1"})
    try:
        with tempfile.TemporaryDirectory() as scratch:
            print(json.dumps({"forks": server is not None, **asyncio.run(drive(server, Path(scratch)))}))
    finally:
        if server is not None:
            server.close()
