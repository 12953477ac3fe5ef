"""What a program imports while it waits for its first snapshot, and what it is spared."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import asyncio, sys
from linkd.client.content import Part
from linkd.client.encoding import encode
from linkd.client.warm_up import warm_up
asyncio.run(warm_up())
(sent,) = encode("flown", [{"n": 1, "city": "Oslo"}, {"n": 2, "city": None}], schema=b"", declared=False, inputs=())
assert Part(sent.format, b"".join(sent.content()), sent.schema).rows()[0] == {"n": 1, "city": "Oslo"}
print(*sorted({"pyarrow", "pandas", "polars"} & set(sys.modules)))
"""


@pytest.mark.parametrize(("more", "imported"), [("", "pyarrow"), ("# df = snap['flights'].to_pandas()", "pandas pyarrow")])
def test_what_the_program_names_is_imported_before_it_asks_and_rows_need_nothing_more(tmp_path: Path, more: str, imported: str) -> None:
    script = tmp_path / "program.py"
    script.write_text(PROGRAM.replace('"pandas", "polars"', '"pan" + "das", "pol" + "ars"') + more)
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.strip() == imported, done.stderr


def test_a_program_without_a_file_is_no_fault() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.strip() == "pyarrow", done.stderr
