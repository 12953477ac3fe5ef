"""What the README shows is what there is: its files are the example's, its commands run in order, and what they print is what it shows.

All `console` blocks are one session of one shell in a scratch directory, with the Python blocks that name a file (`# look.py`) beside the
example. The lines that a command prints are compared without order, for links are sealed in the order in which they happen to be; `...` stands
for any others. What differs from run to run or from version to version is made equal on both sides (`_comparable`): seconds and ages, moments,
ids and digests, sizes in bytes, widths of columns. What the shell says of its jobs is left out.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from linkd.app.cli.verbs import VERBS
from linkd.testing.pipelines import PipelineDirectory, clean_environment

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples/flights"
README = (ROOT / "README.md").read_text(encoding="utf-8")
SESSION_TIMEOUT_S = 90

# A kill "after a second" comes in the middle of a run here however fast the machine is: when the source is read, and its reader is at work.
PRELUDE = """
sleep() {
    local told=
    until [[ $told =~ 'flights: '[0-9,]+' rows' ]]; do command sleep 0.02; told=$(<"$TRANSCRIPT"); told=${told##*"$MARK"}; done
}
"""
MARK = "-- next command --"

VARYING = (
    (r"\d{4}-\d\d-\d\dT[\d:.]+Z", "MOMENT"),
    (r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "ID"),
    (r"\b(?=[0-9a-f]*[a-f])[0-9a-f]{8,64}\b|\b\d{8}\b", "DIGEST"),
    (r"\b\d[\d,.]* (B|kB|MB|bytes)(?!\w)", "SIZE"),
    (r"\b(\d+(\.\d+)? (s|min|h)|now)\b", "TIME"),
    (r"\s+", " "),
)


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def _comparable(line: str) -> str:
    for pattern, made_equal in VARYING:
        line = re.sub(pattern, made_equal, line)
    return line.strip()


def _steps() -> list[tuple[str, list[str]]]:
    """Each command of the session, and the lines that it is shown to print."""
    shown = "".join(_blocks("console"))
    steps = [step.splitlines() for step in re.split(r"^\$ ", shown, flags=re.MULTILINE)[1:]]
    return [(command, expected) for command, *expected in steps]


def _session(directory: Path, commands: list[str]) -> list[list[str]]:
    """What each command printed, on either stream, with its exit code last if it is not 0."""
    transcript = directory / "transcript"
    lines = [f"TRANSCRIPT={shlex.quote(str(transcript))} MARK={shlex.quote(MARK)}", PRELUDE]
    for command in commands:
        lines += [f"echo {shlex.quote(MARK)}", command, '(exit $?) || echo "exit code $?"']
    environ = clean_environment()
    environ["PATH"] = f"{Path(sys.executable).parent}:{environ['PATH']}"
    with (
        transcript.open("wb") as output,
        subprocess.Popen(
            ["bash", "-c", "\n".join(lines)],
            cwd=directory, env=environ, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
        ) as shell,
    ):  # fmt: skip
        try:
            shell.wait(SESSION_TIMEOUT_S)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)  # what is still there was to be ended by a command that was not come to
    printed = transcript.read_text(encoding="utf-8").split(f"{MARK}\n")[1:]
    return [[line for line in text.splitlines() if not re.search(r"line \d+: +\d+ Killed", line)] for text in printed]


def test_its_pipeline_and_its_program_are_those_of_the_example() -> None:
    assert _blocks("yaml")[0] == (EXAMPLE / "flights.yaml").read_text(encoding="utf-8")
    assert _blocks("python")[0] == (EXAMPLE / "clean.py").read_text(encoding="utf-8")


def test_its_make_targets_are_in_the_makefile() -> None:
    targets = set(re.findall(r"make (\w+)", README))
    assert {"demo", "test", "check", "bench", "soak"} <= targets
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)


def test_its_table_has_every_verb() -> None:
    rows = re.findall(r"^\| (\w+) \| (.*) \|$", README, re.MULTILINE)
    told = {heading: [code.split()[0] for code in re.findall(r"`([^`]*)`", verbs)] for heading, verbs in rows}
    listed = {heading: [name for name in names if name in VERBS] for heading, names in told.items()}
    assert listed == {heading: [verb.name for verb in VERBS.values() if verb.heading.lower() == heading] for heading in listed}
    assert sum(map(len, listed.values())) == len(VERBS)


@pytest.mark.slow
def test_its_session_goes_as_it_shows(tmp_path: Path) -> None:
    steps = _steps()
    programs = {found[1]: block for block in _blocks("python") if (found := re.match(r"# (\w+\.py)\n", block))}
    commands = [command for command, _ in steps]
    for name, text in programs.items():
        assert f"python {name}" in commands
        (tmp_path / name).write_text(text)
    commands[0] += f" && mv {' '.join(f'../{name}' for name in programs)} ."
    with PipelineDirectory(tmp_path / "demo", "flights"):
        printed = _session(tmp_path, commands)
    assert len(printed) == len(steps)
    for (command, expected), lines in zip(steps, printed, strict=True):
        shown, found = (Counter(filter(None, map(_comparable, text))) for text in (expected, lines))
        elided = shown.pop("...", 0)
        assert "exit code" not in "".join(lines[-1:]), f"$ {command}\n" + "\n".join(lines)
        assert shown <= found if elided else shown == found, f"$ {command}\n" + "\n".join(lines)
