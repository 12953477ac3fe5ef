"""A program that runs once over whole inputs, some of its files being streams: `files: stream`.

Each stream has a thread and a pipe of its own, so the program may take and give them in any order. Nothing is committed before it has exited
with code 0, and then all of it at once, streams and files.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace

from linkd.client.artifacts import ArtifactRoad
from linkd.client.calls import Connection, Dial
from linkd.client.discovery import TRACE_VARIABLE
from linkd.client.worker import Complete, WholeSnapshot, connected
from linkd.errors import EXIT_DONE, Error
from linkd.faces.files.contents import artifact_road
from linkd.faces.files.directories import RunDirectory, take_outputs, translated
from linkd.faces.files.execution import Ended, ended, say
from linkd.faces.files.fifo import Fifo
from linkd.faces.files.formats import StreamFormat
from linkd.faces.files.guard import guarding
from linkd.faces.files.pipe import PipeRuns, StagedRun
from linkd.faces.files.program import Program, running
from linkd.faces.files.program_output import program_output
from linkd.faces.files.stream_ends import PipeEnd, Receiving, Sending
from linkd.faces.files.stream_inputs import HeldValues
from linkd.faces.files.stream_work import Taken, send, take
from linkd.faces.files.whole_files import InputFile, output_values
from linkd.faces.files.work import FILE_FORMAT, IN_VARIABLE, FileTask
from linkd.limits import FIFO_OPEN_TIMEOUT_S
from linkd.plugin.registry import FILE, installed_adapters
from linkd.query.scratch import scratch_directory


class FifoRuns(PipeRuns):
    """As `PipeRuns`, with files. An input that is a stream must be opened within `open_timeout_s` in which nothing moves."""

    open_timeout_s = FIFO_OPEN_TIMEOUT_S

    async def _pipe(
        self, coming: WholeSnapshot, complete: Complete, held: HeldValues, directory: RunDirectory, staged: StagedRun
    ) -> tuple[int, str]:
        for wire in self._task.inputs:
            if (artifact := held.file(wire)) is not None and self._task.terms.formats[wire] == FILE_FORMAT:
                with translated(f"${IN_VARIABLE}/{wire}"):
                    await self._road.save(artifact, directory.inputs / self._task.file_name(wire))
        run = FifoRun(self._task, complete, held, directory, staged, coming, self.open_timeout_s)
        await asyncio.to_thread(run.prepare)
        environment = {**self._task.environment, **directory.variables}
        if complete.traceparent:
            environment[TRACE_VARIABLE] = complete.traceparent
        try:
            async with program_output() as output, asyncio.TaskGroup() as group:
                async with running(
                    self._task.command,
                    directory=self._task.directory,
                    environment=environment,
                    guard=self._guard,
                    stdout=output.descriptor,
                    stderr=output.descriptor,
                ) as program:
                    output.started()
                    reading = group.create_task(output.pass_on(), name=f"linkd output of {self._task.name}")
                    code, error = await run.until_over(program, group)
                await output.last_words(reading)
                reading.cancel()
                if error is not None and code == EXIT_DONE:
                    raise error
                how: Ended = ended(output, code)
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
        if how.code == EXIT_DONE:
            await run.stage_files(self._connection, self._road)
            await staged.named()
        return how.code, how.reason


class FifoRun:
    """One run of the program, and its streams."""

    def __init__(
        self,
        task: FileTask,
        complete: Complete,
        held: HeldValues,
        directory: RunDirectory,
        staged: StagedRun,
        coming: WholeSnapshot,
        open_timeout_s: float,
    ) -> None:
        self._open_timeout_s = open_timeout_s
        self._task = task
        self._held = held
        self._directory = directory
        self._staged = staged
        self._schemas = {wire: held.schema(wire, complete.schemas) for wire in task.inputs}
        self._outputs = coming.context.outputs
        self._adapter = installed_adapters().named(FILE)
        self._inputs: list[Fifo] = []
        self._made: list[Fifo] = []
        self._opened: set[Fifo] = set()
        self._ends: list[PipeEnd] = []

    def prepare(self) -> None:
        """The FIFOs, and the files of what is whole. Raises SchemaMismatch, StorageFailed."""
        for wire in self._task.inputs:
            if self._task.terms.modes[wire] == "stream":
                self._inputs.append(Fifo(self._task, wire, self._directory, is_input=True))
            elif self._task.terms.formats[wire] != FILE_FORMAT:
                self._write(wire)
        for wire in self._task.outputs:
            if self._task.terms.modes[wire] == "stream":
                self._made.append(Fifo(self._task, wire, self._directory, is_input=False))

    async def until_over(self, program: Program, group: asyncio.TaskGroup) -> tuple[int, Error | None]:
        """How the program ended, and why a stream of it cannot be taken, if that is so. Raises TaskFailed for one opened twice, or not at all."""
        waiting = group.create_task(program.wait(), name=f"linkd end of {self._task.name}")
        feeding = [group.create_task(self._feed(fifo, program), name=f"linkd input {fifo.wire}") for fifo in self._inputs]
        taking = [group.create_task(self._take(fifo, program), name=f"linkd rows of {fifo.wire}") for fifo in self._made]
        traps = [group.create_task(fifo.opened_again(), name=f"linkd second {fifo.wire}") for fifo in (*self._inputs, *self._made)]
        try:
            pending: set[asyncio.Task[object]] = {waiting, *taking}
            while waiting in pending:
                over, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                for one in over - {waiting}:
                    taken = one.result()
                    if isinstance(taken, Taken) and taken.error is not None and not taken.at_end:
                        return EXIT_DONE, taken.error
            if (code := waiting.result()) != EXIT_DONE:
                return code, None
            for fifo in self._made:
                if fifo not in self._opened:
                    raise fifo.not_opened("exited with code 0 and never opened")
            for fifo in self._inputs:
                if fifo not in self._opened:
                    say(f"{self._task.name} exited with code 0 and never opened {fifo.shown}: nothing of {fifo.wire} was read")
            results = [await one for one in taking]
            return code, next((taken.error for taken in results if taken.error is not None), None)
        finally:
            for one in (*feeding, *taking, *traps, waiting):
                one.cancel()

    async def stage_files(self, connection: Connection, road: ArtifactRoad) -> None:
        """The outputs that are files. Raises TaskFailed, DataFault."""
        whole = tuple(wire for wire in self._task.outputs if self._task.terms.modes[wire] != "stream")
        for fifo in self._made:
            (self._directory.outputs / self._task.file_name(fifo.wire)).unlink(missing_ok=True)
        task = replace(self._task, outputs=whole)
        left = await asyncio.to_thread(take_outputs, task, self._directory)
        if note := left.note(task):
            say(note)
        for wire, path in left.files.items():
            async with aclosing(output_values(connection, road, task, wire, path, self._outputs[wire], self._adapter)) as made:
                async for values in made:
                    await self._staged.add_values(wire, values)

    def _write(self, wire: str) -> None:
        schema = self._schemas[wire]
        file = InputFile(self._task, wire, self._directory.inputs / self._task.file_name(wire), schema, self._adapter)
        try:
            for batch in self._held.batches(wire, schema):
                file.write(batch)
            file.end()
        finally:
            file.drop()

    async def _feed(self, fifo: Fifo, program: Program) -> None:
        opening = asyncio.create_task(fifo.opened(program.pid), name=f"linkd open {fifo.wire}")
        try:
            seen = -1
            while not (await asyncio.wait((opening,), timeout=self._open_timeout_s))[0]:
                if seen == self._moved_bytes:
                    raise fifo.not_opened(f"has for {self._open_timeout_s:g} s not opened")
                seen = self._moved_bytes
            end = Sending(opening.result())
        finally:
            if not opening.done():
                opening.cancel()
                await asyncio.wait((opening,))
        self._ends.append(end)
        self._opened.add(fifo)
        schema = self._schemas[fifo.wire]
        parts = self._format(fifo).encoded(self._held.batches(fifo.wire, schema), schema)
        await send(end, parts, fifo.wire)

    async def _take(self, fifo: Fifo, program: Program) -> Taken:
        end = Receiving(await fifo.opened(program.pid))
        self._ends.append(end)
        self._opened.add(fifo)
        batches = self._format(fifo).decoded(end, self._outputs[fifo.wire], None, self._directory.taken)
        return await take(end, batches, lambda batch: self._staged.add(fifo.wire, batch), fifo.wire)

    @property
    def _moved_bytes(self) -> int:
        return sum(end.moved_bytes for end in self._ends)

    def _format(self, fifo: Fifo) -> StreamFormat:
        return StreamFormat(fifo.wire, self._task.terms.formats[fifo.wire], self._task.terms.header, fifo.shown, self._adapter, say)


async def run_fifos(task: FileTask, dial: Dial, open_timeout_s: float = FIFO_OPEN_TIMEOUT_S) -> int:
    """Runs the program over its whole inputs, in a run that follows whenever it begins again: the exit code.

    Raises errors of the tree. Cancelling takes nothing.
    """
    with scratch_directory(task.spill_directory) as scratch:
        async with connected(dial) as connection, artifact_road(connection) as road, guarding() as guard:
            runs = FifoRuns(task, connection, road, guard, scratch)
            runs.open_timeout_s = open_timeout_s
            return await runs.run()
