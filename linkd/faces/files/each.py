"""A program that runs once for each snapshot, several at a time, and whose results are committed in the order of the inputs.

Snapshots are taken ahead, one more than may run at a time. A run is settled when it is over and, where there is an order, those before it are: what
it wrote is read, staged and committed then, so that the columns of the first one are known to the second. One that failed goes back; what was
begun behind it goes back untried, for it would overtake it. Without an order each is settled as it ends.

A task whose snapshots are tried a bounded number of times (`max_attempts:`) goes on, and what failed that often lies in its dead-letter link;
any other one ends with the first failure.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from linkd.client.background import Background
from linkd.client.calls import Connection, Dial
from linkd.client.publish_stream import PublishStream
from linkd.client.snapshots import Snapshot, Snapshots, known_schema, stage
from linkd.client.values import Input
from linkd.client.worker import attend, connected
from linkd.core.evolution import together
from linkd.errors import EXIT_DONE, EXIT_TASK_FAILED, DataFault, LeaseLost, TaskFailed, UsageFault
from linkd.faces.files.directories import RunDirectories, RunDirectory, take_outputs
from linkd.faces.files.execution import Ended, run_program, say
from linkd.faces.files.failed_runs import keep
from linkd.faces.files.guard import Guard, guarding
from linkd.faces.files.threads import in_thread
from linkd.faces.files.whole_files import InputFile, output_batches, output_payloads
from linkd.faces.files.work import FileTask
from linkd.limits import CREDIT_BYTES
from linkd.plugin.contract import Adapter
from linkd.plugin.registry import FILE, installed_adapters
from linkd.query.scratch import scratch_directory


@dataclass(slots=True, eq=False)
class Run:
    """A snapshot that is worked on, and the program that does it."""

    snapshot: Snapshot
    directory: RunDirectory
    working: asyncio.Task[Ended]


class EachRuns:
    """The runs of one task in this process. `run` is called once."""

    def __init__(self, task: FileTask, snapshots: Snapshots, guard: Guard, scratch: Path, group: asyncio.TaskGroup) -> None:
        self._task = task
        self._snapshots = snapshots
        self._guard = guard
        self._group = group
        self._directories = RunDirectories(scratch)
        self._adapter = installed_adapters().named(FILE)
        self._in_hand: deque[Run] = deque()
        self._coming: asyncio.Task[Snapshot | None] | None = None
        self._settling: asyncio.Task[int] | None = None
        self._over = False
        self._fails = False
        """Nothing is begun while what failed goes back, or behind a failure that ends the task."""

    async def run(self) -> int:
        """Until no further snapshot can come, or a run failed for good: the exit code.

        While a run is settled the next program is at work already.
        """
        try:
            while waiting := self._under_way():
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                if self._settling is not None and self._settling.done():
                    code, self._settling = self._settling.result(), None
                    if code != EXIT_DONE:
                        return code
                if self._coming is not None and self._coming.done():
                    snapshot, self._coming = self._coming.result(), None
                    if snapshot is None:
                        self._over = True
                    else:
                        self._begin(snapshot)
            return EXIT_DONE
        finally:
            if self._settling is not None:
                self._settling.cancel()
                await asyncio.wait((self._settling,))
            await self._drop_all()

    def _under_way(self) -> list[asyncio.Task[Any]]:
        """Begins what can begin now; what is to be waited for, nothing if all is done."""
        working = [run.working for run in self._in_hand if not run.working.done()]
        has_room = len(working) < self._task.terms.parallel and len(self._in_hand) <= self._task.terms.parallel
        if self._coming is None and has_room and not self._over and not self._fails:
            self._coming = self._group.create_task(self._snapshots.ahead(), name=f"linkd snapshots of {self._task.name}")
        if self._settling is None and (due := self._due()) is not None:
            self._in_hand.remove(due)
            self._settling = self._group.create_task(self._settled(due), name=f"linkd commit of {self._task.name}")
        return [*working, *(task for task in (self._coming, self._settling) if task is not None)]

    def _due(self) -> Run | None:
        """The run that is to be settled next, if it is over."""
        of_turn = list(self._in_hand)[:1] if self._task.in_order else self._in_hand
        return next((run for run in of_turn if run.working.done()), None)

    def _begin(self, snapshot: Snapshot) -> None:
        directory = self._directories.take()
        working = self._group.create_task(self._work(snapshot, directory), name=f"linkd run of {self._task.name}")
        self._in_hand.append(Run(snapshot, directory, working))

    async def _work(self, snapshot: Snapshot, directory: RunDirectory) -> Ended:
        try:
            await in_thread(write_inputs, self._task, snapshot.inputs.values(), directory, self._adapter)
            return await run_program(self._task, directory, self._guard, snapshot.traceparent)
        except (TaskFailed, DataFault, UsageFault) as error:
            return Ended(EXIT_TASK_FAILED, error.message)

    async def _settled(self, run: Run) -> int:
        try:
            return await self._settle(run)
        finally:
            await in_thread(self._directories.give_back, run.directory)

    async def _settle(self, run: Run) -> int:
        ended = run.working.result()
        try:
            async with run.snapshot:
                if ended.code == EXIT_DONE:
                    try:
                        await self._stage(run)
                    except (TaskFailed, DataFault, UsageFault) as error:
                        ended = Ended(EXIT_TASK_FAILED, error.message)
                if ended.code != EXIT_DONE:
                    await self._give_back(run, ended)
        except (LeaseLost, DataFault, UsageFault) as error:  # of the commit: the snapshot has gone back
            say(f"{self._task.name}: {error}")
            ended = Ended(EXIT_DONE if isinstance(error, LeaseLost) else EXIT_TASK_FAILED, error.message)
            self._fails = True
            await self._drop_those_behind()
        code = EXIT_DONE if self._task.gives_up else ended.code
        self._fails = code != EXIT_DONE
        return code

    async def _stage(self, run: Run) -> None:
        left = await in_thread(take_outputs, self._task, run.directory)
        if note := left.note(self._task):
            say(note)
        for wire, path in left.files.items():
            known = known_schema(run.snapshot, wire)
            async with aclosing(output_batches(self._task, wire, path, known, self._adapter)) as batches:
                async for batch in batches:
                    known = known_schema(run.snapshot, wire)
                    if batch.num_rows or not known.schema:
                        await stage(run.snapshot, wire, output_payloads(wire, batch, known))

    async def _give_back(self, run: Run, ended: Ended) -> None:
        """The run failed. What was begun behind it goes back first: else it would be done before it."""
        self._fails = True
        snapshot_id = bytes.fromhex(run.snapshot.id)
        kept = await in_thread(keep, self._task, run.directory, snapshot_id)
        say(f"{self._task.name}: attempt {run.snapshot.attempt} at {shown_portions(run.snapshot)} failed: {ended.reason}\n{kept}")
        await self._drop_those_behind()
        await run.snapshot.nack(reason=ended.reason)

    async def _drop_those_behind(self) -> None:
        if self._task.in_order:
            await self._drop_all()

    async def _drop_all(self) -> None:
        """Ends what runs, and gives all snapshots back untried, the last one first."""
        coming, self._coming = self._coming, None
        if coming is not None:
            coming.cancel()
            await asyncio.wait((coming,))
            if not coming.cancelled() and coming.exception() is None and (snapshot := coming.result()) is not None:
                await _release(snapshot)
        while self._in_hand:
            run = self._in_hand.pop()
            run.working.cancel()
            await asyncio.wait((run.working,))
            await in_thread(self._directories.give_back, run.directory)
            await _release(run.snapshot)


async def _release(snapshot: Snapshot) -> None:
    taken = snapshot.release("", untried=True)
    if taken is not None:
        await taken


def write_inputs(task: FileTask, inputs: Iterable[Input], directory: RunDirectory, adapter: Adapter) -> None:
    """The inputs of a snapshot as files. Raises SchemaMismatch, StorageFailed."""
    for rows in inputs:
        message = rows.schema_message()
        tables = [value.to_table() for value in rows.values]
        for table in tables:
            table.validate(full=True)
        schema = pa.ipc.read_schema(pa.py_buffer(message)) if message else pa.schema([])
        whole = together(tables, link=rows.link) if tables else schema.empty_table()
        file = InputFile(task, rows.link, directory.inputs / task.file_name(rows.link), whole.schema, adapter)
        try:
            for batch in whole.to_batches():
                file.write(batch)
            file.end()
        finally:
            file.drop()


def shown_portions(snapshot: Snapshot) -> str:
    """What a snapshot holds, as people name values: `flights@7`, `flown@3-5`."""
    return ", ".join(
        f"{portion.link}@{portion.first_sequence}" + (f"-{portion.last_sequence}" if portion.last_sequence > portion.first_sequence else "")
        for portion in snapshot.portions
        if portion.first_sequence <= portion.last_sequence
    )


async def run_each(task: FileTask, dial: Dial) -> int:
    """Runs the program for each snapshot of the task: the exit code, when none can come any more or one failed for good.

    Raises errors of the tree. Cancelling takes nothing.
    """
    with scratch_directory(task.spill_directory) as scratch:
        async with connected(dial) as connection, guarding() as guard, task_snapshots(task, connection) as snapshots:
            try:
                async with asyncio.TaskGroup() as group:
                    attending = group.create_task(attend(connection), name=f"linkd attend of {task.name}")
                    code = await EachRuns(task, snapshots, guard, scratch, group).run()
                    attending.cancel()
                return code
            except ExceptionGroup as failures:
                raise failures.exceptions[0] from None


@asynccontextmanager
async def task_snapshots(task: FileTask, connection: Connection) -> AsyncIterator[Snapshots]:
    """The snapshots of the task for the length of the block."""
    background = Background()
    staging = PublishStream(connection, background, "linkd stage")
    snapshots = Snapshots(connection, background, staging, credit_bytes=CREDIT_BYTES, task=task.name, prefetch=task.terms.parallel + 2)
    try:
        yield snapshots
    finally:
        snapshots.close()
        await staging.close()
        await background.close()
