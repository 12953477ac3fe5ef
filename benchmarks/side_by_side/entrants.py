"""Who is measured, what is asked of them, and what they must reach."""

from __future__ import annotations

import os
import statistics
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from side_by_side.processes import EntrantMissingError, Processes, RoundFailedError, Running

Figures = Mapping[str, float]
Round = Callable[[Processes, int], Figures]
"""One round: in these processes, with content of this seed."""
_SEEDS_APART = 1_000_003
"""No two rounds have content in common."""


@dataclass(slots=True)
class Entrant:
    """One of those who are measured. `missing` says why it could not be, `note` what a reader of its figures must know."""

    name: str
    do: Round
    note: str = ""
    missing: str = ""
    rounds: list[Figures] = field(default_factory=list)

    def run_once(self, directory: Path) -> None:
        """One round, with servers of its own in a directory of its own, both gone afterwards. Raises RoundFailedError."""
        if self.missing:
            return
        os.sync()  # what others have left to write is not written in our time
        with tempfile.TemporaryDirectory(dir=directory, prefix="round-") as place, Processes(Path(place)) as processes:
            try:
                self.rounds.append(self.do(processes, (len(self.rounds) + 1) * _SEEDS_APART))
            except EntrantMissingError as missing:
                self.missing = str(missing)
            except RoundFailedError as error:
                raise RoundFailedError(f"{self.name}: {error}") from error

    def median(self, figure: str) -> float | None:
        """Over the rounds; None if there is no such figure."""
        values = [one[figure] for one in self.rounds if figure in one]
        return statistics.median(values) if values else None

    def told(self) -> dict[str, Any]:
        """For the file of results: of every figure its median, and the least and the most there was."""
        told: dict[str, Any] = {"name": self.name, "rounds": len(self.rounds)}
        for figure in dict.fromkeys(figure for one in self.rounds for figure in one):
            values = [one[figure] for one in self.rounds if figure in one]
            told[figure] = {"median": _rounded(statistics.median(values)), "min": _rounded(min(values)), "max": _rounded(max(values))}
        return told | {key: said for key, said in (("missing", self.missing), ("note", self.note)) if said}


def _rounded(value: float) -> float:
    """Four digits that mean something."""
    return float(f"{value:.4g}")


@dataclass(frozen=True, slots=True)
class Bar:
    """What `ours` must reach in `figure`: `bound` times the best of `against`, or `bound` itself where nobody is named.

    `at_least` where more is better, else at most that. `divisor` is another figure of `ours` to set it against instead (under load: idle);
    with `plus` the bound is what is added to the best of `against`, not what it is multiplied with.
    """

    figure: str
    ours: str
    bound: float
    against: tuple[str, ...] = ()
    at_least: bool = True
    divisor: str = ""
    plus: bool = False


@dataclass(frozen=True, slots=True)
class Scenario:
    """What everybody is asked to do, by whom, and the bars; a figure of a peer that no bar speaks of is shown all the same."""

    name: str
    what: str
    entrants: Sequence[Entrant]
    bars: Sequence[Bar]

    def told(self) -> dict[str, Any]:
        return {"name": self.name, "what": self.what, "entrants": [one.told() for one in self.entrants]}


def measured(processes: Processes, roles: Sequence[Running]) -> tuple[list[dict[str, Any]], float]:
    """Lets all roles begin, and gives what each of them says in the end, and the CPU seconds that all processes took meanwhile."""
    before_s = processes.cpu_s()
    for role in roles:
        role.tell("go")
    said = [role.answer() for role in roles]
    return said, processes.cpu_s() - before_s


def handed_over(processes: Processes, producer: Running, consumers: Sequence[Running], size_bytes: int) -> Figures:
    """A producer's bulk that every consumer reads: from the first byte's being sent to the last one's being read, all consumers together.

    Raises RoundFailedError if one of them read something else than was sent.
    """
    (sent, *read), cpu_s = measured(processes, [producer, *consumers])
    for said in read:
        if said["sum"] != sent["sum"]:
            raise RoundFailedError(f"{consumers[0].name} read something else than was sent")
    seconds = (max(said["ended_ns"] for said in [sent, *read]) - sent["began_ns"]) / 1e9
    delivered_bytes = size_bytes * max(len(read), 1)
    return {"mb_s": delivered_bytes / 1e6 / seconds, "cpu_s_per_gb": cpu_s / (delivered_bytes / 1e9), "seconds": seconds}


def published(processes: Processes, producer: Running, records: int, record_bytes: int) -> Figures:
    """Records, from the first one's being sent until all are kept."""
    [sent], cpu_s = measured(processes, [producer])
    seconds = (sent["ended_ns"] - sent["began_ns"]) / 1e9
    size_bytes = records * record_bytes
    return {
        "records_s": records / seconds,
        "mb_s": size_bytes / 1e6 / seconds,
        "cpu_s_per_gb": cpu_s / (size_bytes / 1e9),
        "seconds": seconds,
    }


def latencies(took_ns: Sequence[int], prefix: str = "") -> Figures:
    """Median and 99th percentile, in milliseconds."""
    ordered = sorted(took_ns)
    p99_ns = ordered[min(len(ordered) * 99 // 100, len(ordered) - 1)]
    return {f"{prefix}p50_ms": statistics.median(ordered) / 1e6, f"{prefix}p99_ms": p99_ns / 1e6}
