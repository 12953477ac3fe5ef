"""What it costs to find out that nothing has to run: `python benchmarks/memo.py [--large] [--dir DIR]`.

A program is run for each of many small files, then another version of it, and then the first one again: all that it made is remembered, and committed
again in the order of the input. The time of a hit is from commit to commit, as the values of the output tell it: the decision (the key of the
snapshot, the row of the memo, the digest of the content) and the commit of what is remembered. Ends with code 1 if `--bars` are asked for and missed.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

from rounds import append_result, linkd, machine_line, scratch_directory

from linkd.client import sync
from linkd.core.memo import REMEMBERED

LARGE_FILES, SMALL_FILES = 300, 5
LARGE_ROUNDS = 4
BAR_HIT_MS = 1.0
RESULTS = Path(__file__).parent / "results" / "memo.jsonl"
STATIONS = """\
pipeline: stations
wiring: (readings) clean (cleaned)
links:
  readings: {from: "data/*.csv"}
tasks:
  clean: {run: "cp $LINKD_IN/readings.csv $LINKD_OUT/cleaned.csv", each: true, version: "VERSION"}
"""


def run_ms(directory: Path, version: str, *, remembered: bool) -> float:
    """From one commit of the task to the next. Raises `subprocess.CalledProcessError` if the pipeline fails."""
    pipeline = directory / "stations.yaml"
    pipeline.write_text(STATIONS.replace("VERSION", version))
    subprocess.run(linkd("run", "-q", pipeline.name), cwd=directory, check=True, stdout=subprocess.DEVNULL)
    with sync.connect(pipeline) as client:
        made = [value.envelope for value in client.read("cleaned")]
    assert {REMEMBERED in envelope.attributes for envelope in made} == {remembered}
    return statistics.median(after.created_at_ns - before.created_at_ns for before, after in pairwise(made)) / 1e6


def measure(directory: Path, files: int, rounds: int) -> dict[str, Any]:
    (directory / "data").mkdir()
    for number in range(files):
        (directory / "data" / f"{number:05}.csv").write_text(f"station,value\ns{number},{number}\n")
    ran_ms = run_ms(directory, "1", remembered=False)
    run_ms(directory, "2", remembered=False)
    hit_ms = min(run_ms(directory, "12"[number % 2], remembered=True) for number in range(rounds))
    return {"name": "memo", "files": files, "run_ms": round(ran_ms, 2), "hit_ms": round(hit_ms, 2)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--large", action="store_true", help="the sizes that say something")
    parser.add_argument("--bars", action="store_true")
    parser.add_argument("--dir", type=Path, help="on the medium that matters; a temporary directory if not given")
    parser.add_argument("--results", type=Path, default=RESULTS)
    told = parser.parse_args()
    with scratch_directory(told.dir, "linkd-memo-") as directory:
        memo = measure(Path(directory), *((LARGE_FILES, LARGE_ROUNDS) if told.large else (SMALL_FILES, 1)))
    append_result(told.results, [memo])
    print(machine_line())
    print(f"memo: a hit decided and committed in {memo['hit_ms']} ms, where a run takes {memo['run_ms']} (bar {BAR_HIT_MS:g})")
    return 0 if memo["hit_ms"] <= BAR_HIT_MS or not told.bars else 1


if __name__ == "__main__":
    sys.exit(main())
