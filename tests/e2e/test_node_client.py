"""A client in another language, written from the .proto files alone (tests/node), against a real home."""

from __future__ import annotations

import fcntl
import hashlib
import json
import math
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import linkd
from linkd.testing.pipelines import open_home

NODE = Path(__file__).resolve().parents[1] / "node"
PROTO = Path(__file__).resolve().parents[2] / "proto"
INSTALL_TIMEOUT_S = 90.0
SCENARIO_TIMEOUT_S = 60.0

READINGS = pa.schema([("id", pa.int64()), ("at", pa.timestamp("ns", "UTC")), ("name", pa.string()), ("score", pa.float64())])

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("node")]


def _installed() -> str:
    """The path of `node`, with the client's packages in place. Skips, saying why, where that cannot be."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip(f"the Node client is not tried: {'node' if node is None else 'npm'} is not installed")
    with (NODE / "package-lock.json").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one test run at a time installs
        mark = NODE / "node_modules" / ".installed-from"
        wanted = hashlib.sha256(lock.read()).hexdigest()
        if not mark.exists() or mark.read_text() != wanted:
            command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
            try:
                done = subprocess.run(command, cwd=NODE, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S, check=False)
            except subprocess.TimeoutExpired:
                pytest.skip(f"the Node client is not tried: npm ci took more than {INSTALL_TIMEOUT_S:.0f} s")
            if done.returncode != 0:
                pytest.skip(f"the Node client is not tried: npm ci exited with code {done.returncode}: {done.stderr.strip()[-300:]}")
            mark.write_text(wanted)
    return node


@pytest.fixture(scope="module")
def seen() -> dict[str, Any]:
    """What the client saw, and under `python` what Python reads of it."""
    node = _installed()
    with open_home() as endpoint, linkd.connect(endpoint) as client:
        client.publish("readings", READINGS.empty_table())
        command = [node, "scenario.js", endpoint, str(PROTO)]
        done = subprocess.run(command, cwd=NODE, capture_output=True, text=True, timeout=SCENARIO_TIMEOUT_S, check=False)
        assert done.returncode == 0, done.stderr
        report: dict[str, Any] = json.loads(done.stdout)
        report["python"] = {
            "readings": client.read("readings").to_table(),
            "documents": [row["bytes"] for row in client.read("documents").rows()],
            "ticks": [row["number"] for row in client.read("ticks").rows()],
        }
    return report


def test_each_row_value_is_acked_with_its_position_and_durability(seen: dict[str, Any]) -> None:
    first, second = seen["rows"]["acks"]
    assert (first["first"]["sequence"], first["last"]["sequence"], first["rows"]) == ("2", "2", "2")
    assert (second["first"]["sequence"], second["rows"], second["acked"]) == ("3", "1", "2")
    assert {first["durability"], second["durability"], first["place"]} == {"FSYNC", "home"}


def test_rows_come_back_as_they_were_published(seen: dict[str, Any]) -> None:
    assert seen["rows"]["rows"] == [
        {"id": {"bigint": "9007199254740993"}, "at": "2026-01-02T03:04:05.123456789Z", "name": "Žluťoučký kůň 🐎", "score": 0.1},
        {"id": {"bigint": "-9223372036854775808"}, "at": "1969-12-31T23:59:59.999999999Z", "name": "", "score": None},
        {"id": 3, "at": None, "name": None, "score": "NaN"},
    ]
    assert seen["rows"]["opened"] == {"sealed": False, "last_sequence": "3"}


def test_python_reads_the_rows_in_the_types_of_the_link(seen: dict[str, Any]) -> None:
    table = seen["python"]["readings"]
    assert table.schema == READINGS
    assert table["id"].to_pylist() == [9007199254740993, -(2**63), 3]
    assert table["at"].cast(pa.int64()).to_pylist() == [1767323045_123456789, -1, None]
    assert table["name"].to_pylist() == ["Žluťoučký kůň 🐎", "", None]
    *numbers, last = table["score"].to_pylist()
    assert numbers == [0.1, None]
    assert math.isnan(last)


def test_ten_megabytes_of_opaque_bytes_travel_in_chunks_both_ways(seen: dict[str, Any]) -> None:
    report = seen["bytes"]
    assert report["sizes"] == [10_000_000, 4]
    assert report["received"][0] == report["sent"]
    large, small = seen["python"]["documents"]
    assert hashlib.sha256(large).hexdigest() == report["sent"]
    assert small == b"\x00\xff\n\r"


def test_a_subscription_with_one_byte_of_credit_gets_every_value_in_order(seen: dict[str, Any]) -> None:
    delivered = seen["subscription"]["seen"]
    assert [(value["number"], value["sequence"]) for value in delivered if value["attempt"] == 1] == [(n, str(n + 1)) for n in range(20)]
    assert seen["python"]["ticks"] == list(range(20))


def test_a_value_that_is_given_back_comes_again_and_says_so(seen: dict[str, Any]) -> None:
    assert [value["number"] for value in seen["subscription"]["seen"] if value["attempt"] == 2] == [5]


def test_what_the_group_has_acked_does_not_come_again(seen: dict[str, Any]) -> None:
    assert seen["subscription"]["again"] == 0


def test_refusals_carry_the_stable_code_in_their_trailing_metadata(seen: dict[str, Any]) -> None:
    refusals = seen["refusals"]
    invalid_argument, not_found = 3, 5  # the numbers of gRPC's status codes
    assert refusals["unknown_link"] == {
        "status": not_found,
        "linkd_error": ["link_not_found"],
        "message": "there is no link `nobody` (links: documents, readings, ticks)",
    }
    assert refusals["unknown_column"] == {
        "status": invalid_argument,
        "linkd_error": ["schema_mismatch"],
        "message": "readings: row 1 has a column `nmae` that the link has not; did you mean `name`? (columns: id, at, name, score)",
    }
    assert (refusals["unnamed_group"]["status"], refusals["unnamed_group"]["linkd_error"]) == (invalid_argument, ["invalid_argument"])


def test_describe_tells_what_there_is(seen: dict[str, Any]) -> None:
    described = seen["described"]
    assert described["open"]
    assert {link["name"]: (link["state"], link["values"], link["rows"]) for link in described["links"]} == {
        "documents": ("growing", "2", "2"),
        "readings": ("growing", "3", "3"),
        "ticks": ("sealed", "20", "20"),
    }
    assert described["groups"] == [{"group": "node", "link": "ticks", "done_sequence": "20", "lag_values": "0"}]
