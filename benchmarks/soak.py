"""What is tried to break linkd, for as long as asked: `python benchmarks/soak.py [--minutes 60] [--only WORD] ... [--dir DIR]`.

One table: what was tried, how much was asked for and done, what came of it, and the bar. What scales gets its share of the minutes, at a speed
that was measured on two cores: simulated steps, kills, flipped bits. `--small` is for tests of this program: nothing that is about time has a
bar then. Results are appended to `benchmarks/results/soak.jsonl`. Ends with code 1 if anything was broken or a bar missed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rounds import append_result, scratch_directory

ROOT = Path(__file__).resolve().parents[1]
BENCHMARKS = ROOT / "benchmarks"
RESULTS = BENCHMARKS / "results" / "soak.jsonl"
WEEK_S = 7 * 86_400
HOUR_MINUTES = 60.0
"""What the amounts below are for; other times have their share of them."""

Figures = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done, what came of it, and whether that is within the bar of the trial."""

    done: str
    result: str
    kept: bool = True


@dataclass(frozen=True, slots=True)
class Trial:
    """One row of the table. `of_an_hour` is how much of it there is in an hour, `small` how much in a test, `most` what is ever asked for.

    `command` makes a command line of the amount, `environment` says it to tests; `told` reads what was done and what came of it from the figures,
    with what was asked for. `bar` is in words what `told`, or the exit code of the command, holds it to.
    """

    what: str
    bar: str
    of_an_hour: int
    small: int
    most: int
    command: Callable[[int, Path], list[str]]
    told: Callable[[Figures, int], Outcome]
    environment: Callable[[int], dict[str, str]] = field(default=lambda amount: {})
    unit: str = ""

    def asked(self, minutes: float, *, small: bool) -> int:
        if small:
            return self.small
        return max(min(round(self.of_an_hour * minutes / HOUR_MINUTES), self.most), self.small)


def pytest(*words: str) -> Callable[[int, Path], list[str]]:
    """Tests, on two cores, without a time limit. They leave their figures where LINKD_FIGURES says (`tests/figures.py`)."""
    return lambda amount, directory: [
        *(sys.executable, "-m", "pytest", "-q", "-n", "2", "--dist", "loadgroup", "--timeout", "0", "-p", "no:cacheprovider"),
        *(f"--basetemp={directory / 'pytest'}", *words),
    ]


def program(name: str, option: str, *words: str) -> Callable[[int, Path], list[str]]:
    """A benchmark of this directory, which appends its figures to a file of results of its own."""
    return lambda amount, directory: [
        *(sys.executable, str(BENCHMARKS / name), option, str(amount), *words),
        *("--dir", str(directory), "--results", str(directory / "results.jsonl")),
    ]


def total(figures: Figures, key: str) -> int:
    return sum(int(figure.get(key, 0)) for figure in figures)


def counted(figures: Figures, *names: str) -> str:
    return ", ".join(f"{total(figures, name):,} {name.replace('_', ' ')}" for name in names)


def simulated(figures: Figures, asked: int) -> Outcome:
    violations = total(figures, "violations")
    return Outcome(f"{total(figures, 'steps'):,} steps", f"{violations} violations", not violations)


def killed(figures: Figures, asked: int) -> Outcome:
    names = ("acked_values_lost", "effects_twice", "out_of_order")
    kept = total(figures, "kills") == asked and not any(total(figures, name) for name in names)
    return Outcome(f"{total(figures, 'kills'):,} kills, {total(figures, 'acked'):,} values acked", counted(figures, *names), kept)


def flipped(figures: Figures, asked: int) -> Outcome:
    names = ("found_by_verify", "found_at_first_use", "in_bytes_that_nothing_reads", "served_wrong")
    return Outcome(f"{total(figures, 'flips'):,} flips", counted(figures, *names), not total(figures, "served_wrong"))


def passed(figures: Figures, asked: int) -> Outcome:
    """Of tests that leave no figures: that they passed says it."""
    return Outcome("all", "nothing broken")


def redelivered(figures: Figures, asked: int) -> Outcome:
    [died, hung] = figures
    times = (f"{name}: {one['median_s']} s, at most {one['max_s']} s" for name, one in (("socket", died), ("hang", hung)))
    return Outcome(f"{died['rounds']} deaths, {hung['rounds']} hangs", "; ".join(times))


def restarted(figures: Figures, asked: int) -> Outcome:
    times = ", ".join(f"{one['start_s']} s {one['name'].removeprefix('restart ')}" for one in figures)
    return Outcome(f"{figures[0]['log_mb']:,} MB; {max(one.get('values', 0) for one in figures):,} values", times)


def stalled(figures: Figures, asked: int) -> Outcome:
    peak = max(value for figure in figures for name, value in figure.items() if name.endswith("_peak_mib"))
    return Outcome(f"{total(figures, 'backlog_mb'):,} MB", f"at most {peak} MiB anonymous")


def aged(figures: Figures, asked: int) -> Outcome:
    most = "at most " + counted(figures, "files", "bytes", "rows_of_the_index", "stretches_in_memory")
    return Outcome(f"{total(figures, 'days')} days, {total(figures, 'values'):,} values", most)


TRIALS = (
    Trial(
        "simulated steps with faults",
        "0 violations",
        5_000_000,
        5_000,
        100_000_000,
        pytest("tests/simulation/test_simulated_home.py", "-k", "any_history"),
        simulated,
        lambda amount: {"LINKD_SIMULATED_STEPS": str(amount), "LINKD_SIMULATED_SEED": str(int(time.time()))},
        "steps",
    ),
    Trial(
        "kill -9 of the home under load",
        "none lost, twice or out of order",
        300,
        2,
        10_000,
        pytest("tests/home/test_home_kill.py"),
        killed,
        lambda amount: {"LINKD_KILLS": str(amount)},
        "kills",
    ),
    Trial(
        "kill -9 of each process of a run",
        "the same totals, no row twice",
        12,
        1,
        1_000,
        pytest("tests/e2e/test_kill.py"),
        passed,
        lambda amount: {"LINKD_KILL_SEEDS": str(amount)},
        "times each",
    ),
    Trial(
        "kill -9 anywhere in a shell pipeline",
        "the output of an undisturbed run",
        50,
        1,
        200,
        pytest("tests/e2e/test_shell_pipeline.py"),
        passed,
        lambda amount: {"LINKD_SHELL_KILLS": str(amount)},
        "kills",
    ),
    Trial(
        "bit flips in every kind of file",
        "none served",
        10_000,
        20,
        1_000_000,
        pytest("tests/store/test_bit_flips.py"),
        flipped,
        lambda amount: {"LINKD_FLIPS": str(amount)},
        "flips",
    ),
    Trial(
        "random lives, looked for anew",
        "nothing broken",
        1,
        1,
        1,
        pytest("tests/core", "tests/wire", "tests/adapters", "tests/home/test_lane_fuzz.py", "tests/simulation/test_store_crashes.py"),
        passed,
        lambda amount: {"LINKD_HYPOTHESIS": "soak"},
        "time",
    ),
    Trial(
        "redelivery after a death, and a hang",
        "1 s; the lease and 1 s",
        100,
        2,
        10_000,
        program("redelivery.py", "--rounds", "--hangs", "2"),
        redelivered,
        unit="deaths",
    ),
    Trial(
        "restart to ready",
        "1 s each",
        10_000_000,
        1_000,
        10_000_000,
        program("restart.py", "--values", "--log-mb", "2000"),
        restarted,
        unit="values",
    ),
    Trial(
        "a stalled consumer",
        "256 MiB throughout",
        5_000,
        50,
        5_000,
        program("stalled_consumer.py", "--backlog-mb"),
        stalled,
        unit="MB",
    ),
    Trial(
        "7 simulated days of a link that keeps an hour",
        "as much as after one day",
        WEEK_S,
        WEEK_S // 120,
        WEEK_S,
        pytest("tests/simulation/test_seven_days.py"),
        aged,
        lambda amount: {"LINKD_SEVEN_DAYS_EVERY_S": str(WEEK_S / amount)},
        "values",
    ),
)
LONG = "random lives, looked for anew", "kill -9 of each process of a run"
"""What a test of this program leaves out: it is what `make test` does anyway."""


def run(trial: Trial, amount: int, directory: Path, words: Sequence[str] = ()) -> dict[str, Any]:
    """Does it. The result is what the process left of figures, or what it printed last if it failed."""
    figures_file, results = directory / "figures.jsonl", directory / "results.jsonl"
    for old in (figures_file, results):
        old.unlink(missing_ok=True)
    environment = {**os.environ, "LINKD_FIGURES": str(figures_file), **trial.environment(amount)}
    began_s = time.monotonic()
    command = [*trial.command(amount, directory), *words]
    process = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    figures = [json.loads(line) for line in figures_file.read_text().splitlines()] if figures_file.exists() else []
    if results.exists():
        figures += json.loads(results.read_text().splitlines()[-1])["figures"]
    there = bool(figures) or trial.told is passed
    outcome = trial.told(figures, amount) if there else Outcome("nothing", "", kept=False)
    broken = bool(process.returncode) or not outcome.kept
    row = {"name": trial.what, "bar": trial.bar, "asked": f"{amount:,} {trial.unit}", "done": outcome.done, "figures": figures}
    row |= {"result": f"BROKEN {outcome.result}".strip() if broken else outcome.result, "broken": broken}
    if broken:
        row["output"] = process.stdout[-OUTPUT_MAX_CHARS:]
    return row | {"seconds": round(time.monotonic() - began_s, 1)}


OUTPUT_MAX_CHARS = 20_000
"""Of what a process printed that failed: a history that was made short fits."""


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """One line a trial."""
    cells = [
        ("what", "asked", "done", "result", "bar", "seconds"),
        *((r["name"], r["asked"], r["done"], r["result"], r["bar"], str(r["seconds"])) for r in rows),
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join("| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in cells)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=HOUR_MINUTES)
    parser.add_argument("--steps", type=int, help="simulated steps, whatever the minutes")
    parser.add_argument("--only", action="append", default=[], metavar="WORD", help="what has one of these words in its name")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--dir", type=Path, help="on the medium that matters; a temporary directory if not given")
    parser.add_argument("--results", type=Path, default=RESULTS)
    told = parser.parse_args()
    wanted = [trial for trial in TRIALS if not told.only or any(word in trial.what for word in told.only)]
    trials = [trial for trial in wanted if not (told.small and trial.what in LONG)]
    rows = []
    for trial in trials:
        amount = trial.asked(told.minutes, small=told.small)
        if trial is TRIALS[0] and told.steps is not None:
            amount = told.steps
        print(f"{trial.what}: {amount:,} {trial.unit} ...", file=sys.stderr, flush=True)
        with scratch_directory(told.dir, "linkd-soak-") as directory:
            rows.append(run(trial, amount, Path(directory), small_words(trial) if told.small else ()))
    append_result(told.results, rows)
    print(table(rows))
    for row in rows:
        if row["broken"]:
            print(f"\n{row['name']}:\n{row['output']}", file=sys.stderr)
    return int(any(row["broken"] for row in rows))


def small_words(trial: Trial) -> tuple[str, ...]:
    """What a test of this program asks for besides: little, and no bar, for it says nothing of speed."""
    return {
        "redelivery after a death, and a hang": ("--hangs", "1", "--bar-s", "30"),
        "restart to ready": ("--log-mb", "20", "--rounds", "1", "--bar-s", "30"),
    }.get(trial.what, ())


if __name__ == "__main__":
    sys.exit(main())
