"""A filter that reads on as values come, one process for all of them: `commit: line`, `commit: none`.

    line    a value is done, with the rows that came out meanwhile, when its rows have come and are followed by none for `LINE_QUIET_S`; or, if none
            came, when the program has read all of the next value. So nothing is lost in a crash that a filter does which writes its lines before
            it reads on (`grep --line-buffered`, `sed -u`), and what it had in hand is done again.
    none    a value is done when the program is given the next one, whatever becomes of it: with the rows that have come by then.

That the program has read what it was given is known by a pipe of one page, which takes more only when it is empty. The rows have the columns that
the output's link declares or has, else those of the input.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import pyarrow as pa

from linkd.client.calls import Connection, Dial
from linkd.client.snapshots import Snapshot, Snapshots, known_schema, stage
from linkd.client.worker import connected
from linkd.core.evolution import together
from linkd.errors import EXIT_DONE, EXIT_TASK_FAILED, DataFault, SchemaMismatch, TaskFailed, UsageFault
from linkd.faces.files.contents import artifact_road
from linkd.faces.files.each import task_snapshots
from linkd.faces.files.execution import Ended, ended, say
from linkd.faces.files.guard import Guard, guarding
from linkd.faces.files.pipe import stream_format
from linkd.faces.files.program import Program, running
from linkd.faces.files.program_output import program_output
from linkd.faces.files.stream_ends import Receiving, Sending
from linkd.faces.files.stream_work import in_pipe_thread
from linkd.faces.files.whole_files import batch_values
from linkd.faces.files.work import FileTask
from linkd.limits import LINE_LAST_QUIET_S, LINE_QUIET_S, PAGE_BYTES
from linkd.plugin.streaming import RowDecoder


@dataclass(slots=True)
class Coming:
    """What the run waits for: rows, and the next snapshot or that the program has read the last one."""

    readable: asyncio.Future[None]
    snapshot: asyncio.Task[Snapshot | None] | None = None
    read: asyncio.Task[bool] | None = None

    async def wait(self, timeout_s: float | None) -> bool:
        """Whether anything of it is there, within the time."""
        waiting = [one for one in (self.readable, self.snapshot, self.read) if one is not None]
        return bool((await asyncio.wait(waiting, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED))[0])

    async def cancel(self) -> None:
        for one in (self.readable, self.snapshot, self.read):
            if one is not None:
                one.cancel()
        if self.read is not None:
            await asyncio.wait((self.read,))


class LineRun:
    """The one run of an endless filter. `hand` is the snapshot that rows are published in, `given` the one that the program was given last."""

    def __init__(self, task: FileTask, connection: Connection, snapshots: Snapshots, sending: Sending, receiving: Receiving) -> None:
        self._task = task
        self._connection = connection
        self._snapshots = snapshots
        self._sending = sending
        self._receiving = receiving
        self._decoder: RowDecoder | None = None
        self._columns = pa.schema([])
        self._hand: Snapshot | None = None
        self._given: Snapshot | None = None
        self._has_rows = False

    async def work(self) -> None:
        """Until the program writes no more. Raises TaskFailed, DataFault; what is in hand is to be settled then."""
        coming = Coming(self._readable(), self._next())
        try:
            while not self._receiving.at_end:
                if not await coming.wait(self._quiet_s if coming.read is None and self._hand is not None else None):
                    await self.settle()
                    continue
                if coming.readable.done():
                    await self._publish()
                    coming.readable = self._readable()
                if coming.snapshot is not None and coming.snapshot.done():
                    await self._give(coming, coming.snapshot.result())
                elif coming.read is not None and coming.read.done():
                    await self._was_read(coming, coming.read.result())
        finally:
            await coming.cancel()
            asyncio.get_running_loop().remove_reader(self._receiving.descriptor)

    async def settle(self) -> None:
        """Commits what is in hand."""
        snapshot, self._hand, self._has_rows = self._hand, None, False
        if snapshot is not None:
            await snapshot.__aexit__(None, None, None)

    async def finish(self) -> None:
        """The program has succeeded: its last row, where it left it without an end, and what is in hand."""
        if self._decoder is not None:
            await self._stage(self._decoder.fed_all(self._columns))
        await self.settle()
        if self._given is not None and not self._given.settled:
            await self._given.__aexit__(None, None, None)

    async def give_back(self, reason: str) -> None:
        """It has failed: an attempt at what it was given and did not finish failed with it."""
        for snapshot in (self._given, self._hand):
            if snapshot is not None and not snapshot.settled:
                await snapshot.nack(reason=reason)

    @property
    def _quiet_s(self) -> float | None:
        """How long nothing may come until what is in hand is done. A run that ends does so behind the last value, whether rows come of it or not."""
        if self._has_rows and self._task.terms.commit == "line":
            return LINE_QUIET_S
        return None if self._task.follows else LINE_LAST_QUIET_S

    def _next(self) -> asyncio.Task[Snapshot | None]:
        return asyncio.create_task(self._snapshots.ahead(), name=f"linkd snapshots of {self._task.name}")

    def _readable(self) -> asyncio.Future[None]:
        """Done when there is something to read, or nothing any more."""
        loop = asyncio.get_running_loop()
        readable: asyncio.Future[None] = loop.create_future()

        def tell() -> None:
            loop.remove_reader(self._receiving.descriptor)
            if not readable.done():
                readable.set_result(None)

        loop.add_reader(self._receiving.descriptor, tell)
        return readable

    async def _give(self, coming: Coming, snapshot: Snapshot | None) -> None:
        """The program is given the next snapshot; behind the last its input ends."""
        coming.snapshot = None
        if snapshot is None:
            self._sending.close()
            return
        await snapshot.__aenter__()
        is_first, self._given = self._given is None, snapshot
        if self._task.terms.commit == "none":
            await self.settle()
        self._hand = self._hand or snapshot
        await snapshot[self._task.inputs[0]].loaded()
        parts = await asyncio.to_thread(self._parts, snapshot, is_first=is_first)
        coming.read = asyncio.create_task(
            in_pipe_thread(self._sending, lambda: self._sending.send(parts) and self._sending.drained()), name="linkd input of a pipe"
        )

    async def _was_read(self, coming: Coming, goes_on: bool) -> None:
        """The program has read all that it was given: what it had before is done, for it wrote that before."""
        await self._publish()
        coming.read = None
        if self._hand is not self._given:
            await self.settle()
            self._hand = self._given
        if goes_on:
            coming.snapshot = self._next()

    def _parts(self, snapshot: Snapshot, *, is_first: bool) -> list[bytes | memoryview]:
        """A snapshot's rows as the program reads them, the header before the first."""
        [wire], [output] = self._task.inputs, self._task.outputs
        rows = snapshot[wire]
        tables = [value.to_table() for value in rows.values]
        for table in tables:
            table.validate(full=True)
        schema = pa.ipc.read_schema(pa.py_buffer(rows.schema_message()))
        batches = together(tables, link=wire).to_batches() if tables else []
        if is_first:
            known = known_schema(snapshot, output)
            made = stream_format(self._task, output, "stdout")
            self._columns = pa.ipc.read_schema(pa.py_buffer(known.schema)) if known.schema else schema
            self._decoder = made.decoder(self._columns)
            self._given_columns = schema
        elif schema.names != self._given_columns.names:
            raise SchemaMismatch(f"{wire} has other columns now, and {self._task.name} reads on: write `commit: run`, or start it over")
        given = stream_format(self._task, wire, "stdin").encoded(iter(batches), schema)
        return list(given if is_first else _without_head(given))

    async def _publish(self) -> None:
        """What can be read now, as far as its rows are complete."""
        text = self._receiving.available()
        if text and self._decoder is not None:
            await self._stage(await asyncio.to_thread(self._decoder.fed, text, self._columns))

    async def _stage(self, batches: list[pa.RecordBatch]) -> None:
        [output] = self._task.outputs
        for batch in batches:
            if self._hand is None:
                remedy = "write `commit: run`, or let the program write its rows before it reads on"
                raise TaskFailed(f"{self._task.name} wrote rows when all that it had read was done already: {remedy}")
            values = await batch_values(self._connection, output, batch, known_schema(self._hand, output))
            await stage(self._hand, output, values.payloads, values.attributes)
            self._has_rows = True


def _without_head(parts: Iterator[bytes | memoryview]) -> Iterator[bytes | memoryview]:
    return islice(parts, 1, None)


async def run_pipe_lines(task: FileTask, dial: Dial) -> int:
    """Runs the filter for as long as values come: the exit code. Raises errors of the tree. Cancelling takes nothing of what is in hand."""
    async with (
        connected(dial) as connection,
        artifact_road(connection),
        guarding() as guard,
        task_snapshots(task, connection) as snapshots,
    ):
        stdin, into_program = os.pipe()
        out_of_program, stdout = os.pipe()
        sending, receiving = Sending(into_program, PAGE_BYTES), Receiving(out_of_program)
        run = LineRun(task, connection, snapshots, sending, receiving)
        try:
            how = await _run(task, guard, run, stdin, stdout)
            if how.code == EXIT_DONE:
                await run.finish()
        except (TaskFailed, DataFault, UsageFault) as error:
            say(error.message)
            how = Ended(EXIT_TASK_FAILED, error.message)
        finally:
            sending.close()
            receiving.close()
        if how.code != EXIT_DONE:
            await run.give_back(how.reason)
        return how.code


async def _run(task: FileTask, guard: Guard, run: LineRun, stdin: int, stdout: int) -> Ended:
    try:
        async with program_output() as output, asyncio.TaskGroup() as group:
            started = running(
                task.command,
                directory=task.directory,
                environment=task.environment,
                guard=guard,
                stdin=stdin,
                stdout=stdout,
                stderr=output.descriptor,
            )
            try:
                program: Program = await started.__aenter__()
            finally:
                os.close(stdin)
                os.close(stdout)
            try:
                output.started()
                reading = group.create_task(output.pass_on(), name=f"linkd output of {task.name}")
                await run.work()
                code = await program.wait()
            finally:
                await started.__aexit__(None, None, None)
            await output.last_words(reading)
            reading.cancel()
            return ended(output, code)
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
