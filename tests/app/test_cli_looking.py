"""Looking on: `tail -f`, `top`, `schema` and `graph` against a real home, and of a pipeline that never ran."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
import yaml
from typer.testing import CliRunner, Result

import linkd as client_face
from linkd.app.cli.schema import block
from linkd.app.main import command_line
from linkd.errors import UsageFault
from linkd.testing.forked_commands import Command, start_command
from linkd.testing.pipelines import clean_environment, open_home

DEADLINE_S = 30.0


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """An open home with a link `trips` of 30 rows."""
    with open_home() as address:
        with client_face.connect(address) as client:
            client.publish("trips", pa.table({"number": range(30), "on": pa.array([0] * 30, pa.timestamp("us", tz="UTC"))}))
        yield address


def linkd(*words: str) -> Result:
    return CliRunner().invoke(command_line(), list(words))


@contextlib.contextmanager
def started(*words: str) -> Iterator[Command]:
    with start_command(words, clean_environment(), Path.cwd()) as process:
        try:
            yield process
        finally:
            process.kill()


def next_line(process: Command) -> str:
    assert process.stdout is not None
    return process.stdout.readline().rstrip("\n")


def test_tail_goes_on_with_what_comes_until_ctrl_c(endpoint: str) -> None:
    with client_face.connect(endpoint) as client, contextlib.ExitStack() as stack:
        client.publish("arrivals", [{"n": 1}])
        process = stack.enter_context(started("tail", "arrivals", "-f", "-n", "1", "-p", endpoint))
        lines = [next_line(process), next_line(process)]
        client.publish("arrivals", [{"n": 22}, {"n": 333}])
        lines += [next_line(process), next_line(process)]
        assert [line.strip() for line in lines] == ["n", "1", "22", "333"]
        process.send_signal(signal.SIGINT)
        _, complaint = process.communicate(timeout=DEADLINE_S)
        assert process.returncode == 130
        assert "Traceback" not in complaint


def test_tail_ends_when_nobody_reads_it_any_more_though_nothing_comes(endpoint: str) -> None:
    with started("tail", "trips", "-f", "--json", "-n", "1", "-p", endpoint) as process:
        assert json.loads(next_line(process))["number"] == 29
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait(timeout=DEADLINE_S) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_top_is_one_table_where_nobody_looks_and_an_object_a_change_with_json(endpoint: str) -> None:
    result = linkd("top", "-p", endpoint)
    assert result.exit_code == 0
    assert [line.split()[:2] for line in result.stdout.splitlines() if line.startswith("trips")] == [["trips", "30"]]
    with client_face.connect(endpoint) as client, started("top", "--json", "-p", endpoint) as process:
        assert {link["name"] for link in json.loads(next_line(process))["links"]} >= {"trips"}
        client.publish("seen", [{"n": 1}])
        while "seen" not in {link["name"] for link in json.loads(next_line(process))["links"]}:
            continue


def test_top_fills_the_screen_of_a_terminal_and_q_puts_it_back(endpoint: str) -> None:
    screen, terminal = pty.openpty()
    command = [sys.executable, "-m", "linkd", "top", "-p", endpoint]
    with subprocess.Popen(
        command, stdin=terminal, stdout=terminal, stderr=terminal, env={**clean_environment(), "TERM": "xterm"}
    ) as process:
        os.close(terminal)
        shown = b""
        deadline_s = time.monotonic() + DEADLINE_S
        with contextlib.suppress(OSError):  # how the end of a terminal reads
            while time.monotonic() < deadline_s:
                if select.select([screen], [], [], 1)[0]:
                    shown += os.read(screen, 65_536)
                if b"trips" in shown and b"quit" not in shown:
                    os.write(screen, b"q")
                    shown += b"quit"
        os.close(screen)
        assert process.wait(timeout=DEADLINE_S) == 0
    assert b"\x1b[?1049h" in shown
    assert shown.rindex(b"\x1b[?1049l") > shown.index(b"trips")


def test_schema_tells_columns_and_types(endpoint: str) -> None:
    result = linkd("schema", "trips", "-p", endpoint)
    assert result.stdout.splitlines() == ["column  type", "number  int64", "on      timestamp[us, UTC]"]
    assert result.stderr == "trips: 2 columns, as its data has them; all may hold nulls\n"
    told = json.loads(linkd("schema", "trips", "--json", "-p", endpoint).stdout)
    assert told["columns"][0] == {"name": "number", "type": "int64", "nullable": True}


def test_schema_gives_a_block_that_the_pipeline_file_takes(endpoint: str) -> None:
    pasted = linkd("schema", "trips", "--yaml", "-p", endpoint).stdout
    assert yaml.safe_load(pasted) == {"links": {"trips": {"schema": {"number": "int64", "on": "timestamp[us, UTC]"}}}}


def test_names_that_yaml_would_take_for_something_else_are_quoted() -> None:
    columns = {"on": "int64", "null": "string", "a: b": "bool", "12": "decimal(10, 2)", "": "date32", "ünï": "binary"}
    assert yaml.safe_load(block("yes", columns)) == {"links": {"yes": {"schema": columns}}}
    with pytest.raises(UsageFault, match="cannot declare"):
        block("odd", {"nested": "list<int64>"})


def test_schema_of_nothing_and_of_what_has_no_columns_says_so(endpoint: str) -> None:
    assert linkd("schema").exit_code == 2
    missing = linkd("schema", "tirps", "-p", endpoint)
    assert (missing.exit_code, "trips" in missing.stderr) == (2, True)


def test_the_schema_of_pipeline_files_is_printed_for_editors() -> None:
    assert "properties" in json.loads(linkd("schema", "--editor").stdout)


def test_graph_draws_links_with_what_they_hold(endpoint: str) -> None:
    drawn = linkd("graph", "-p", endpoint).stdout
    assert "│ trips" in drawn
    assert "│ 30 rows" in drawn
    told = json.loads(linkd("graph", "--json", "-p", endpoint).stdout)
    assert "trips" in {node["name"] for node in told["nodes"]}


# -- a pipeline that was never run -----------------------------------------------------------------------------------------------------


@pytest.fixture
def never_run(tmp_path: Path) -> Path:
    (tmp_path / "flights.yaml").write_text(
        "pipeline: flights\nwiring: |\n  (events*) clean (flown)\n  (flown) sum_up (totals)\n"
        'links:\n  totals: {to: out/totals.csv}\ntasks:\n  clean: {run: "sh clean.sh"}\n  sum_up: {sql: "SELECT 1 AS n FROM flown"}\n'
    )
    return tmp_path / "flights.yaml"


def test_a_pipeline_is_drawn_before_its_first_run_and_no_home_is_started(never_run: Path) -> None:
    drawn = linkd("graph", "-p", str(never_run))
    assert drawn.exit_code == 0
    for text in ("events", "from outside", "clean", "▼ whole", "to out/totals.csv"):
        assert text in drawn.stdout
    assert not (never_run.parent / ".linkd").exists()


def test_the_drawing_is_an_svg_in_a_file_or_on_the_output(never_run: Path) -> None:
    place = never_run.parent / "flights.svg"
    assert linkd("graph", "-p", str(never_run), "--svg", str(place)).stderr == f"flights: drawn in {place}\n"
    assert ET.parse(place).getroot().tag == "{http://www.w3.org/2000/svg}svg"
    assert linkd("graph", "-p", str(never_run), "--svg", "-").stdout == place.read_text()
    refused = linkd("graph", "-p", str(never_run), "--svg", str(place / "absent" / "x.svg"))
    assert (refused.exit_code, "cannot be written" in refused.stderr) == (2, True)


def test_top_of_a_pipeline_that_never_ran_says_how_to_run_it(never_run: Path) -> None:
    result = linkd("top", "-p", str(never_run))
    assert (result.exit_code, result.stdout) == (0, f"flights has not run yet: linkd run {never_run}\n")
