"""`linkd sql` without a statement: the prompt, and statements from standard input."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn, cast

import pyarrow as pa
import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.output import DummyOutput
from typer.testing import CliRunner, Result

import linkd as client_face
from linkd.app.cli.sql_answer import Presentation
from linkd.app.cli.sql_history import SqlHistory
from linkd.app.cli.sql_prompt import Conversation, Suggesting, converse, ends
from linkd.app.main import command_line
from linkd.testing.pipelines import open_home


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with open_home() as address, client_face.connect(address) as client:
        client.publish("trips", pa.table({"number": range(30_000), "city": [f"city {number % 7}" for number in range(30_000)]}))
        yield address


@pytest.fixture
def client(endpoint: str) -> Iterator[client_face.Client]:
    with client_face.connect(endpoint) as client:
        yield client


def linkd(*words: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(command_line(), list(words), input=stdin)


@pytest.fixture
def typed() -> Iterator[PipeInput]:
    """What the person types; a prompt that is entered in the test reads it."""
    with create_pipe_input() as pipe, create_app_session(input=pipe, output=DummyOutput()):
        yield pipe


@pytest.fixture
def history(tmp_path: Path) -> SqlHistory:
    return SqlHistory(tmp_path / "sql_history")


def test_the_prompt_answers_until_the_person_leaves(
    client: client_face.Client, typed: PipeInput, history: SqlHistory, capsys: pytest.CaptureFixture[str]
) -> None:
    typed.send_text("SELECT max(number) AS most\nFROM trips;\n\\d\n\\d trips\n\\d tripz\nSELECT nothing FROM trips;\n\\wat\n\\timing\n")
    typed.send_text("SELECT 1 AS a; SELECT 2 AS b;\nexit\n")
    converse(client, Presentation(), history)
    said = capsys.readouterr()
    tables = [
        "most",
        "29,999",
        "link rows state columns",
        "trips 30,000 growing number, city",
        "column type",
        "number int64",
        "city string",
    ]
    assert [" ".join(line.split()) for line in said.out.splitlines()] == [*tables, "a", "1", "b", "2"]
    assert "there is no link `tripz`; did you mean `trips`?" in said.err
    assert '"nothing" not found' in said.err
    assert "there is no command `\\wat`" in said.err
    assert said.err.count("1 row in ") == 2
    assert history.load()[:2] == ["SELECT max(number) AS most\nFROM trips;", "\\d"]


def test_ctrl_c_clears_the_line_and_ctrl_d_leaves(
    client: client_face.Client, typed: PipeInput, history: SqlHistory, capsys: pytest.CaptureFixture[str]
) -> None:
    typed.send_text("SELECT 1 AS unwanted\x03SELECT 2 AS wanted;\n\x04")
    converse(client, Presentation(quiet=True), history)
    assert capsys.readouterr() == ("wanted\n     2\n", "")


@pytest.mark.parametrize(
    ("before", "completed"), [("SELECT * FROM tr", ["trips"]), ("SELECT trips.c", ["city"]), ("\\d t", ["trips"]), ("\\t", ["\\timing"])]
)
def test_tab_completes_links_columns_and_commands(client: client_face.Client, before: str, completed: list[str]) -> None:
    completer = Suggesting(Conversation(client, Presentation()))
    assert [each.text for each in completer.get_completions(Document(before), CompleteEvent())] == completed


class Interrupted:
    """A client on which Ctrl-C falls whenever it asks."""

    def __init__(self, client: client_face.Client) -> None:
        self._client = client

    def describe(self) -> client_face.Description:
        return self._client.describe()

    def query(self, sql: str) -> NoReturn:
        raise KeyboardInterrupt


def test_ctrl_c_while_a_statement_runs_ends_that_statement_only(client: client_face.Client, capsys: pytest.CaptureFixture[str]) -> None:
    conversation = Conversation(cast("client_face.Client", Interrupted(client)), Presentation())
    assert conversation.take("SELECT 1;")
    assert capsys.readouterr().err == "stopped\n"


def test_statements_come_from_standard_input(endpoint: str) -> None:
    result = linkd("sql", "-q", "-p", endpoint, stdin="-- both\nSELECT 1 AS a;\nSELECT ';'\n  AS b")
    assert (result.exit_code, result.stdout.split()) == (0, ["a", "1", "b", ";"])


def test_rows_are_inserted_and_counted(endpoint: str) -> None:
    statements = "INSERT INTO far (n) SELECT number FROM trips WHERE number >= 29998; SELECT sum(n) AS total FROM far;"
    done = linkd("sql", "-p", endpoint, stdin=statements)
    assert (done.exit_code, done.stdout.split()) == (0, ["total", "59,997"])
    assert "inserted 2 rows" in done.stderr
    refused = linkd("sql", "-p", endpoint, "INSERT INTO far VALUES ('x')")
    assert refused.exit_code == 3
    assert "far: column `n` is string and does not go into int64" in refused.stderr


def test_the_first_statement_that_fails_ends_it_with_its_line(endpoint: str) -> None:
    result = linkd("sql", "-q", "-p", endpoint, stdin="SELECT 1 AS a;\n\nSELEC 2; SELECT 3;")
    assert (result.exit_code, result.stdout.split()) == (2, ["a", "1"])
    assert result.stderr.startswith("line 3: syntax error")


def test_a_result_goes_to_a_file_or_out_in_a_format(endpoint: str, tmp_path: Path) -> None:
    result = linkd("sql", "SELECT * FROM trips", "-o", str(tmp_path / "trips.csv"), "-p", endpoint)
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr.startswith(f"30,000 rows in {tmp_path}/trips.csv (")
    with (tmp_path / "trips.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 30_000
    assert linkd("sql", "SELECT * FROM trips ORDER BY 1", "--format", "csv", "-n", "1", "-p", endpoint).stdout == "number,city\n0,city 0\n"


@pytest.mark.parametrize("text", ["SELECT 1;", "\\d trips", "exit", "", "help"])
def test_enter_sends_what_has_ended(text: str) -> None:
    assert ends(text)


@pytest.mark.parametrize("text", ["SELECT 1", "SELECT ';", "SELECT exit"])
def test_enter_goes_on_with_what_has_not(text: str) -> None:
    assert not ends(text)
