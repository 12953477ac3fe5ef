"""`make demo`: runs the pipeline of this directory as a user would, shows what it made, and checks it against the csv module alone."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
LINKD = [sys.executable, "-m", "linkd"]


def linkd(*words: str) -> None:
    """One command, shown and run; its failure is ours."""
    print(f"$ linkd {' '.join(words)}", flush=True)
    code = subprocess.run([*LINKD, *words], cwd=HERE, check=False).returncode
    if code != 0:
        sys.exit(code)
    print(flush=True)


def expected_totals() -> tuple[dict[str, tuple[int, int]], int]:
    """What the pipeline must find, by other means: (flights, miles) of each airline, and how many flights were cancelled."""
    with (HERE / "data/airlines.csv").open(newline="", encoding="utf-8") as file:
        airlines = {row["carrier"]: row["name"] for row in csv.DictReader(file)}
    flights: Counter[str] = Counter()
    miles: Counter[str] = Counter()
    cancelled = 0
    with zipfile.ZipFile(HERE / "data/flights.csv.zip") as archive, archive.open(archive.namelist()[0]) as raw:
        for row in csv.DictReader(io.TextIOWrapper(raw, encoding="utf-8", newline="")):
            if row["dep_time"] in ("", "NA"):
                cancelled += 1
            else:
                flights[airlines[row["carrier"]]] += 1
                miles[airlines[row["carrier"]]] += int(row["distance"])
    return {name: (flights[name], miles[name]) for name in flights}, cancelled


def main() -> int:
    linkd("run", "flights.yaml")
    linkd("ls")
    text = (HERE / "out/totals.csv").read_text(encoding="utf-8")
    print("$ cat out/totals.csv")
    print(text)
    totals, cancelled = expected_totals()
    found = {row["airline"]: (int(row["flights"]), int(row["miles"])) for row in csv.DictReader(text.splitlines())}
    if found != totals or cancelled != 8_255:
        print("these are not the totals that the csv module computes", file=sys.stderr)
        return 1
    print(f"the same totals as the csv module computes; {cancelled:,} flights were cancelled\n", flush=True)
    linkd("trace", "totals@last")
    return 0


if __name__ == "__main__":
    sys.exit(main())
