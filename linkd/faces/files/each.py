"""A program that runs once for each snapshot, several at a time, and whose results are committed in the order of the inputs.

Snapshots are taken ahead, one more than may run at a time. A run is settled when it is over and, where there is an order, those before it are: what
it wrote is read, staged and committed then, so that the columns of the first one are known to the second. One that failed goes back; what was
begun behind it goes back untried, for it would overtake it. Without an order each is settled as it ends.

A task whose snapshots are tried a bounded number of times (`max_attempts:`) goes on, and what failed that often lies in its dead-letter link;
any other one ends with the first failure.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from linkd.client.artifacts import ArtifactRoad
from linkd.client.background import Background
from linkd.client.calls import Connection, Dial
from linkd.client.publish_stream import PublishStream
from linkd.client.snapshots import Snapshot, Snapshots, known_schema, lease_lost, stage
from linkd.client.values import Input
from linkd.client.worker import attend, connected
from linkd.core.artifact_references import references_of
from linkd.core.evolution import together
from linkd.core.schema import OPAQUE_SCHEMA
from linkd.errors import EXIT_DONE, EXIT_TASK_FAILED, DataFault, LeaseLost, Overloaded, StorageFull, TaskFailed, UsageFault
from linkd.faces.files.contents import artifact_road, bytes_of, file_in, second_file
from linkd.faces.files.directories import RunDirectories, RunDirectory, take_outputs, translated
from linkd.faces.files.execution import Ended, run_program, say
from linkd.faces.files.failed_runs import keep
from linkd.faces.files.guard import Guard, guarding
from linkd.faces.files.room import while_there_is_room
from linkd.faces.files.threads import in_thread, in_thread_if_large
from linkd.faces.files.whole_files import InputFile, output_values
from linkd.faces.files.work import FILE_FORMAT, IN_VARIABLE, RAW, FileTask
from linkd.limits import CREDIT_BYTES, OUTPUT_ROOM_TIMEOUT_S
from linkd.plugin.contract import Adapter
from linkd.plugin.registry import FILE, installed_adapters
from linkd.query.scratch import scratch_directory

_LEASE_OVER = (
    "its lease was over: it worked for longer than the `timeout:` of its task, or linkd heard nothing of it and handed its work out again; "
    "the program was ended"
)


@dataclass(slots=True, eq=False)
class Run:
    """A snapshot that is worked on, and the program that does it."""

    snapshot: Snapshot
    directory: RunDirectory
    working: asyncio.Task[Ended]
    staged: int = 0
    """Pieces of its outputs that the home has taken."""
    fits: bool = True
    """There is room for its files when it has failed."""
    files_bytes: float = math.inf
    """Of its files, where that is known."""


class EachRuns:
    """The runs of one task in this process. `run` is called once."""

    def __init__(
        self,
        task: FileTask,
        connection: Connection,
        road: ArtifactRoad,
        snapshots: Snapshots,
        guard: Guard,
        scratch: Path,
        group: asyncio.TaskGroup,
    ) -> None:
        self._task = task
        self._connection = connection
        self._road = road
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
        if self._settling is None and (due := self._due()) is not None:
            self._in_hand.remove(due)
            self._settling = self._group.create_task(self._settled(due), name=f"linkd commit of {self._task.name}")
        while self._has_room() and (snapshot := self._snapshots.at_hand()) is not None:
            self._begin(snapshot)
        if self._has_room():
            self._coming = self._group.create_task(self._snapshots.ahead(), name=f"linkd snapshots of {self._task.name}")
        working = [run.working for run in self._in_hand if not run.working.done()]
        return [*working, *(task for task in (self._coming, self._settling) if task is not None)]

    def _has_room(self) -> bool:
        """Whether another run can begin."""
        if self._coming is not None or self._over or self._fails:
            return False
        parallel = self._task.terms.parallel
        return len(self._in_hand) <= parallel and sum(not run.working.done() for run in self._in_hand) < parallel

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
            for rows in snapshot.inputs.values():
                await write_input(self._task, self._road, rows, directory, self._adapter)
            return await self._run(snapshot, directory)
        except (TaskFailed, DataFault, UsageFault) as error:
            return Ended(EXIT_TASK_FAILED, error.message)

    async def _run(self, snapshot: Snapshot, directory: RunDirectory) -> Ended:
        """Runs the program while its snapshot is ours: to its end, or that of the lease."""
        program = asyncio.create_task(
            run_program(self._task, directory, self._guard, snapshot.traceparent), name=f"linkd program of {self._task.name}"
        )
        lost = asyncio.create_task(lease_lost(snapshot).wait(), name=f"linkd lease of {self._task.name}")
        try:
            await asyncio.wait((program, lost), return_when=asyncio.FIRST_COMPLETED)
            return program.result() if program.done() else Ended(EXIT_TASK_FAILED, _LEASE_OVER)
        finally:
            for one in (program, lost):
                one.cancel()
            await asyncio.wait((program, lost))

    async def _settled(self, run: Run) -> int:
        try:
            return await self._settle(run)
        finally:
            await in_thread_if_large(run.files_bytes, self._directories.give_back, run.directory)

    async def _settle(self, run: Run) -> int:
        ended = run.working.result()
        try:
            async with run.snapshot:
                if ended.code == EXIT_DONE:
                    try:
                        await while_there_is_room(
                            self._connection, self._task, run.directory, self._stage(run), lambda: run.staged, OUTPUT_ROOM_TIMEOUT_S
                        )
                        await in_thread_if_large(run.files_bytes, self._directories.empty, run.directory)
                    except (TaskFailed, DataFault, UsageFault, StorageFull, Overloaded) as error:
                        ended = Ended(EXIT_TASK_FAILED, error.message)
                        run.fits = not isinstance(error, StorageFull | Overloaded)
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
        left = take_outputs(self._task, run.directory)
        if note := left.note(self._task):
            say(note)
        elif FILE_FORMAT not in self._task.terms.formats.values():
            run.files_bytes = left.size_bytes + sum(map(_size_bytes, run.snapshot.inputs.values()))
        for wire, path in left.files.items():
            known = known_schema(run.snapshot, wire)
            async with aclosing(output_values(self._connection, self._road, self._task, wire, path, known, self._adapter)) as made:
                async for values in made:
                    await stage(run.snapshot, wire, values.payloads, values.attributes)
                    run.staged += 1

    async def _give_back(self, run: Run, ended: Ended) -> None:
        """The run failed. What was begun behind it goes back first: else it would be done before it."""
        self._fails = True
        snapshot_id = bytes.fromhex(run.snapshot.id)
        kept = await in_thread(keep, self._task, run.directory, snapshot_id) if run.fits else "its files are not kept: there is no room"
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


async def write_input(task: FileTask, road: ArtifactRoad, rows: Input, directory: RunDirectory, adapter: Adapter) -> None:
    """An input of a snapshot as a file. Raises SchemaMismatch, TaskFailed, StorageFailed."""
    kind, path = task.terms.formats[rows.link], directory.inputs / task.file_name(rows.link)
    if kind == FILE_FORMAT:
        for value in rows.values:
            if path.exists():
                raise second_file(task, rows.link, value.envelope)
            with translated(f"${IN_VARIABLE}/{path.name}"):
                await road.save(file_in(task, rows.link, value.envelope), path)
    elif kind == RAW and any(bytes_of(task, rows.link, value.envelope) for value in rows.values):
        await _write_bytes(task, road, rows, path, adapter)
    else:
        await in_thread_if_large(_size_bytes(rows), _write_rows, task, await rows.loaded(), path, adapter)


def _size_bytes(rows: Input) -> int:
    """Of the values, and of what does not come with them."""
    envelopes = [value.envelope for value in rows.values]
    return sum(one.size_bytes + sum(apart.size_bytes for apart in references_of(one.attributes)) for one in envelopes)


async def _write_bytes(task: FileTask, road: ArtifactRoad, rows: Input, path: Path, adapter: Adapter) -> None:
    """Of bytes, some of which are artifacts."""
    file = InputFile(task, rows.link, path, OPAQUE_SCHEMA, adapter)
    try:
        for value in rows.values:
            if (artifact := bytes_of(task, rows.link, value.envelope)) is not None:
                await file.copy(road, artifact)
                continue
            for batch in (await value.loaded()).to_table().to_batches():
                await in_thread(file.write, batch)
        file.end()
    finally:
        file.drop()


def _write_rows(task: FileTask, rows: Input, path: Path, adapter: Adapter) -> None:
    message = rows.schema_message()
    tables = [value.to_table() for value in rows.values]
    for table in tables:
        table.validate(full=True)
    schema = pa.ipc.read_schema(pa.py_buffer(message)) if message else pa.schema([])
    whole = together(tables, link=rows.link) if tables else schema.empty_table()
    file = InputFile(task, rows.link, path, whole.schema, adapter)
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
        async with (
            connected(dial) as connection,
            artifact_road(connection) as road,
            guarding() as guard,
            task_snapshots(task, connection) as snapshots,
        ):
            try:
                async with asyncio.TaskGroup() as group:
                    attending = group.create_task(attend(connection), name=f"linkd attend of {task.name}")
                    code = await EachRuns(task, connection, road, snapshots, guard, scratch, group).run()
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
