"""What `linkd check` can tell of programs without running them."""

from __future__ import annotations

from pathlib import Path

import pytest

from linkd.app.cli.programs import program_problem


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A pipeline's directory with a script, and a PATH of its own with an interpreter on it."""
    (tmp_path / "bin").mkdir()
    python = tmp_path / "bin" / "python3"
    python.write_text("#!/bin/sh\n")
    python.chmod(0o755)
    (tmp_path / "clean.py").write_text("")
    return tmp_path


def problem(place: Path, command: str | tuple[str, ...]) -> str | None:
    return program_problem(command, place, str(place / "bin"))


@pytest.mark.parametrize(
    "command",
    [
        "python3 clean.py",
        "TZ=UTC python3 clean.py --fast",
        "python3 -m package.of.mine",
        "python3 -c 'print(1)' absent.py",
        ("python3", "clean.py"),
        "cat a | absent_program",
        "absent_program && python3 clean.py",
        "cd somewhere",
        "'an open quote",
        "python3 --option-with value clean.txt",
    ],
)
def test_what_may_run_is_not_complained_of(place: Path, command: str | tuple[str, ...]) -> None:
    assert problem(place, command) is None


def test_a_program_that_is_not_there_is_named(place: Path) -> None:
    assert problem(place, "pyhton clean.py") == "there is no program `pyhton` on PATH; install it, or name its path"


def test_a_file_beside_the_pipeline_is_not_on_path(place: Path) -> None:
    assert problem(place, "clean.py") == "there is no program `clean.py` on PATH; for the file beside the pipeline write `./clean.py`"


def test_a_script_that_is_not_there_has_a_did_you_mean(place: Path) -> None:
    assert problem(place, "python3 claen.py") == f"there is no file {place}/claen.py; did you mean `clean.py`?"
    assert problem(place, ("python3", "claen.py")) is not None


def test_a_path_must_be_there_and_executable(place: Path) -> None:
    assert (
        problem(place, "./clean.py") == f"{place}/clean.py may not be executed; chmod +x {place}/clean.py, or put its interpreter before it"
    )
    assert problem(place, "./bin/absent") == f"there is no program {place}/bin/absent"
