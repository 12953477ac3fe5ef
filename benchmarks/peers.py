"""linkd beside what people would use instead: `python benchmarks/peers.py [--small] [--only WORD] ... [--rounds 5] [--dir DIR] [--results FILE]`.

In each round of a scenario everybody has a turn: linkd, Arrow Flight, NATS JetStream, Redis Streams, and what the machine itself can do. Each
turn has processes, directory and content of its own. One table: a row for each bar. The peers are those of `pip install 'linkd[bench]'`, and
Debian's redis-server; who is not installed is named and left out. A scenario that breaks is named, the others go on, and the end is code 1.
`--small` only shows that it works. `--strict` ends with code 1 if a bar is not met. For Linux: what processes take is read from /proc.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rounds import append_result, interleave, machine_line, scratch_directory
from side_by_side.entrants import Entrant, Scenario
from side_by_side.processes import RoundFailedError
from side_by_side.scenarios import bulk_relay, delivery, fan_out, growth, idle, single_publish, small_records
from side_by_side.sizes import LARGE, SMALL, Sizes
from side_by_side.table import Judged, judge, table

RESULTS = Path(__file__).parent / "results" / "peers.jsonl"
ROUNDS = 5
ONCE = 3
"""Rounds of what has no peer to be compared with and hardly varies: idle, growth."""


@dataclass(frozen=True, slots=True)
class Turn:
    """An entrant's, in that directory."""

    entrant: Entrant
    directory: Path

    def run_once(self) -> None:
        self.entrant.run_once(self.directory)


def scenarios(sizes: Sizes, only: Sequence[str]) -> list[Scenario]:
    """Those whose names have one of the words in them; all if there is none."""
    files = (bulk_relay, fan_out, small_records, single_publish, delivery, idle, growth)
    found = [scenario for file in files for scenario in file.scenarios(sizes)]
    return [scenario for scenario in found if not only or any(word in scenario.name for word in only)]


def measure(scenario: Scenario, rounds: int, directory: Path) -> list[Judged]:
    """All its rounds; what is missing is said aloud."""
    print(f"{scenario.name}: {scenario.what}", file=sys.stderr, flush=True)
    interleave([Turn(entrant, directory) for entrant in scenario.entrants], rounds)
    for entrant in scenario.entrants:
        if entrant.missing:
            print(f"  {entrant.name} is left out: {entrant.missing}", file=sys.stderr)
            continue
        told = entrant.told()
        figures = (f"{name} {one['median']:,g} ({one['min']:,g} to {one['max']:,g})" for name, one in told.items() if isinstance(one, dict))
        print(f"  {entrant.name}: {', '.join(figures)}{f' ({entrant.note})' if entrant.note else ''}", file=sys.stderr, flush=True)
    return judge(scenario)


def missed(judged: Iterable[Judged]) -> bool:
    return any(one.met is False for one in judged)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--only", action="append", default=[], metavar="WORD", help="scenarios with this in their names")
    parser.add_argument("--rounds", type=int, help=f"{ROUNDS} if not given, {ONCE} for idle and growth, 1 with --small")
    parser.add_argument("--dir", type=Path, help="on the disk that matters; a temporary directory if not given")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--strict", action="store_true")
    told = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # the processes of the round are ended on the way out
    judged: list[Judged] = []
    measured, broken = [], False
    with scratch_directory(told.dir, "linkd-peers-") as directory:
        for scenario in scenarios(SMALL if told.small else LARGE, told.only):
            alone = scenario.name.startswith(("idle", "growth"))
            rounds = told.rounds or (1 if told.small else ONCE if alone else ROUNDS)
            try:
                judged += measure(scenario, rounds, Path(directory))
            except RoundFailedError as error:
                print(f"{scenario.name}: {error}", file=sys.stderr, flush=True)
                broken = True
                continue
            measured.append(scenario.told() | {"small": told.small})
    if not measured:
        print("nothing was measured", file=sys.stderr)
        return 1
    print(f"{machine_line()}\n\n{table(judged)}")
    append_result(told.results, [*measured, *(one.told() for one in judged)])
    return int(broken or (told.strict and missed(judged)))


if __name__ == "__main__":
    sys.exit(main())
