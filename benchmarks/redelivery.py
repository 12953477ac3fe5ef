"""How soon another member has what a consumer had that died, or that hangs: `python benchmarks/redelivery.py [--rounds 20] [--hangs 3]`.

A home, a consumer in a process of its own that has a value in hand, and a second member of its group here. The first is killed with SIGKILL
(its socket says so) or stopped with SIGSTOP (only its lease does). Ends with code 1 if a death took longer than `--bar-s`, or a hang longer
than the lease and `--bar-s`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from rounds import append_result, scratch_directory
from stalled_consumer import home

from linkd import aio
from linkd.limits import LEASE_MIN_S

BAR_S = 1.0
RESULTS = Path(__file__).parent / "results" / "redelivery.jsonl"
CONSUMER = """
import sys, time
import linkd
with linkd.connect(sys.argv[1]) as client:
    for value in client.subscribe(sys.argv[2], "workers", follow=True, order="none", lease_s=float(sys.argv[3])):
        print(value.envelope.position.sequence, flush=True)
        time.sleep(3600)
"""


async def once(endpoint: str, link: str, how: signal.Signals) -> float:
    """Seconds from the signal to the other member's having the value."""
    async with aio.connect(endpoint) as client:
        await client.publish(link, [{"n": 1}])
        command = [sys.executable, "-c", CONSUMER, endpoint, link, str(LEASE_MIN_S)]
        consumer = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
        try:
            assert consumer.stdout is not None
            if await consumer.stdout.readline() != b"1\n":
                raise SystemExit("the consumer did not get the value")
            async with client.subscribe(link, "workers", follow=True, order="none") as values:
                waiting = asyncio.create_task(anext(values), name="the other member")
                await asyncio.sleep(0.05)
                consumer.send_signal(how)
                began_s = time.monotonic()
                value = await waiting
                seconds = time.monotonic() - began_s
                await value.ack()
        finally:
            with contextlib.suppress(ProcessLookupError):
                consumer.kill()
            await consumer.communicate()
    return seconds


async def measure(directory: Path, rounds: int, hangs: int) -> list[dict[str, Any]]:
    async with home(directory) as (_, endpoint):
        killed = [await once(endpoint, f"killed_{number}", signal.SIGKILL) for number in range(rounds)]
        stopped = [await once(endpoint, f"stopped_{number}", signal.SIGSTOP) for number in range(hangs)]
    return [figure("redelivery after kill -9", killed), figure("redelivery after a hang", stopped) | {"lease_s": LEASE_MIN_S}]


def figure(name: str, seconds: list[float]) -> dict[str, Any]:
    return {"name": name, "rounds": len(seconds), "median_s": round(statistics.median(seconds), 4), "max_s": round(max(seconds), 4)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--hangs", type=int, default=3)
    parser.add_argument("--bar-s", type=float, default=BAR_S)
    parser.add_argument("--dir", type=Path)
    parser.add_argument("--results", type=Path, default=RESULTS)
    told = parser.parse_args()
    with scratch_directory(told.dir, "linkd-redelivery-") as directory:
        figures = asyncio.run(measure(Path(directory) / "state", told.rounds, told.hangs))
    append_result(told.results, figures)
    print(json.dumps(figures))
    died, hung = (one["max_s"] for one in figures)
    return int(died > told.bar_s or hung > LEASE_MIN_S + told.bar_s)


if __name__ == "__main__":
    sys.exit(main())
