"""How fast artifacts go in and out: `python benchmarks/artifacts.py [--large] [--dir DIR]`.

A large file, in the page cache, is put and got again, beside `cp` of the same file there and back, and `cp` followed by a sync, which is what putting
promises; meanwhile the anonymous memory of the home and of this process is sampled. Then many small artifacts are put, durably, over one client. Ends
with code 1 if `--bars` are asked for and missed.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rounds import append_result, scratch_directory
from stalled_consumer import Samples, home

from linkd import aio
from linkd.limits import MIB

LARGE_MB, SMALL_MB = 4_096, 64
LARGE_COUNT, SMALL_COUNT = 100_000, 2_000
SMALL_BYTES = 1_000
BAR_OF_CP = 0.7
BAR_MIB = 128
BAR_PER_S = 5_000
RESULTS = Path(__file__).parent / "results" / "artifacts.jsonl"


def make(path: Path, size_bytes: int) -> None:
    """A file that is nothing but chance, piece by piece, and in the page cache."""
    piece = random.Random(0).randbytes(16 * MIB)
    with path.open("wb") as file:
        for number in range(0, size_bytes, len(piece)):
            file.write(number.to_bytes(8, "big") + piece[: min(len(piece), size_bytes - number) - 8])
    os.sync()


def cp(source: Path, target: Path, *, sync: bool) -> float:
    began_s = time.perf_counter()
    subprocess.run(["cp", str(source), str(target)], check=True)
    if sync:
        subprocess.run(["sync", str(target)], check=True)
    return time.perf_counter() - began_s


async def copied(client: aio.Client, directory: Path, size_bytes: int) -> dict[str, float]:
    """Seconds of each step. What `cp` takes is the better of two times, before and behind."""
    source, target = directory / "source.bin", directory / "target.bin"
    await asyncio.to_thread(make, source, size_bytes)
    plain_s, durable_s = [], []
    seconds: dict[str, float] = {}

    async def compare() -> None:
        for times, sync in ((plain_s, False), (durable_s, True)):
            times.append(await asyncio.to_thread(cp, source, target, sync=sync))
            target.unlink()

    await compare()
    began_s = time.perf_counter()
    artifact = await client.put_artifact(source)
    seconds["put_s"] = time.perf_counter() - began_s
    began_s = time.perf_counter()
    await client.get_artifact(artifact, target)
    seconds["get_s"] = time.perf_counter() - began_s
    await asyncio.to_thread(subprocess.run, ["cmp", str(source), str(target)], check=True)
    target.unlink()
    await compare()
    return seconds | {"cp_s": min(plain_s), "cp_sync_s": min(durable_s)}


async def many(client: aio.Client, count: int) -> float:
    """Artifacts a second."""
    chance = random.Random(1)
    contents: Iterable[bytes] = [chance.randbytes(SMALL_BYTES) for _ in range(count)]
    began_s = time.perf_counter()
    await client.put_artifacts(contents)
    return count / (time.perf_counter() - began_s)


async def measure(directory: Path, size_bytes: int, count: int) -> list[dict[str, Any]]:
    async with home(directory / "home") as (pid, endpoint), aio.connect(endpoint) as client:
        peaks = {"home": Samples(pid), "client": Samples(os.getpid())}
        sampling = [asyncio.create_task(samples.run(), name=f"sampling {name}") for name, samples in peaks.items()]
        seconds = await copied(client, directory, size_bytes)
        for task in sampling:
            task.cancel()
        per_s = await many(client, count)
    both_s = seconds["put_s"] + seconds["get_s"]
    large = {
        "name": "one large artifact",
        "mb": size_bytes // 10**6,
        **{name: round(value, 2) for name, value in seconds.items()},
        "of_cp": round(2 * seconds["cp_s"] / both_s, 2),
        "of_cp_synced": round((seconds["cp_sync_s"] + seconds["cp_s"]) / both_s, 2),
        **{f"{name}_peak_mib": round(max(samples.peaks.values()) / MIB, 1) for name, samples in peaks.items()},
    }
    return [large, {"name": "small artifacts", "count": count, "per_s": round(per_s)}]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--large", action="store_true", help="the sizes that say something")
    parser.add_argument("--mb", type=int, help="of the large file")
    parser.add_argument("--count", type=int, help="of small artifacts")
    parser.add_argument("--bars", action="store_true")
    parser.add_argument("--dir", type=Path, help="on the medium that matters; a temporary directory if not given")
    parser.add_argument("--results", type=Path, default=RESULTS)
    told = parser.parse_args()
    size_bytes = (told.mb or (LARGE_MB if told.large else SMALL_MB)) * MIB
    count = told.count or (LARGE_COUNT if told.large else SMALL_COUNT)
    with scratch_directory(told.dir, "linkd-artifacts-") as directory:
        large, small = asyncio.run(measure(Path(directory), size_bytes, count))
    append_result(told.results, [large, small])
    print(f"{large['mb']:,} MB: put {large['put_s']} s, got {large['get_s']} s; cp {large['cp_s']} s, cp and sync {large['cp_sync_s']} s")
    print(f"  {large['of_cp']} of cp there and back, {large['of_cp_synced']} of cp that is synced there (bar {BAR_OF_CP})")
    print(f"  anonymous memory at most {large['home_peak_mib']} MiB in the home, {large['client_peak_mib']} in the client (bar {BAR_MIB})")
    print(f"{count:,} artifacts of {SMALL_BYTES} bytes: {small['per_s']:,} a second, durable (bar {BAR_PER_S:,})")
    within = large["of_cp_synced"] >= BAR_OF_CP and large["home_peak_mib"] <= BAR_MIB and small["per_s"] >= BAR_PER_S
    return 0 if within or not told.bars else 1


if __name__ == "__main__":
    sys.exit(main())
