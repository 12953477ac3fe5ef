"""The page on operating is true: its commands, one behind the other on a directory that is damaged on the way, print what it shows.

`...` stands for any further lines. What differs from machine to machine or from time to time is made equal on both sides.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import shlex
from pathlib import Path

from flown_state import make_flown
from typer.testing import CliRunner

from linkd.app.main import command_line
from linkd.telemetry.metric_table import METRICS

PAGE = (Path(__file__).parents[2] / "docs/operating.md").read_text(encoding="utf-8")
STATE = Path(".linkd/flights")
VARYING = (
    (r"\d{4}-\d\d-\d\dT[\d:.]+Z", "MOMENT"),
    (r"\b[\d.]+ (us|ms|B|kB|MB|GB)\b", "MEASURE"),
    (r"\b\d+ (files|frames|index rows)\b", r"SOME \1"),
    (r"^ok   versions.*", "VERSIONS"),
    (r"^(ok|warn|fail) +(disk|sync) .*", r"\2"),
    (r"blake3 [0-9a-f]+", "DIGEST"),
)


def comparable(lines: list[str]) -> list[str]:
    for pattern, made_equal in VARYING:
        lines = [re.sub(pattern, made_equal, line) for line in lines]
    return lines


def damage() -> None:
    """The second value is not what was published."""
    path = STATE / "segments/flown/00000001.arrow"
    content = bytearray(path.read_bytes())
    content[20_000] ^= 1
    path.write_bytes(content)


def test_the_commands_of_the_page_on_operating_print_what_it_shows(tmp_path: Path) -> None:
    shown = "".join(re.findall(r"^```console\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE))
    (tmp_path / STATE).parent.mkdir()
    asyncio.run(make_flown(tmp_path / STATE))
    with contextlib.chdir(tmp_path):
        for step in re.split(r"^\$ linkd ", shown, flags=re.MULTILINE)[1:]:
            command, *expected = step.splitlines()
            if ": damaged (" in expected[0]:
                damage()
            printed = comparable(CliRunner().invoke(command_line(), shlex.split(command)).output.splitlines())
            if expected[-1] == "...":
                assert set(comparable(expected[:-1])) <= set(printed), command
            else:
                assert printed == comparable(expected), command


def test_the_metrics_that_it_names_are_there() -> None:
    named = re.findall(r"`(linkd_\w+)`", PAGE)
    assert named
    assert set(named) <= {metric.name for metric in METRICS}
