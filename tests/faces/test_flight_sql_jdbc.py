"""Flight SQL as the JDBC driver of Arrow speaks it: one Java program (tests/java) does all of it. Skipped where there is no Java, or no Maven."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from pathlib import Path

import pyarrow as pa
import pytest
from adbc_driver_flightsql import dbapi
from served_home import ServedHome

JAVA = Path(__file__).resolve().parents[1] / "java"
FETCH_TIMEOUT_S = 100.0
PROGRAM_TIMEOUT_S = 60.0
SEATS = pa.table({"carrier": ["AA", "BB"], "price": pa.array([10, 20], pa.int64()), "score": [0.5, 1.5]})

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("adbc")]


def _driver(cache: pytest.Cache) -> Path:
    """The jar of the driver, fetched once. Skips, saying why, where it cannot be had."""
    for tool in ("java", "mvn"):
        if shutil.which(tool) is None:
            pytest.skip(f"the JDBC driver is not tried: there is no `{tool}` here")
    target = cache.mkdir("linkd-jdbc")
    with (target / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not list(target.glob("*.jar")):
            command = ["mvn", "-q", "-B", "-f", str(JAVA / "pom.xml"), "dependency:copy-dependencies", f"-DoutputDirectory={target}"]
            try:
                done = subprocess.run(command, capture_output=True, text=True, timeout=FETCH_TIMEOUT_S, check=False)
            except subprocess.TimeoutExpired:
                pytest.skip(f"the JDBC driver is not tried: Maven took more than {FETCH_TIMEOUT_S:.0f} s")
            if done.returncode != 0:
                pytest.skip(f"the JDBC driver is not tried: Maven could not fetch it: {done.stdout.strip()[-300:]}")
    return next(target.glob("*.jar"))


def test_a_java_program_queries_inserts_and_looks_around(sql_home: ServedHome, request: pytest.FixtureRequest) -> None:
    if getattr(request.config, "cache", None) is None:
        pytest.skip("the JDBC driver is not tried: it is fetched into pytest's cache, which is turned off")
    assert request.config.cache is not None
    driver = _driver(request.config.cache)
    with dbapi.connect(sql_home.uri, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.adbc_ingest("seats", SEATS, mode="create")
    # The driver reaches into java.nio; it is started for a second, which no optimizing compiler pays off.
    options = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "--add-opens=java.base/java.nio=ALL-UNNAMED", "-cp", str(driver)]
    command = ["java", *options, str(JAVA / "FlightSqlProof.java"), sql_home.tcp, sql_home.token]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PROGRAM_TIMEOUT_S, check=False)
    assert done.returncode == 0, done.stderr[-2_000:]
    told = done.stdout.splitlines()
    refused = told.pop(5)
    assert told == [
        "inserted: 2",
        "row: AA 10 0.5",
        "row: BB 20 1.5",
        "row: UA 30 3.5",
        "row: DL 40 null",
        "counted: 2",
        "batched: 3",
        "product: linkd",
        "transactions: false",
        "table: open.links.seats",
        "column: carrier VARCHAR",
        "column: price BIGINT",
        "column: score DOUBLE",
        "keys: false",
    ]
    assert 'Referenced column "fare" not found' in refused
