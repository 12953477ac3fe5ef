"""What a person waits for in the first hour: `python benchmarks/first_hour.py [--large] [--rounds N] [--dir DIR] [--results FILE]`.

The help, a run with nothing to do, the plan of a large pipeline, a pipeline of many tasks, and the flights demo end to end beside a shell
script that runs the same two programs one after the other through Parquet files: pandas, then DuckDB. `--large` takes the sizes of the issue
(200 tasks and 1,000 links, 50 tasks, the real flights if they are there, and those repeated 20 times, beside one DuckDB process on the
unzipped file too); without it everything is small, so that it can be seen to work.
"""

from __future__ import annotations

import argparse
import compileall
import os
import shutil
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rounds import Case, append_result, interleave, linkd, scratch_directory

from linkd.testing.flights import write_flights

HERE = Path(__file__).resolve().parent
EXAMPLE = HERE.parent / "examples" / "flights"
RESULTS = HERE / "results" / "first_hour.jsonl"

SHELL = "python clean_pd.py && python sum_dd.py"
CLEAN_PD = """import pandas as pd
df = pd.read_csv("data/flights.csv.zip", na_values=["NA"])
df[df.dep_time.notna()].to_parquet("flown.parquet")
df[df.dep_time.isna()].to_parquet("cancelled.parquet")
"""
TOTALS = "SELECT a.name AS airline, count(*) AS flights, sum(f.distance) AS miles FROM {flown} f JOIN 'data/airlines.csv' a USING (carrier)"
SUM_DD = 'import duckdb\nduckdb.sql("COPY (' + TOTALS.format(flown="'flown.parquet'") + " GROUP BY airline) TO 'totals.csv'\")\n"
FLOWN = "(SELECT * FROM read_csv('data/flights.csv', nullstr='NA') WHERE dep_time IS NOT NULL)"
ONE_DUCKDB = 'import duckdb\nduckdb.sql("COPY (' + TOTALS.format(flown=FLOWN) + " GROUP BY airline) TO 'totals.csv'\")\n"

PASS_ON_PY = """import sys

import linkd

for snap in linkd.connect().snapshots():
    with snap:
        [source] = snap.inputs
        snap.publish(sys.argv[1], snap[source].to_table())
"""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How large everything is."""

    tasks_planned: int
    links_planned: int
    tasks_run: int
    flights: int | None
    """Rows of made-up flights; None: the real ones."""
    repeats: tuple[int, ...]


SMALL = Sizes(tasks_planned=20, links_planned=100, tasks_run=6, flights=2_000, repeats=(1,))
LARGE = Sizes(tasks_planned=200, links_planned=1_000, tasks_run=50, flights=None, repeats=(1, 20))


def write_wide(directory: Path, tasks: int, links: int) -> Path:
    """A pipeline of so many tasks and links, each task behind the one before it: to be planned, not run."""
    outputs = links // tasks
    wiring, source = [], "l0"
    for task in range(tasks):
        made = [f"l{task * outputs + number + 1}" for number in range(outputs)]
        wiring.append(f"  ({source}) t{task} ({', '.join(made)})")
        source = made[0]
    text = ["pipeline: wide", "wiring: |", *wiring, "links:", "  l0: {from: in.csv}", "tasks:"]
    text += [f'  t{task}: {{run: "true"}}' for task in range(tasks)]
    return _written(directory, "wide.yaml", text)


def write_many(directory: Path, tasks: int) -> Path:
    """A pipeline of so many tasks that can be run: one in ten is a Python program, the others are SQL, in rows of ten."""
    wiring, lines, ends = [], [], []
    for task in range(tasks):
        source = "l0" if task % 10 == 0 else f"l{task}"
        wiring.append(f"  ({source}) t{task} (l{task + 1})")
        program = f"{sys.executable} pass_on.py l{task + 1}"
        lines.append(f"  t{task}: {{run: {program}}}" if task % 10 == 5 else f'  t{task}: {{sql: "SELECT n + 1 AS n FROM {source}"}}')
        if task % 10 == 9 or task == tasks - 1:
            ends.append(f"  l{task + 1}: {{to: out/l{task + 1}.csv}}")
    text = ["pipeline: many", "wiring: |", *wiring, "links:", "  l0: {from: in.csv}", *ends, "tasks:", *lines]
    (directory / "pass_on.py").write_text(PASS_ON_PY)
    return _written(directory, "many.yaml", text)


def _written(directory: Path, name: str, lines: list[str]) -> Path:
    (directory / "in.csv").write_text("n\n" + "".join(f"{number}\n" for number in range(100)))
    path = directory / name
    path.write_text("\n".join(lines) + "\n")
    return path


def write_demo(directory: Path, rows: int | None, repeats: int) -> None:
    """The example, the shell script's programs and DuckDB's, over flights repeated so many times; the CSV file is there unzipped too."""
    data = directory / "data"
    if rows is not None:
        write_flights(data, rows)
    else:
        data.mkdir(parents=True)
        for name in ("flights.csv.zip", "airlines.csv"):
            shutil.copy(EXAMPLE / "data" / name, data / name)
    with zipfile.ZipFile(data / "flights.csv.zip") as archive:
        [name] = archive.namelist()
        header, _, body = archive.read(name).partition(b"\n")
    with (data / "flights.csv").open("wb") as file:
        file.write(header + b"\n")
        for _ in range(repeats):
            file.write(body)
    if repeats > 1:
        with zipfile.ZipFile(data / "flights.csv.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(data / "flights.csv", name)
    for name in ("flights.yaml", "clean.py"):
        shutil.copy(EXAMPLE / name, directory / name)
    (directory / "clean_pd.py").write_text(CLEAN_PD)
    (directory / "sum_dd.py").write_text(SUM_DD)
    (directory / "one_duckdb.py").write_text(ONE_DUCKDB)


def forget(directory: Path) -> None:
    """What earlier rounds made."""
    for name in (".linkd", "out"):
        shutil.rmtree(directory / name, ignore_errors=True)
    for path in (*directory.glob("*.parquet"), directory / "totals.csv"):
        path.unlink(missing_ok=True)


def measure(root: Path, sizes: Sizes, rounds: int) -> Iterator[dict[str, Any]]:
    """The figures, as they are known."""
    here = {"PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))}
    environment = {**{name: value for name, value in os.environ.items() if not name.startswith("LINKD_")}, **here, "NO_COLOR": "1"}

    def case(name: str, command: list[str], directory: Path, **more: Any) -> Case:
        return Case(name, command, directory, environment=environment, **more)

    small, many = root / "small", root / "many"
    for directory in (small, many):
        directory.mkdir()
    wide_file, many_file = write_wide(small, sizes.tasks_planned, sizes.links_planned), write_many(many, sizes.tasks_run)
    for repeats in sizes.repeats:
        demo = root / f"demo{repeats}"
        demo.mkdir()
        write_demo(demo, sizes.flights, repeats)
        ran = case(f"flights x{repeats}", linkd("run", "flights.yaml", "-q"), demo, before=partial(forget, demo))
        shell = case(f"shell script x{repeats}", ["sh", "-c", SHELL], demo)
        cases = [ran, shell, case(f"one DuckDB, unzipped, x{repeats}", [sys.executable, "one_duckdb.py"], demo)]
        interleave(cases, rounds if repeats == 1 else max(1, rounds // 2))
        yield from _compared(cases, shell, 2.0)
        if repeats == 1:
            fast = [
                (case("linkd --help", linkd("--help"), small), 0.15),
                (case("nothing to do", linkd("run", "flights.yaml"), demo), 0.6),
                (case(f"plan of {sizes.tasks_planned} tasks", linkd("run", wide_file.name, "--dry-run"), small), 1.0),
            ]
            interleave([one for one, _ in fast], rounds)
            for one, most_s in fast:
                yield {**one.told(), "at_most_s": most_s, "reached": one.wall_s <= most_s}
        shutil.rmtree(demo)
    tasks = case(f"{sizes.tasks_run} tasks", linkd("run", many_file.name, "-q"), many, before=partial(forget, many))
    interleave([tasks], max(1, rounds // 2))
    yield tasks.told()


def _compared(cases: list[Case], peer: Case, most: float) -> Iterator[dict[str, Any]]:
    first = cases[0]
    ratio = first.wall_s / peer.wall_s
    yield {**first.told(), "ratio": round(ratio, 2), "to": peer.name, "at_most": most, "reached": ratio <= most}
    yield from (other.told() for other in cases[1:])


def compile_all() -> None:
    """What an installation has done, and a run in the source tree does only where Python may write beside the sources."""
    for package in ("linkd", "adapters/linkd_adapters"):
        compileall.compile_dir(HERE.parent / package, quiet=1)


def shown(figure: dict[str, Any]) -> str:
    """One line of the table."""
    spread = f"{figure['wall_min_s']:.2f}..{figure['wall_max_s']:.2f}"
    line = f"{figure['name']:28} {figure['wall_s']:7.2f} s  ({spread})  cpu {figure['cpu_s']:6.2f} s"
    if "at_most_s" in figure:
        line += f"  at most {figure['at_most_s']} s: {'yes' if figure['reached'] else 'NO'}"
    if "ratio" in figure:
        line += f"  {figure['ratio']} x {figure['to']}, at most {figure['at_most']}: {'yes' if figure['reached'] else 'NO'}"
    return line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--rounds", type=int, default=None)
    parser.add_argument("--dir", type=Path, default=None)
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    sizes = LARGE if arguments.large else SMALL
    compile_all()
    figures = []
    if arguments.dir is not None:
        Path(arguments.dir).mkdir(parents=True, exist_ok=True)
    with scratch_directory(arguments.dir) as root:
        for figure in measure(Path(root), sizes, arguments.rounds or (5 if arguments.large else 1)):
            print(shown(figure), flush=True)
            figures.append(figure)
    append_result(arguments.results, figures)


if __name__ == "__main__":
    main()
