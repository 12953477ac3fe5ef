"""What it costs to run programs that know only files: `python benchmarks/file_face.py [--large] [--dir DIR]`.

`each`: a program for each of many small values, one at a time, beside a loop that does nothing but start the same command. The time of a run is
from commit to commit, as the values of the output tell it. `pipe`: a CSV through `pipe: cat`, typed both ways, beside pyarrow's own reading and
writing of the same file in one process; and bytes, beside `cat` from file to file. The time is from the end of the input to the commit.
Ends with code 1 if `--bars` are asked for and missed.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
from rounds import append_result, have_memory, linkd, machine_line, scratch_directory

from linkd.client import sync

LARGE_RUNS, SMALL_RUNS = 300, 20
LARGE_PIPE_BYTES, SMALL_PIPE_BYTES = 10**9, 2_000_000
PIPE_ROWS = 65_536
FILES_OF_A_PIPE = 6
"""As much memory is touched beforehand: the two links that are read, what the programs make of them, and what is on its way."""
BAR_OVERHEAD_MS, BAR_PIPE_RATIO, BAR_RAW_MB_S = 5.0, 0.6, 1_000
RESULTS = Path(__file__).parent / "results" / "file_face.jsonl"
EACH = """\
pipeline: each
wiring: |
  (numbers)  scatter  (parts)
  (parts)    copy     (copies)
links:
  numbers: {from: numbers.csv}
tasks:
  scatter: {run: python scatter.py}
  copy: {run: "cp $LINKD_IN/parts.csv $LINKD_OUT/copies.csv", each: true}
"""
PIPES = """\
pipeline: pipes
wiring: |
  (rows)  through (copy)
  (rows)  make    (blob)
  (blob)  along   (same)
links:
  rows: {from: rows.csv, durability: memory, schema: {n: int64, half: float64, name: string}}
  copy: {durability: memory, schema: {n: int64, half: float64, name: string}}
  blob: {durability: memory}
  same: {durability: memory}
tasks:
  through: {pipe: cat}
  make:    {pipe: "head -c SIZE /dev/zero", format: {rows: csv, blob: raw}}
  along:   {pipe: cat, format: raw}
"""
SCATTER = """\
import linkd

for snap in linkd.connect().snapshots():
    with snap:
        for row in snap["numbers"].rows():
            snap.publish("parts", [row])
"""


def bare_ms(directory: Path, runs: int) -> float:
    """Of a run of the same command, with nothing around it."""
    (directory / "parts.csv").write_text("n\n1\n")
    took_s = []
    for _ in range(runs):
        began_s = time.perf_counter()
        subprocess.run(["/bin/sh", "-c", "cp parts.csv copies.csv"], cwd=directory, check=True, process_group=0)
        took_s.append(time.perf_counter() - began_s)
    return statistics.median(took_s) * 1e3


def each_ms(directory: Path, runs: int) -> float:
    """Of a run of the task, from one commit to the next. Raises `subprocess.CalledProcessError` if the pipeline fails."""
    (directory / "each.yaml").write_text(EACH)
    (directory / "scatter.py").write_text(SCATTER)
    (directory / "numbers.csv").write_text("n\n" + "".join(f"{number}\n" for number in range(runs)))
    subprocess.run(linkd("run", "-q", "each.yaml"), cwd=directory, check=True, stdout=subprocess.DEVNULL)
    with sync.connect(directory / "each.yaml") as client:
        at_ns = [value.envelope.created_at_ns for value in client.read("copies")]
    assert len(at_ns) == runs
    return statistics.median(after - before for before, after in pairwise(at_ns)) / 1e6


def measure_each(directory: Path, runs: int) -> dict[str, Any]:
    before_ms = bare_ms(directory, runs)
    run_ms = each_ms(directory, runs)
    start_ms = min(before_ms, bare_ms(directory, runs))
    return {
        "name": "each",
        "runs": runs,
        "run_ms": round(run_ms, 2),
        "start_ms": round(start_ms, 2),
        "overhead_ms": round(run_ms - start_ms, 2),
    }


def made_csv(path: Path, size_bytes: int) -> None:
    """A file of about that size: numbers and short texts."""
    rows = range(PIPE_ROWS)
    table = pa.table(
        {"n": pa.array(rows), "half": pa.array([row / 2 for row in rows]), "name": pa.array([f"name{row % 977}" for row in rows])}
    )
    with path.open("wb") as file:
        pa_csv.write_csv(table, file)
        while file.tell() < size_bytes:
            pa_csv.write_csv(table, file, pa_csv.WriteOptions(include_header=False))


def pyarrow_s(directory: Path) -> float:
    """Of pyarrow to read the file and to write it again."""
    have_memory(2 * (directory / "rows.csv").stat().st_size)
    began_s = time.perf_counter()
    pa_csv.write_csv(pa_csv.read_csv(directory / "rows.csv"), directory / "again.csv")
    return time.perf_counter() - began_s


def cat_s(directory: Path, size_bytes: int) -> float:
    """Of as many bytes through `cat` from file to file with nothing around it: what the machine gives."""
    with (directory / "blob").open("wb") as file:
        subprocess.run(["head", "-c", str(size_bytes), "/dev/zero"], stdout=file, check=True)
    have_memory(size_bytes)
    began_s = time.perf_counter()
    subprocess.run(["/bin/sh", "-c", "cat < blob | cat > same"], cwd=directory, check=True)
    return time.perf_counter() - began_s


def measure_pipe(directory: Path, size_bytes: int) -> dict[str, Any]:
    (directory / "pipes.yaml").write_text(PIPES.replace("SIZE", str(size_bytes)))
    made_csv(directory / "rows.csv", size_bytes)
    csv_bytes = (directory / "rows.csv").stat().st_size
    have_memory(FILES_OF_A_PIPE * size_bytes)
    subprocess.run(linkd("run", "-q", "pipes.yaml"), cwd=directory, check=True, stdout=subprocess.DEVNULL)
    with sync.connect(directory / "pipes.yaml") as client:
        ends_ns = {link: next(iter(client.read(link, last_values=1))).envelope.created_at_ns for link in ("rows", "copy", "blob", "same")}
    typed_s, raw_s = (ends_ns["copy"] - ends_ns["rows"]) / 1e9, (ends_ns["same"] - ends_ns["blob"]) / 1e9
    return {
        "name": "pipe",
        "size_bytes": csv_bytes,
        "typed_s": round(typed_s, 3),
        "ratio": round(pyarrow_s(directory) / typed_s, 2),
        "raw_mb_s": round(size_bytes / raw_s / 1e6),
        "cat_mb_s": round(size_bytes / cat_s(directory, size_bytes) / 1e6),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--large", action="store_true", help="the sizes that say something")
    parser.add_argument("--bars", action="store_true")
    parser.add_argument("--dir", type=Path, help="on the medium that matters; a temporary directory if not given")
    parser.add_argument("--results", type=Path, default=RESULTS)
    told = parser.parse_args()
    with scratch_directory(told.dir, "linkd-files-") as directory:
        each = measure_each(Path(directory), LARGE_RUNS if told.large else SMALL_RUNS)
        pipe = measure_pipe(Path(directory), LARGE_PIPE_BYTES if told.large else SMALL_PIPE_BYTES)
    append_result(told.results, [each, pipe])
    print(machine_line())
    print(
        f"each: {each['run_ms']} ms a run, of which {each['start_ms']} are the program's: {each['overhead_ms']} ms more (bar {BAR_OVERHEAD_MS:g})"
    )
    print(
        f"pipe: cat, typed both ways: {pipe['ratio']} of pyarrow (bar {BAR_PIPE_RATIO:g}); raw: {pipe['raw_mb_s']:,} MB/s (bar {BAR_RAW_MB_S:,}; "
        f"cat < file | cat > file alone: {pipe['cat_mb_s']:,})"
    )
    kept = each["overhead_ms"] <= BAR_OVERHEAD_MS and pipe["ratio"] >= BAR_PIPE_RATIO and pipe["raw_mb_s"] >= BAR_RAW_MB_S
    return 0 if kept or not told.bars else 1


if __name__ == "__main__":
    sys.exit(main())
