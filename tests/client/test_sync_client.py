"""The synchronous face against a fake home in another process: threads, running loops, interrupts, forks, exits."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import traceback
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

import linkd
from linkd.client.loop_thread import LOOP_THREAD


def test_a_task_is_a_loop_over_its_snapshots(home_process: str) -> None:
    with linkd.connect(home_process) as client:
        for snap in client.snapshots():
            with snap:
                frame = snap["flights"].to_pandas()
                snap.publish("flown", frame[frame.miles.notna()])
                snap.publish("cancelled", frame[frame.miles.isna()])
        assert [row["miles"] for row in client.read("flown").rows()] == [1, 3, 4]
        assert [value.name for value in client.read("cancelled")] == ["cancelled@1", "cancelled@2"]


def test_every_call_has_its_synchronous_form(home_process: str) -> None:
    with linkd.connect(home_process) as client:
        assert client.publish("events", [{"a": 1}]).name == "events@1"
        with client.publisher("events") as events:
            for number in range(2, 500):
                events.send({"a": number})
            events.flush()
        assert [row["a"] for row in client.read("events").rows()] == list(range(1, 500))
        with client.subscribe("events", "alerts") as values:
            for value in values:
                with value:
                    assert isinstance(value, linkd.Value)
        assert client.describe().pipeline == "flights"
        assert client.seal("events") == len(list(client.read("events")))
        assert client.query("SELECT 1").rows() == [{"airline": "United", "miles": 8}]
        assert pl.DataFrame(client.query("SELECT 1"))["miles"].to_list() == [8]
        assert pa.table(client.read("events")).num_rows == 499
        with pytest.raises(linkd.NotAllowed):
            client.publish("forbidden", b"x")


def test_the_last_lines_of_a_refusal_are_those_of_the_program_and_the_reason(home_process: str) -> None:
    with linkd.connect(home_process) as client:
        with pytest.raises(linkd.NotAllowed) as refused:
            client.publish("forbidden", b"x")
        *_, error = told = "".join(traceback.format_exception(refused.value)).splitlines()
        assert error.startswith("linkd.errors.NotAllowed: ")
        assert any('client.publish("forbidden", b"x")' in line for line in told[-10:])


def test_an_unsettled_snapshot_is_refused(home_process: str) -> None:
    with linkd.connect(home_process) as client:
        with pytest.raises(linkd.SnapshotNotSettled, match="use `with snap:`"):
            for _ in client.snapshots():
                pass
        with pytest.raises(linkd.SnapshotNotSettled, match="use `with snap:`"):
            for snap in client.snapshots():
                snap.publish("flown", [{"a": 1}])


def test_values_may_be_acked_after_the_loop_was_left(home_process: str) -> None:
    with linkd.connect(home_process) as client:
        client.publish("events", [{"a": 1}])
        client.publish("events", [{"a": 2}])
        kept = []
        for value in client.subscribe("events", "alerts"):
            kept.append(value)
            break
        kept[0].ack()
        assert kept[0].settled


async def test_it_works_where_a_loop_runs_already(home_process: str) -> None:
    with linkd.connect(home_process) as client:
        assert client.describe().pipeline == "flights"
    await asyncio.sleep(0)


def test_threads_may_share_a_client(home_process: str) -> None:
    with linkd.connect(home_process) as client:
        threads = [threading.Thread(target=client.publish, args=("events", [{"a": number}])) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(row["a"] for row in client.read("events").rows()) == list(range(8))


def test_its_own_loop_must_not_wait_for_itself() -> None:
    async def call_again() -> None:
        LOOP_THREAD.run(asyncio.sleep, 0)

    with pytest.raises(linkd.InvalidArgument, match="would wait for itself"):
        LOOP_THREAD.run(call_again)


def test_an_interrupt_cancels_the_call_and_goes_on_to_the_program() -> None:
    cancelled = threading.Event()

    async def wait_for_ever() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job begins with it ignored
    try:
        with pytest.raises(KeyboardInterrupt):
            LOOP_THREAD.run(wait_for_ever)
    finally:
        signal.signal(signal.SIGINT, before)
    assert cancelled.wait(5)


def test_both_faces_have_the_same_methods() -> None:
    for name in ("Client", "Publisher", "Reading", "Result", "Snapshot", "Snapshots", "Subscription", "LeasedValue"):
        face, original = getattr(linkd, name), getattr(linkd.aio, name)
        asynchronous = {
            "aclose",
            "ahead",
            "at_hand",
            "room",
            "put",
            "wake",
            "full",
            "release",
            "settled",
            "content",
            "html",
            "pieces",
            "token",
            "close",
        }
        missing = {member for member in dir(original) if not member.startswith("_")} - set(dir(face)) - asynchronous
        assert missing == set(), name


def _run(program: str, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    root = str(Path(linkd.__file__).parent.parent)
    environment = os.environ | {"PYTHONPATH": root, "PYTHONWARNINGS": "error"} | environ
    return subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, timeout=60, env=environment, check=False
    )


FORK = """
import multiprocessing, sys
import linkd

def child(address):
    for call in (lambda: linkd.connect(address), lambda: client.describe(), lambda: client.publish("events", b"x")):
        try:
            call()
            sys.exit("no error")
        except linkd.ForkedClient as error:
            assert "connect first in the child" in str(error) and "spawn" in str(error)
    print("refused", flush=True)

def innocent(address):
    with linkd.connect(address) as mine:
        print(mine.describe().pipeline, flush=True)

if __name__ == "__main__":
    address = sys.argv[1]
    fork = multiprocessing.get_context("fork")
    before = fork.Process(target=innocent, args=(address,))
    before.start(); before.join(30); assert before.exitcode == 0, before.exitcode
    client = linkd.connect(address)
    after = fork.Process(target=child, args=(address,))
    after.start(); after.join(30); assert after.exitcode == 0, after.exitcode
    print(client.describe().pipeline)
"""


def test_a_forked_child_is_told_what_to_do_unless_its_parent_never_connected(home_process: str) -> None:
    done = _run(FORK, home_process)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["flights", "refused", "flights"]


def test_an_exit_with_open_clients_does_not_hang(home_process: str) -> None:
    program = (
        "import linkd, sys; c = linkd.connect(sys.argv[1]); s = iter(c.snapshots()); snap = next(s);"
        "it = iter(c.read('flights')); v = next(it); p = c.publisher('events'); p.send({'a': 1}); print(len(snap['flights']))"
    )
    done = _run(program, home_process)
    assert (done.returncode, done.stdout.strip()) == (0, "2"), done.stderr
    assert done.stderr == ""


def test_ctrl_c_ends_a_waiting_program(home_process: str) -> None:
    program = (
        "import linkd, os, signal, sys, threading; c = linkd.connect(sys.argv[1]); c.publish('e', [{'a': 1}]);"
        "s = c.subscribe('e', 'g', follow=True); next(s); print('waiting', flush=True);"
        "threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start(); next(s)"
    )
    done = _run(program, home_process)
    assert done.returncode in (130, -signal.SIGINT), done.stderr
    assert done.stderr.rstrip().endswith("KeyboardInterrupt")


WITHOUT_PYARROW = """
import importlib.abc, sys

class Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("pyarrow", "pandas", "polars", "numpy"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Missing())
import linkd
with linkd.connect(sys.argv[1]) as client:
    client.publish("events", [{"a": 2**60, "b": float("nan")}])
    client.publish("blobs", b"\\x00\\xff")
    print(client.read("events").rows(), [value.bytes() for value in client.read("blobs")])
    for attempt in (
        lambda: client.read("events").to_table(),
        lambda: client.query("SELECT 1").rows(),
        lambda: client.read("events").to_pandas(),
    ):
        try:
            attempt()
        except linkd.MissingExtra as error:
            print(error)
"""


def test_rows_and_bytes_work_without_pyarrow(home_process: str) -> None:
    done = _run(WITHOUT_PYARROW, home_process)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "[{'a': 1152921504606846976, 'b': 'NaN'}] [b'\\x00\\xff']",
        ".to_table() needs pyarrow, which is not installed: pip install 'linkd[arrow]'",
        ".rows() of a query needs pyarrow, which is not installed: pip install 'linkd[arrow]'",
        ".to_pandas() needs pyarrow, which is not installed: pip install 'linkd[arrow]'",
    ]
