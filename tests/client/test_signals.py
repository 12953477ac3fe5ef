"""A program of linkd hears TERM and INT while it works; what comes when the work is over changes nothing and is not complained of."""

from __future__ import annotations

import signal
import subprocess
import sys

PROGRAM = """
import asyncio, os, signal
from linkd.client.signals import ending_signals

async def work():
    heard = asyncio.Event()
    with ending_signals(heard.set):
        os.kill(os.getpid(), {number})
        await heard.wait()
    os.kill(os.getpid(), {number})

asyncio.run(work())
os.kill(os.getpid(), {number})
print("ended by itself")
"""


def test_a_signal_is_heard_during_the_work_and_ignored_behind_it() -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        command = [sys.executable, "-c", PROGRAM.format(number=int(number))]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, "ended by itself\n", "")
