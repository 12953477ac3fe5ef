"""How fast artifacts go in and out: `python benchmarks/artifacts.py [--large] [--dir DIR]`.

A large file, in the page cache, is put and got again, beside `cp` of the same file there, followed by a sync, which is what putting promises, and
`cp` back; meanwhile the anonymous memory of the home and of this process is sampled. Then many small artifacts are put, durably, over one client.
Ends with code 1 if `--bars` are asked for and missed.

Both roads leave as many bytes behind them, each step finds its memory touched (`rounds.have_memory`), and all is done in several rounds, of which
the best time of each step counts.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rounds import append_result, have_memory, scratch_directory
from stalled_consumer import Samples, home

from linkd import aio
from linkd.limits import MIB

LARGE_MB, SMALL_MB = 4_096, 64
LARGE_COUNT, SMALL_COUNT = 100_000, 2_000
LARGE_ROUNDS = 3
SMALL_BYTES = 1_000
BAR_OF_CP = 0.7
BAR_MIB = 128
BAR_PER_S = 5_000
RESULTS = Path(__file__).parent / "results" / "artifacts.jsonl"
SOURCE = "source.bin"


def make(path: Path, size_bytes: int) -> None:
    """A file that is nothing but chance, piece by piece, and in the page cache."""
    piece = random.Random(0).randbytes(16 * MIB)
    with path.open("wb") as file:
        for number in range(0, size_bytes, len(piece)):
            file.write(number.to_bytes(8, "big") + piece[: min(len(piece), size_bytes - number) - 8])
    os.sync()


def copied(directory: Path) -> dict[str, float]:
    """Seconds of `cp` of the source there, of it and the sync behind it, and of `cp` back: three files are there then, as with an artifact."""
    source, there, back = directory / SOURCE, directory / "there.bin", directory / "back.bin"
    size_bytes = source.stat().st_size
    seconds: dict[str, float] = {}
    have_memory(size_bytes)
    began_s = time.perf_counter()
    subprocess.run(["cp", str(source), str(there)], check=True)
    seconds["cp_s"] = time.perf_counter() - began_s
    subprocess.run(["sync", str(there)], check=True)
    seconds["cp_sync_s"] = time.perf_counter() - began_s
    have_memory(size_bytes)
    began_s = time.perf_counter()
    subprocess.run(["cp", str(there), str(back)], check=True)
    seconds["cp_back_s"] = time.perf_counter() - began_s
    there.unlink()
    back.unlink()
    return seconds


async def kept(client: aio.Client, directory: Path) -> dict[str, float]:
    """Seconds of put and of get."""
    source, target = directory / SOURCE, directory / "target.bin"
    size_bytes = source.stat().st_size
    seconds: dict[str, float] = {}
    await asyncio.to_thread(have_memory, size_bytes)
    began_s = time.perf_counter()
    artifact = await client.put_artifact(source)
    seconds["put_s"] = time.perf_counter() - began_s
    await asyncio.to_thread(have_memory, size_bytes)
    began_s = time.perf_counter()
    await client.get_artifact(artifact, target)
    seconds["get_s"] = time.perf_counter() - began_s
    await asyncio.to_thread(subprocess.run, ["cmp", str(source), str(target)], check=True)
    target.unlink()
    return seconds


async def many(client: aio.Client, count: int) -> float:
    """Artifacts a second."""
    chance = random.Random(1)
    contents: Iterable[bytes] = [chance.randbytes(SMALL_BYTES) for _ in range(count)]
    began_s = time.perf_counter()
    await client.put_artifacts(contents)
    return count / (time.perf_counter() - began_s)


async def measure_round(directory: Path, count: int) -> dict[str, float]:
    """Of a home of its own: seconds and peaks of the large file, and what came of the small ones, if any are asked for."""
    seconds = await asyncio.to_thread(copied, directory)
    async with home(directory / "home") as (pid, endpoint), aio.connect(endpoint) as client:
        peaks = {"home": Samples(pid), "client": Samples(os.getpid())}
        sampling = [asyncio.create_task(samples.run(), name=f"sampling {name}") for name, samples in peaks.items()]
        seconds |= await kept(client, directory)
        for task in sampling:
            task.cancel()
        per_s = await many(client, count) if count else 0.0
    await asyncio.to_thread(shutil.rmtree, directory / "home")
    return seconds | {f"{name}_peak_mib": max(samples.peaks.values()) / MIB for name, samples in peaks.items()} | {"per_s": per_s}


def measure(directory: Path, size_bytes: int, count: int, rounds: int) -> list[dict[str, Any]]:
    make(directory / SOURCE, size_bytes)
    told = [asyncio.run(measure_round(directory, count if number == rounds - 1 else 0)) for number in range(rounds)]
    seconds = {name: min(one[name] for one in told) for name in told[0] if name.endswith("_s") and name != "per_s"}
    both_s = seconds["put_s"] + seconds["get_s"]
    large = {
        "name": "one large artifact",
        "mb": size_bytes // 10**6,
        "rounds": rounds,
        **{name: round(value, 2) for name, value in seconds.items()},
        "of_cp": round((seconds["cp_s"] + seconds["cp_back_s"]) / both_s, 2),
        "of_cp_synced": round((seconds["cp_sync_s"] + seconds["cp_back_s"]) / both_s, 2),
        **{f"{name}_peak_mib": round(max(one[f"{name}_peak_mib"] for one in told), 1) for name in ("home", "client")},
    }
    return [large, {"name": "small artifacts", "count": count, "per_s": round(told[-1]["per_s"])}]


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
        large, small = measure(Path(directory), size_bytes, count, LARGE_ROUNDS if told.large else 1)
    append_result(told.results, [large, small])
    print(f"{large['mb']:,} MB: put {large['put_s']} s, got {large['get_s']} s")
    print(f"  cp {large['cp_s']} s, and sync {large['cp_sync_s']} s, cp back {large['cp_back_s']} s")
    print(f"  {large['of_cp']} of cp there and back, {large['of_cp_synced']} of cp that is synced there (bar {BAR_OF_CP})")
    print(f"  anonymous memory at most {large['home_peak_mib']} MiB in the home, {large['client_peak_mib']} in the client (bar {BAR_MIB})")
    print(f"{count:,} artifacts of {SMALL_BYTES} bytes: {small['per_s']:,} a second, durable (bar {BAR_PER_S:,})")
    within = large["of_cp_synced"] >= BAR_OF_CP and large["home_peak_mib"] <= BAR_MIB and small["per_s"] >= BAR_PER_S
    return 0 if within or not told.bars else 1


if __name__ == "__main__":
    sys.exit(main())
