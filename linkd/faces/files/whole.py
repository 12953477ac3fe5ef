"""A program that runs once over whole inputs: files for it, one run, one commit.

The files of the inputs are written as their values come, and are complete before the program starts. What it wrote is staged when it has exited
with code 0, and committed with its lineage and the seals of its outputs in one frame; a run that fails leaves nothing. In a run that follows
there is one such snapshot after the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing
from pathlib import Path

import pyarrow as pa

from linkd.client.calls import Connection, Dial
from linkd.client.payloads import Arrived, Publish
from linkd.client.publishing import KnownSchema
from linkd.client.worker import Complete, ValueStream, WholeSnapshot, commit, connected, publishing, whole_snapshot
from linkd.core.evolution import united
from linkd.errors import EXIT_DONE, EXIT_TASK_FAILED, DataFault, TaskFailed, UsageFault
from linkd.faces.files.directories import Left, RunDirectories, RunDirectory, take_outputs
from linkd.faces.files.execution import run_program, say
from linkd.faces.files.failed_runs import keep
from linkd.faces.files.guard import Guard, guarding
from linkd.faces.files.threads import in_thread
from linkd.faces.files.whole_files import ColumnsGrew, InputFile, output_batches, output_payloads
from linkd.faces.files.work import FileTask
from linkd.limits import INLINE_PAYLOAD_MAX_BYTES, SOURCE_WINDOW_PUBLISHES
from linkd.plugin.contract import Adapter
from linkd.plugin.registry import FILE, installed_adapters
from linkd.query.scratch import scratch_directory
from linkd.wire.v1 import links_pb2 as pb


class InputFiles:
    """Takes the values of a snapshot into the files of a run. `schemas` has the columns of inputs that grew while they came, and is kept up."""

    def __init__(self, task: FileTask, directory: RunDirectory, adapter: Adapter, schemas: dict[str, pa.Schema]) -> None:
        self._task = task
        self._directory = directory
        self._adapter = adapter
        self._schemas = schemas
        self._files: dict[str, InputFile] = {}

    async def start_over(self) -> None:
        for wire, file in self._files.items():
            file.drop()
            self._path(wire).unlink(missing_ok=True)
        self._files.clear()

    async def take(self, value: Arrived) -> None:
        """Raises ColumnsGrew; the snapshot is to be taken again then, from its first value."""
        if value.size_bytes > INLINE_PAYLOAD_MAX_BYTES:
            await in_thread(self._take, value)
        else:
            self._take(value)

    def end(self, schemas: Mapping[str, bytes]) -> None:
        """All values came: the files are complete. `schemas` has the schema messages of inputs that hold none."""
        for wire in self._task.inputs:
            if wire not in self._files:
                message = schemas.get(wire, b"")
                self._open(wire, pa.ipc.read_schema(pa.py_buffer(message)) if message else pa.schema([]))
            self._files[wire].end()

    def close(self) -> None:
        """Nothing more is written; complete files stay."""
        for file in self._files.values():
            file.drop()

    def _take(self, value: Arrived) -> None:
        wire, batch = value.header.input, value.batch(validate=True)
        file = self._files.get(wire) or self._open(wire, batch.schema)
        try:
            file.write(batch)
        except ColumnsGrew:
            self._schemas[wire] = united((file.schema, batch.schema))
            raise

    def _open(self, wire: str, schema: pa.Schema) -> InputFile:
        schema = self._schemas.get(wire, schema)
        file = self._files[wire] = InputFile(self._task, wire, self._path(wire), schema, self._adapter)
        return file

    def _path(self, wire: str) -> Path:
        return self._directory.inputs / self._task.file_name(wire)


class WholeRuns:
    """The runs of one task in this process, one after the other."""

    def __init__(self, task: FileTask, connection: Connection, guard: Guard, scratch: Path) -> None:
        self._task = task
        self._connection = connection
        self._guard = guard
        self._directories = RunDirectories(scratch)
        self._adapter = installed_adapters().named(FILE)
        self._schemas: dict[str, pa.Schema] = {}

    async def run(self) -> int:
        """Until no further snapshot can come, or a run failed: the exit code."""
        while True:
            try:
                async with whole_snapshot(self._connection, self._task.name, says_started=True) as coming:
                    while (code := await self._run_once(coming)) == EXIT_DONE:
                        self._schemas.clear()
                    return EXIT_DONE if code is None else code
            except ColumnsGrew:
                continue

    async def _run_once(self, coming: WholeSnapshot) -> int | None:
        """One snapshot, from its first value to the commit: the exit code of its program, None if there was none."""
        directory = self._directories.take()
        try:
            inputs = InputFiles(self._task, directory, self._adapter, self._schemas)
            try:
                complete = await coming.receive(inputs)
                if complete is None:
                    return None
                await in_thread(inputs.end, complete.schemas)
            finally:
                inputs.close()
            return await self._work(coming, complete, directory)
        finally:
            await in_thread(self._directories.give_back, directory)

    async def _work(self, coming: WholeSnapshot, complete: Complete, directory: RunDirectory) -> int:
        async with publishing(self._connection, SOURCE_WINDOW_PUBLISHES) as stream:
            try:
                async with coming.held(complete):
                    ended = await run_program(self._task, directory, self._guard, complete.traceparent)
                    if ended.code == EXIT_DONE:
                        await self._stage(stream, coming, complete, await in_thread(take_outputs, self._task, directory))
                    reason, code = ended.reason, ended.code
            except (TaskFailed, DataFault, UsageFault) as error:
                reason, code = error.message, EXIT_TASK_FAILED
                say(error.message)
            if code != EXIT_DONE:
                say(f"{self._task.name}: {await in_thread(keep, self._task, directory, complete.snapshot_id)}")
                await coming.give_back(complete, reason)
                return code
            request = pb.CommitRequest(
                snapshot_id=complete.snapshot_id, token=complete.token, staged=stream.staged, final=True, task=self._task.name
            )
            await commit(self._connection, request, complete.traceparent)
        return EXIT_DONE

    async def _stage(self, stream: ValueStream, coming: WholeSnapshot, complete: Complete, left: Left) -> None:
        if note := left.note(self._task):
            say(note)
        for wire, path in left.files.items():
            known = coming.context.outputs[wire]
            async with aclosing(output_batches(self._task, wire, path, known, self._adapter)) as batches:
                async for batch in batches:
                    payloads = await in_thread(output_payloads, wire, batch, known)
                    known = KnownSchema(payloads[-1].schema, known.declared)
                    await stream.stage(Publish(wire, payloads, {}, complete.snapshot_id, complete.token))
        await stream.flush()


async def run_whole(task: FileTask, dial: Dial) -> int:
    """Runs the task once, in a run that follows whenever it begins again: the exit code, when nothing more can come or a run failed.

    Raises errors of the tree. Cancelling takes nothing.
    """
    with scratch_directory(task.spill_directory) as scratch:
        async with connected(dial) as connection, guarding() as guard:
            return await WholeRuns(task, connection, guard, scratch).run()
