"""What a home asks of its system is taken where it is to be had, and changes nothing else."""

from __future__ import annotations

import json
import subprocess
import sys

TRIAL = """
import json, os, sys
if sys.argv[1] == "another system":
    sys.platform = "darwin"
    del os.sched_getscheduler
from linkd.app.tuning import keep_freed_memory, run_promptly
before = os.getpriority(os.PRIO_PROCESS, 0)
os.setpriority(os.PRIO_PROCESS, 0, before + 1)
said = run_promptly(), keep_freed_memory()
pieces = [bytes(1 << 20) for _ in range(8)]
print(json.dumps([said, os.getpriority(os.PRIO_PROCESS, 0) - before, len(pieces)]))
"""


def _trial(system: str) -> list[object]:
    done = subprocess.run([sys.executable, "-c", TRIAL, system], capture_output=True, text=True, timeout=30, check=True)
    said: list[object] = json.loads(done.stdout)
    return said


def test_a_slice_is_asked_for_and_the_priority_stays_what_the_person_gave() -> None:
    said, nicer, pieces = _trial("this one")
    assert isinstance(said, list)
    assert said[0] == sys.platform.startswith("linux") or said[0] is False
    assert (nicer, pieces) == (1, 8)


def test_where_the_system_has_no_such_calls_nothing_happens() -> None:
    said, nicer, _ = _trial("another system")
    assert isinstance(said, list)
    assert said[0] is False
    assert nicer == 1
