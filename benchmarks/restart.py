"""How long a home takes from its start to ready, by how much it holds: `python benchmarks/restart.py [--log-mb 2000] [--values 1000000]`.

A home with large values is started and stopped some times; so is another with very many small ones, at two sizes, so that the slope shows on
what a start depends: with it, what it would take with 100 million values is told, if there are `SLOPE_MIN_VALUES` or more. The directories
are made by the home's own store, frames of `FRAME_VALUES` values at a time. Ends with code 1 if a start took longer than `--bar-s`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from rounds import append_result, scratch_directory
from stalled_consumer import home

from linkd.core import publishing
from linkd.core.checkpoint import keep
from linkd.core.ledger import Ledger
from linkd.core.publishing import Draft, Maker
from linkd.store.store import Store
from linkd.testing.sample_values import SampleValue, sample_value

BAR_S = 1.0
FRAME_VALUES = 200
LARGE_ROWS = 512 * 1024
"""4 MiB."""
WANTED_VALUES = 100_000_000
SLOPE_MIN_VALUES = 1_000_000
"""With fewer the slope is what starts differ by anyhow, some 10 ms, times as much as 100 million are more than them."""
RESULTS = Path(__file__).parent / "results" / "restart.jsonl"


async def fill(directory: Path, link: str, value: SampleValue, count: int, frame_values: int) -> None:
    """A directory as a home leaves it: so many values of `link`."""
    store = Store.open(directory)
    ledger = Ledger()
    for _ in store.replay():
        pass
    store.start(asyncio.get_running_loop(), keep=lambda: keep(ledger))
    records = publishing.open_link(link, 1)
    store.append(records)
    ledger.apply(records)
    envelope = value.envelope
    draft = Draft(link, envelope.rows, envelope.size_bytes, envelope.schema_id, value.schema, envelope.payload_xxh3)
    for first in range(0, count, frame_values):
        values = min(frame_values, count - first)
        await store.room()
        entropy = b"".join(number.to_bytes(10, "big") for number in range(first, first + values))
        frame = publishing.publish(ledger, [draft] * values, Maker(), time.time_ns(), entropy)
        written = store.append(frame, [value.payload] * values)
        ledger.apply(frame)
        written.add_done_callback(lambda done, frame=frame: ledger.durable(frame) if done.exception() is None else None)
    await written
    await store.close()


async def start_seconds(directory: Path, rounds: int) -> float:
    """The median time from the start of the process to its line that it is ready."""
    seconds = []
    for _ in range(rounds):
        began_s = time.monotonic()
        async with home(directory):
            seconds.append(time.monotonic() - began_s)
    return statistics.median(seconds)


async def measure(directory: Path, log_mb: int, values: int, rounds: int) -> list[dict[str, Any]]:
    large, small = sample_value("large", 1, LARGE_ROWS), sample_value("small", 1, 1)
    await fill(directory / "large", "large", large, max(log_mb * 10**6 // len(large.payload), 1), 1)
    figures = [{"name": "restart with a log", "log_mb": log_mb, "start_s": round(await start_seconds(directory / "large", rounds), 3)}]
    starts = {}
    for count in (values // 10, values):
        place = directory / f"small_{count}"
        await fill(place, "small", small, count, FRAME_VALUES)
        starts[count] = await start_seconds(place, rounds)
        figures.append({"name": "restart with many values", "values": count, "start_s": round(starts[count], 3)})
    if values < SLOPE_MIN_VALUES:
        return figures
    slope = max(starts[values] - starts[values // 10], 0.0) / (values - values // 10)
    told = {"name": "restart with 100 million values, by the slope", "start_s": round(starts[values] + slope * (WANTED_VALUES - values), 3)}
    return [*figures, told | {"slope_us_per_1000_values": round(slope * 1e9, 3)}]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--log-mb", type=int, default=2_000)
    parser.add_argument("--values", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--bar-s", type=float, default=BAR_S)
    parser.add_argument("--dir", type=Path)
    parser.add_argument("--results", type=Path, default=RESULTS)
    told = parser.parse_args()
    with scratch_directory(told.dir, "linkd-restart-") as directory:
        figures = asyncio.run(measure(Path(directory), told.log_mb, told.values, told.rounds))
    append_result(told.results, figures)
    print(json.dumps(figures))
    return int(any(figure["start_s"] > told.bar_s for figure in figures))


if __name__ == "__main__":
    sys.exit(main())
