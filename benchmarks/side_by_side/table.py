"""The table: a row for each bar, and who was there besides. Medians, and of linkd the least and the most of all rounds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from side_by_side.entrants import Bar, Scenario

HEAD = ("scenario", "figure", "linkd", "spread", "CPU s/GB", "peers", "ratio", "bar", "met")
UNITS = {
    "mb_s": "MB/s",
    "records_s": "records/s",
    "cpu_s_per_gb": "CPU s/GB",
    "p50_ms": "ms, median",
    "p99_ms": "ms, p99",
    "loaded_p99_ms": "ms, p99 under load",
    "loop_lag_p99_ms": "ms, p99 of loop lag",
    "resident_mib": "MiB resident",
    "cpu_percent": "% of a core",
    "ready_s": "s to ready",
    "heavy_modules": "heavy modules",
    "kb_each": "KB each",
    "speed_kept": "speed kept",
}


@dataclass(frozen=True, slots=True)
class Judged:
    """What came of a bar. `ratio` is of what it is set against, NaN where that is nobody; `met` is None where it could not be measured.

    `spread` are the least and the most there was, `cpus_s_per_gb` the CPU seconds of everybody's processes, linkd's first.
    """

    scenario: str
    bar: Bar
    ours: float | None
    peers: dict[str, float]
    ratio: float
    met: bool | None
    spread: tuple[float, ...] = ()
    cpus_s_per_gb: tuple[float, ...] = ()

    def told(self) -> dict[str, Any]:
        """For the file of results."""
        return {
            "scenario": self.scenario,
            "figure": self.bar.figure,
            "entrant": self.bar.ours,
            "against": list(self.bar.against),
            "ratio": None if math.isnan(self.ratio) else float(f"{self.ratio:.4g}"),
            "bar": wanted(self.bar),
            "met": self.met,
        }


def judge(scenario: Scenario) -> list[Judged]:
    """Every bar of a scenario, by the medians."""
    entrants = {one.name: one for one in scenario.entrants}
    judged_alone = {bar.ours for bar in scenario.bars}
    judged = []
    for bar in scenario.bars:
        ours = entrants[bar.ours].median(bar.figure)
        peers = {name: value for name in entrants if name not in judged_alone and (value := entrants[name].median(bar.figure)) is not None}
        rivals = [peers[name] for name in bar.against if name in peers]
        if bar.divisor:
            divisor = entrants[bar.ours].median(bar.divisor)
            rivals = [divisor] if divisor is not None else []
        best = (max if bar.at_least else min)(rivals, default=math.nan)
        ratio = ours / best if ours is not None and best else math.nan
        found = [one[bar.figure] for one in entrants[bar.ours].rounds if bar.figure in one]
        spread = (min(found), max(found)) if len(found) > 1 else ()
        cpus = [entrants[name].median("cpu_s_per_gb") for name in (bar.ours, *peers)] if bar.figure != "cpu_s_per_gb" else []
        told = tuple(cpu for cpu in cpus if cpu is not None)
        judged.append(Judged(scenario.name, bar, ours, peers, ratio, _met(bar, ours, best), spread, told))
    return judged


def _met(bar: Bar, ours: float | None, best: float) -> bool | None:
    if ours is None:
        return None
    if not bar.against and not bar.divisor:
        bound = bar.bound
    elif math.isnan(best):
        return None
    else:
        bound = bar.bound + best if bar.plus else bar.bound * best
    return ours >= bound if bar.at_least else ours <= bound


def wanted(bar: Bar) -> str:
    """A bar in words: `>= 5x Flight`."""
    sign = ">=" if bar.at_least else "<="
    if bar.plus:
        return f"{sign} {bar.bound:g} + {' or '.join(bar.against)}"
    if bar.divisor:
        return f"{sign} {bar.bound:g}x {bar.divisor.partition('_')[0]}"
    return f"{sign} {bar.bound:g}x {' or '.join(bar.against)}" if bar.against else f"{sign} {bar.bound:g}"


def rows(judged: Sequence[Judged]) -> list[tuple[str, ...]]:
    """The cells of the table, without its head."""
    return [
        (
            one.scenario,
            UNITS.get(one.bar.figure, one.bar.figure),
            (f"{one.bar.ours.removeprefix('linkd, ')} " if one.bar.ours != "linkd" else "") + shown(one.ours),
            " to ".join(map(shown, one.spread)) or "-",
            "; ".join(map(shown, one.cpus_s_per_gb)) or "-",
            "; ".join(f"{name} {shown(value)}" for name, value in one.peers.items()) or "-",
            "-" if math.isnan(one.ratio) else f"{one.ratio:.2f}x",
            wanted(one.bar),
            {True: "yes", False: "NO", None: "not measured"}[one.met],
        )
        for one in judged
    ]


def shown(value: float | None) -> str:
    """Three digits, or all of a large number."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.3g}"


def table(judged: Sequence[Judged]) -> str:
    """In Markdown, and in columns, for README and terminal alike."""
    lines = [HEAD, *rows(judged)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    texts = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([texts[0], rule, *texts[1:]])
