"""The command line itself: help, mistakes, exit codes; and `linkd check`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from linkd import limits
from linkd.app.cli.budgets import disk_budget_bytes, memory_bytes
from linkd.app.cli.conclusion import conclude
from linkd.app.cli.tail import values_wanted
from linkd.app.cli.verbs import VERBS, command_of
from linkd.app.main import BASE_ONLY, command_line
from linkd.errors import BadRow, Error, InvalidArgument, StateLocked, TaskFailed, UsageFault

ROOT = Path(__file__).resolve().parents[2]


def linkd(*words: str) -> Result:
    return CliRunner().invoke(command_line(), list(words))


def test_without_a_verb_the_help_is_printed() -> None:
    result = linkd()
    assert result.exit_code == 0
    assert [verb for verb in VERBS if f"\n  {verb} " in result.stdout] == list(VERBS)
    headings = dict.fromkeys(verb.heading for verb in VERBS.values())
    assert [heading for heading in headings if f"\n{heading}:\n" in result.stdout] == list(headings)


@pytest.mark.parametrize("verb", VERBS)
def test_the_table_says_of_a_verb_what_its_module_says(verb: str) -> None:
    assert command_of(VERBS[verb]).help.splitlines()[0] == VERBS[verb].summary
    assert (ROOT / "linkd" / "app" / "cli" / f"{verb}.py").read_text().startswith(f'"""`linkd {verb}')


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_each_verb_has_an_example(verb: str) -> None:
    result = linkd(verb, "--help")
    assert result.exit_code == 0
    assert f"Example: {VERBS[verb].example}" in result.stdout
    assert f"linkd {verb}" in VERBS[verb].example


@pytest.mark.parametrize("words", [["--help"], ["run", "--help"], ["ls", "--help"], ["tail", "--help"]])
def test_the_help_imports_nothing_heavy_and_no_other_verb(words: list[str]) -> None:
    heavy = ("pyarrow", "grpc", "google", "aiohttp", "duckdb", "rich", "yaml", "asyncio", "pydantic")
    program = (
        "import sys; from linkd.app.main import command_line\n"
        f"try: command_line()({words!r})\n"
        "except SystemExit: pass\n"
        f"names = {heavy!r} + tuple('linkd.app.cli.' + verb for verb in {[verb for verb in VERBS if verb not in words]!r})\n"
        "print([name for name in names if name in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, env=environment()).stdout
    assert said.splitlines()[-1] == "[]"


def test_with_the_base_only_the_remedy_is_printed() -> None:
    # -S leaves away what is installed, so there is Python and linkd and nothing else.
    done = subprocess.run([sys.executable, "-S", "-m", "linkd", "ls"], capture_output=True, text=True, env=environment(), check=False)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"{BASE_ONLY}\n")
    assert BASE_ONLY == "linkd needs more than its base: pip install 'linkd[laptop]'"


def test_a_mistyped_verb_has_a_did_you_mean() -> None:
    result = linkd("tial")
    assert result.exit_code == 2
    assert "there is no verb `tial`; did you mean `tail`?" in result.stderr
    assert "did you mean" not in linkd("xyzzy").stderr
    assert linkd("tail").exit_code == linkd("tail", "flown", "--rows", "none").exit_code == linkd("--none").exit_code == 2


def test_the_version_is_printed() -> None:
    result = linkd("--version")
    assert result.exit_code == 0
    assert result.stdout.startswith("linkd ")


@pytest.mark.parametrize(
    ("raised", "code"), [(UsageFault, 2), (TaskFailed, 1), (BadRow, 3), (StateLocked, 4), (InvalidArgument, 2), (Error, 5)]
)
def test_an_error_of_linkd_is_its_message_and_its_exit_code(raised: type[Error], code: int) -> None:
    def verb() -> None:
        raise raised("what happened, and what to do")

    assert ended(verb) == (code, "", "what happened, and what to do\n")


def test_a_defect_is_named_as_one_and_shows_its_trace_when_asked() -> None:
    def verb(verbose: bool = False) -> None:
        raise ZeroDivisionError("by nothing")

    code, said, complaint = ended(verb)
    assert (code, said) == (5, "")
    assert complaint.startswith("linkd failed (ZeroDivisionError: by nothing): this is a defect of linkd\n")
    assert "Traceback" not in complaint
    assert "Traceback" in ended(verb, "--verbose")[2]


def test_ctrl_c_is_130() -> None:
    def verb() -> None:
        raise KeyboardInterrupt

    assert ended(verb)[0] == 130


def test_ctrl_c_while_a_class_is_being_made_is_130_too_whatever_the_interpreter_makes_of_it() -> None:
    class Interrupting:
        def __set_name__(self, owner: type, name: str) -> None:
            raise KeyboardInterrupt

    def verb() -> None:
        type("Imported", (), {"field": Interrupting()})

    assert ended(verb) == (130, "", "")


def test_ctrl_c_while_a_run_is_still_being_imported_is_130_and_no_traceback() -> None:
    program = (
        "import sys\n"
        "class Interrupting:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'linkd.store.store': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupting())\n"
        "sys.argv = ['linkd', 'run']\n"
        "from linkd.app.main import main; main()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment(), check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_the_verb_gives_the_exit_code() -> None:
    assert ended(lambda: 3)[0] == 3
    assert ended(lambda: None)[0] == 0


def test_a_reader_that_goes_away_is_no_failure() -> None:
    program = (
        "from linkd.app.cli.conclusion import conclude; import typer\n"
        "app = typer.Typer()\n"
        "def verb():\n"
        "    for number in range(100_000): print(number)\n"
        "app.command()(conclude(verb))\n"
        "app()\n"
    )
    command = f"'{sys.executable}' -c '{program}' | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=environment(), check=False)
    assert (done.stdout, done.stderr) == ("0\n0\n", "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
def test_output_that_finds_no_room_or_is_closed_is_no_defect_of_linkd() -> None:
    program = (
        "from linkd.app.cli.conclusion import conclude; import typer\n"
        "app = typer.Typer()\n"
        "def verb(): print(1)\n"
        "app.command()(conclude(verb))\n"
        "app()\n"
    )
    command = f"'{sys.executable}' -c '{program}' > /dev/full; echo $?; '{sys.executable}' -c '{program}' >&-; echo $?"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=environment(), check=False)
    assert done.stdout == "5\n0\n"
    assert done.stderr.startswith("could not write everything: No space left on device (the output itself, or a temporary file in ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [("256MiB", 256 * limits.MIB), ("1G", limits.GIB), ("1.5 gib", limits.GIB * 3 // 2), ("67108864", 64 * limits.MIB)],
)
def test_sizes_are_read(text: str, size_bytes: int) -> None:
    assert memory_bytes(text) == disk_budget_bytes(text) == size_bytes


@pytest.mark.parametrize("text", ["", "much", "-1", "1XB", "1MiB"])
def test_what_is_no_size_or_too_little_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="--memory"):
        memory_bytes(text)
    with pytest.raises(InvalidArgument, match="--disk-budget"):
        disk_budget_bytes(text)


@pytest.mark.parametrize("words", [("serve",), ("serve", "--open", "--pipeline", "x.yaml"), ("serve", "--open"), ("sql",)])
def test_incomplete_commands_say_what_is_missing(words: tuple[str, ...]) -> None:
    result = linkd(*words)
    assert result.exit_code == 2
    assert "Traceback" not in result.stderr
    assert result.stderr.strip()


@pytest.mark.parametrize(
    ("rows", "values_there", "rows_there", "wanted"), [(10, 6, 328_521, 2), (10, 1_000, 1_000, 10), (10, 5, 0, 5), (10, 0, 0, 1)]
)
def test_tail_reads_as_few_values_as_hold_the_rows(rows: int, values_there: int, rows_there: int, wanted: int) -> None:
    assert values_wanted(rows, values_there, rows_there) == wanted


# -- check ---------------------------------------------------------------------------------------------------------------------------------

PIPELINE = """\
pipeline: flights
wiring: |
  (flights)  clean   (flown)
  (flown)    sum_up  (totals)
links:
  flights: {from: flights.csv}
  totals:  {to: out/totals.csv}
tasks:
  clean:  {run: "sh clean.sh"}
  sum_up: {sql: "SELECT count(*) AS flights FROM flown"}
"""


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., str]:
    """Writes the pipeline with replacements and what it names; gives its path."""
    (tmp_path / "flights.csv").write_text("a\n1\n")
    (tmp_path / "clean.sh").write_text("")

    def write(*replacements: tuple[str, str]) -> str:
        text = PIPELINE
        for old, new in replacements:
            assert old in text
            text = text.replace(old, new)
        (tmp_path / "flights.yaml").write_text(text)
        return str(tmp_path / "flights.yaml")

    return write


def test_a_sound_pipeline_is_ok(write: Callable[..., str]) -> None:
    path = write()
    result = linkd("check", path)
    assert (result.exit_code, result.stdout) == (0, f"{path}: ok (3 links, 2 tasks)\n")
    assert linkd("check", "-q", path).stdout == ""


def test_a_pipeline_is_found_in_a_directory(write: Callable[..., str]) -> None:
    assert linkd("check", str(Path(write()).parent)).exit_code == 0


def test_problems_of_grammar_are_shown_with_their_place(write: Callable[..., str]) -> None:
    result = linkd("check", write(("(flown)    sum_up", "(flwn)     sum_up")))
    assert result.exit_code == 2
    assert "flights.yaml:4:4: nothing writes `flwn`; did you mean `flown`?" in result.stderr


def test_files_sql_and_programs_are_all_looked_at(write: Callable[..., str]) -> None:
    path = write(("from: flights.csv", "from: flihgts.csv"), ("sh clean.sh", "sh claen.sh"), ("FROM flown", "FROM flights"))
    result = linkd("check", path)
    assert result.exit_code == 2
    assert "flihgts.csv does not exist" in result.stderr
    assert f"{path}: tasks.sum_up.sql: there is no link `flights` for this query" in result.stderr
    assert f"{path}: tasks.clean.run: there is no file" in result.stderr


def test_sql_that_is_no_select_is_refused(write: Callable[..., str]) -> None:
    result = linkd("check", write(("SELECT count(*) AS flights FROM flown", "DROP TABLE flown")))
    assert result.exit_code == 2
    assert "tasks.sum_up.sql: DROP is not for queries" in result.stderr


def test_check_tells_programs_in_json(write: Callable[..., str]) -> None:
    sound = linkd("check", "--json", write())
    assert (sound.exit_code, json.loads(sound.stdout)["links"]) == (0, ["flights", "flown", "totals"])
    faulty = linkd("check", "--json", write(("from: flights.csv", "from: absent.csv")))
    assert faulty.exit_code == 2
    told = json.loads(faulty.stdout)
    assert not told["ok"]
    assert len(told["problems"]) == 1


def ended(verb: Callable[..., int | None], *words: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command line that has only this verb."""
    app = typer.Typer()
    app.command()(conclude(verb))
    result = CliRunner().invoke(app, list(words))
    return result.exit_code, result.stdout, result.stderr


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "adapters")])}
