"""`ls`, `tail`, `sql` and `trace` against a real home."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from typer.testing import CliRunner, Result

import linkd as client_face
from linkd.app.main import command_line
from linkd.testing.forked_commands import start_command

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "adapters")])}


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An open home with a link `trips` of three values and 30,000 rows, and a link `odd` of awkward ones."""
    directory = tmp_path_factory.mktemp("home")
    words = ["serve", "--open", "--dir", str(directory / "state"), "--socket", str(directory / "s")]
    with start_command(words, ENVIRONMENT, directory) as process:
        assert process.stdout is not None
        address = str(json.loads(process.stdout.readline())["endpoint"])
        with client_face.connect(address) as client:
            for part in range(3):
                numbers = range(part * 10_000, (part + 1) * 10_000)
                client.publish("trips", pa.table({"number": numbers, "city": [f"city {number % 7}" for number in numbers]}))
            client.publish("odd", [{"text": None, "n": 1}, {"text": "\x1b[31m", "n": None}])
        yield address
        process.send_signal(signal.SIGTERM)


def linkd(*words: str) -> Result:
    return CliRunner().invoke(command_line(), list(words))


def test_ls_lists_links_with_what_they_hold(endpoint: str) -> None:
    result = linkd("ls", "-p", endpoint)
    assert result.exit_code == 0
    header, odd, trips = result.stdout.splitlines()[:3]
    assert header.split() == ["link", "rows", "values", "size", "gen", "state", "rows/s", "last", "lag", "written", "by", "read", "by"]
    assert odd.split()[:3] == ["odd", "2", "1"]
    assert trips.split()[:3] == ["trips", "30,000", "3"]
    assert "growing" in trips


def test_ls_in_json_has_columns_and_counts(endpoint: str) -> None:
    told = json.loads(linkd("ls", "--json", "-p", endpoint).stdout)
    trips = next(link for link in told["links"] if link["name"] == "trips")
    assert trips["read"]["rows"] == 30_000
    assert trips["columns"] == [{"name": "number", "type": "int64"}, {"name": "city", "type": "string"}]


def test_tail_prints_the_last_rows(endpoint: str) -> None:
    result = linkd("tail", "trips", "-n", "2", "-p", endpoint)
    assert result.exit_code == 0
    assert result.stdout.splitlines() == ["number  city", "29,998  city 3", "29,999  city 4"]
    assert result.stderr == "trips: the last 2 of 30,000 rows, trips@3, generation 1, growing\n"
    assert linkd("tail", "trips", "-q", "-p", endpoint).stderr == ""


def test_tail_goes_back_over_as_many_values_as_it_takes(endpoint: str) -> None:
    lines = linkd("tail", "trips", "-n", "10001", "--json", "-p", endpoint).stdout.splitlines()
    assert [json.loads(line)["number"] for line in lines] == list(range(19_999, 30_000))


def test_tail_shows_nulls_and_hides_escape_sequences(endpoint: str) -> None:
    assert linkd("tail", "odd", "-p", endpoint).stdout.splitlines() == ["text      n", "null      1", "�[31m  null"]
    assert linkd("tail", "odd", "--json", "-p", endpoint).stdout.splitlines()[0] == '{"text":null,"n":1}'


def test_a_link_that_is_not_there_is_a_mistake_of_the_caller(endpoint: str) -> None:
    result = linkd("tail", "trisp", "-p", endpoint)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "trisp" in result.stderr


def test_sql_prints_a_table(endpoint: str) -> None:
    result = linkd("sql", "SELECT city, count(*) AS trips FROM trips GROUP BY city ORDER BY city LIMIT 2", "-p", endpoint)
    assert result.stdout.splitlines() == ["city    trips", "city 0   4286", "city 1   4286"]
    assert result.stderr == "2 rows\n"


def test_sql_prints_as_many_rows_as_asked_for_and_says_so(endpoint: str) -> None:
    result = linkd("sql", "SELECT number FROM trips ORDER BY number", "-n", "1", "-p", endpoint)
    assert result.stdout.splitlines() == ["number", "     0"]
    assert result.stderr == "the first 1 of 30,000 rows (-n 30000 prints all)\n"


def test_sql_in_json_is_a_line_a_row(endpoint: str) -> None:
    result = linkd("sql", "--json", "SELECT max(number) AS most FROM trips", "-p", endpoint)
    assert result.stdout == '{"most":29999}\n'


def test_json_cannot_have_two_columns_of_one_name(endpoint: str) -> None:
    result = linkd("sql", "--json", "SELECT 1 AS a, 2 AS a", "-p", endpoint)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "`a`" in result.stderr


def test_sql_that_cannot_run_is_refused_with_the_place(endpoint: str) -> None:
    result = linkd("sql", "SELEC 1", "-p", endpoint)
    assert result.exit_code == 2
    assert "^" in result.stderr


def test_trace_prints_the_passport(endpoint: str) -> None:
    result = linkd("trace", "trips@2", "-p", endpoint)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == "trips@2"
    assert "  made by     somebody outside the pipeline" in lines
    assert lines[-1].startswith("trips@2  10,000 rows, by somebody outside the pipeline, 20")


def test_trace_takes_the_beginning_of_an_id(endpoint: str) -> None:
    told = json.loads(linkd("trace", "trips@last", "--json", "-p", endpoint).stdout)
    assert told["value"] == "trips@3"
    again = linkd("trace", told["ancestors"][0]["id"][:13], "-p", endpoint)
    assert again.exit_code in (0, 2)  # ids of one moment begin alike, and then more of it is asked for
    assert linkd("trace", told["ancestors"][0]["id"], "-p", endpoint).stdout.splitlines()[0] == "trips@3"


def test_what_names_no_value_is_refused(endpoint: str) -> None:
    assert linkd("trace", "trips", "-p", endpoint).exit_code == 2
    assert linkd("trace", "trips@77", "-p", endpoint).exit_code == 2


# -- a pipeline that was never run ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def never_run(tmp_path: Path) -> Path:
    (tmp_path / "flights.yaml").write_text(
        'pipeline: flights\nwiring: |\n  (flights*) clean (flown)\ntasks:\n  clean: {run: "sh clean.sh"}\n'
    )
    return tmp_path / "flights.yaml"


def test_ls_of_a_pipeline_that_never_ran_says_how_to_run_it(never_run: Path) -> None:
    result = linkd("ls", "-p", str(never_run))
    assert (result.exit_code, result.stdout) == (0, f"flights has not run yet: linkd run {never_run}\n")


@pytest.mark.parametrize("words", [("tail", "flown"), ("sql", "SELECT * FROM flown"), ("trace", "flown@1")])
def test_values_of_a_pipeline_that_never_ran_are_not_there(never_run: Path, words: tuple[str, ...]) -> None:
    result = linkd(*words, "-p", str(never_run.parent))
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"flights has not run yet: linkd run {never_run}\n"


def test_no_value_is_traced_before_the_first_run_though_somebody_has_looked(never_run: Path) -> None:
    assert linkd("ls", "--json", "-p", str(never_run)).exit_code == 0
    result = linkd("trace", "flown@last", "-p", str(never_run))
    assert (result.exit_code, result.stderr) == (2, f"flights has not run yet: linkd run {never_run}\n")


def test_env_of_what_is_no_program_says_so_before_there_is_a_run(never_run: Path) -> None:
    result = linkd("env", "claen", "-p", str(never_run))
    told = f"there is no program of a task claen in {never_run}; did you mean `clean`?\n  programs: clean\n"
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", told)


@pytest.mark.parametrize("words", [("ls",), ("tail", "flown"), ("cat", "flown"), ("sql", "SELECT 1")])
def test_a_socket_at_which_nothing_listens_is_told_at_once(tmp_path: Path, words: tuple[str, ...]) -> None:
    absent, stale = tmp_path / "absent", tmp_path / "stale"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server, contextlib.chdir(tmp_path):
        server.bind("stale")
    remedy = "  see that `linkd run` or `linkd serve` is up there, or name the pipeline: -p FILE\n"
    result = linkd(*words, "-p", f"unix:{absent}")
    assert (result.exit_code, result.stderr) == (5, f"nothing listens at unix:{absent} (No such file or directory)\n{remedy}")
    with contextlib.chdir(tmp_path):
        result = linkd(*words, "-p", "stale")
    assert (result.exit_code, result.stderr) == (5, f"nothing listens at unix:{stale} (Connection refused)\n{remedy}")
    result = CliRunner(env={"LINKD_ENDPOINT": f"unix:{absent}"}).invoke(command_line(), list(words))
    assert result.exit_code == 5
    assert result.stderr == f"nothing listens at unix:{absent} (No such file or directory), which LINKD_ENDPOINT says\n{remedy}"


def test_a_target_that_is_not_there_is_refused(tmp_path: Path) -> None:
    result = linkd("ls", "-p", str(tmp_path / "absent.yaml"))
    assert result.exit_code == 2
    assert "absent.yaml" in result.stderr


def test_seek_moves_a_group_and_says_where_it_goes_on(endpoint: str) -> None:
    with client_face.connect(endpoint) as client:
        with client.subscribe("trips", "readers", start="latest") as values:
            assert "readers" in repr(values)
            assert client.describe().groups == ()  # it is made when somebody waits for it
        client.publish("sought", [{"n": 1}])
        client.publish("sought", [{"n": 2}])
        client.seal("sought")
        for value in client.subscribe("sought", "readers"):
            value.ack()
    moved = linkd("seek", "readers", "sought", "--to", "2", "--json", "-p", endpoint)
    assert json.loads(moved.stdout) == {"group": "readers", "link": "sought", "next": "sought@2", "next_sequence": 2}
    assert "readers goes on at sought@1" in linkd("seek", "readers", "sought", "--to", "earliest", "-p", endpoint).output
    with client_face.connect(endpoint) as client:
        again = []
        for value in client.subscribe("sought", "readers"):
            with value:
                again.append(value.envelope.position.sequence)
    assert again == [1, 2]
    unknown = linkd("seek", "reader", "sought", "--to", "latest", "-p", endpoint)
    assert unknown.exit_code == 2
    assert "did you mean `readers`?" in unknown.output
    nowhere = linkd("seek", "readers", "sought", "--to", "7", "-p", endpoint)
    assert nowhere.exit_code == 2
    assert "there is no sought@7 yet: the last is sought@2" in nowhere.output
