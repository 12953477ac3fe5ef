"""What the README shows is what there is: its files are the example's, its commands run, its output is what they print."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from linkd.testing.flights import write_flights
from linkd.testing.pipelines import make_pipeline

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples/flights"
README = (ROOT / "README.md").read_text(encoding="utf-8")


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def _without_numbers(line: str) -> str:
    """The line with digits, hashes and padding made equal: other data, the same words."""
    line = re.sub(r"\b[0-9a-f]{8}\b", "HASH", line)
    line = re.sub(r"\b1 (value|row)\b", r"N \1s", line)
    line = re.sub(r"@\d+(\.\.\d+)?", "@N", line)
    return re.sub(r"\s+", " ", re.sub(r"\d[\d,.]*", "N", line)).strip()


def test_its_pipeline_and_its_program_are_those_of_the_example() -> None:
    [pipeline] = _blocks("yaml")
    [program] = _blocks("python")
    assert pipeline.partition("\n")[2] == (EXAMPLE / "flights.yaml").read_text(encoding="utf-8").partition("\n")[2]
    assert program.partition("\n")[2] == (EXAMPLE / "clean.py").read_text(encoding="utf-8")


def test_its_make_targets_are_in_the_makefile() -> None:
    targets = set(re.findall(r"make (\w+)", README))
    assert {"demo", "test", "check", "bench"} <= targets
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)


@pytest.mark.slow
def test_its_first_commands_print_what_it_shows(tmp_path: Path) -> None:
    write_flights(tmp_path / "data")
    files = {"clean.py": (EXAMPLE / "clean.py").read_text(encoding="utf-8")}
    shown = _blocks("console")[0]
    with make_pipeline(tmp_path, _blocks("yaml")[0].partition("\n")[2], files) as pipeline:
        for step in re.split(r"^\$ linkd ", shown, flags=re.MULTILINE)[1:]:
            command, *expected = step.splitlines()
            finished = pipeline.linkd(*shlex.split(command))
            assert finished.exit_code == 0, finished.stderr
            printed = {_without_numbers(line) for line in finished.stdout.splitlines()}
            missing = [line for line in expected if _without_numbers(line) not in printed]
            assert not missing, finished.stdout
