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

from linkd.client.artifacts import ArtifactRoad
from linkd.client.calls import Connection, Dial
from linkd.client.large_values import whole
from linkd.client.payloads import Arrived, Publish
from linkd.client.worker import Complete, ValueStream, WholeSnapshot, commit, connected, publishing, whole_snapshot
from linkd.core.artifact_references import ATTRIBUTE
from linkd.core.evolution import united
from linkd.core.schema import OPAQUE_SCHEMA
from linkd.errors import EXIT_DONE, EXIT_TASK_FAILED, DataFault, Overloaded, StorageFull, TaskFailed, UsageFault
from linkd.faces.files.contents import artifact_road, bytes_of, file_in, second_file
from linkd.faces.files.directories import Left, RunDirectories, RunDirectory, removed, take_outputs, translated
from linkd.faces.files.execution import run_program, say
from linkd.faces.files.failed_runs import keep
from linkd.faces.files.guard import Guard, guarding
from linkd.faces.files.room import while_there_is_room
from linkd.faces.files.threads import in_thread
from linkd.faces.files.whole_files import ColumnsGrew, InputFile, output_values
from linkd.faces.files.work import FILE_FORMAT, IN_VARIABLE, RAW, FileTask
from linkd.limits import INLINE_PAYLOAD_MAX_BYTES, OUTPUT_ROOM_TIMEOUT_S, SOURCE_WINDOW_PUBLISHES
from linkd.model.values import Envelope
from linkd.plugin.contract import Adapter
from linkd.plugin.registry import FILE, installed_adapters
from linkd.query.scratch import scratch_directory
from linkd.wire.messages import envelope_of
from linkd.wire.v1 import links_pb2 as pb


class InputFiles:
    """Takes the values of a snapshot into the files of a run. `schemas` has the columns of inputs that grew while they came, and is kept up."""

    def __init__(
        self,
        task: FileTask,
        connection: Connection,
        road: ArtifactRoad,
        directory: RunDirectory,
        adapter: Adapter,
        schemas: dict[str, pa.Schema],
    ) -> None:
        self._task = task
        self._connection = connection
        self._road = road
        self._directory = directory
        self._adapter = adapter
        self._schemas = schemas
        self._files: dict[str, InputFile] = {}
        self._given: set[str] = set()
        """Wires of which the one value, a file, is there."""

    async def start_over(self) -> None:
        for wire, file in self._files.items():
            file.drop()
            self._path(wire).unlink(missing_ok=True)
        self._files.clear()
        for wire in self._given:
            await in_thread(removed, self._path(wire))
        self._given.clear()

    async def take(self, value: Arrived) -> None:
        """Raises ColumnsGrew, when the snapshot is to be taken again, from its first value; SchemaMismatch, TaskFailed for what cannot be given."""
        wire, kind = value.header.input, self._task.terms.formats[value.header.input]
        if kind == FILE_FORMAT:
            await self._give(wire, envelope_of(value.header.envelope))
            return
        if kind == RAW and ATTRIBUTE in value.header.envelope.attributes:
            artifact = bytes_of(self._task, wire, envelope_of(value.header.envelope))
            if artifact is not None:
                await (self._files.get(wire) or self._open(wire, OPAQUE_SCHEMA)).copy(self._road, artifact)
                return
        value = await whole(self._connection, value)
        if value.size_bytes > INLINE_PAYLOAD_MAX_BYTES:
            await in_thread(self._take, value)
        else:
            self._take(value)

    def end(self, schemas: Mapping[str, bytes]) -> None:
        """All values came: the files are complete. `schemas` has the schema messages of inputs that hold none."""
        for wire in self._task.inputs:
            if self._task.terms.formats[wire] == FILE_FORMAT:
                continue
            if wire not in self._files:
                message = schemas.get(wire, b"")
                self._open(wire, pa.ipc.read_schema(pa.py_buffer(message)) if message else pa.schema([]))
            self._files[wire].end()

    def close(self) -> None:
        """Nothing more is written; complete files stay."""
        for file in self._files.values():
            file.drop()

    async def _give(self, wire: str, envelope: Envelope) -> None:
        artifact = file_in(self._task, wire, envelope)
        if wire in self._given:
            raise second_file(self._task, wire, envelope)
        self._given.add(wire)
        with translated(f"${IN_VARIABLE}/{self._task.file_name(wire)}"):
            await self._road.save(artifact, self._path(wire))

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
    """The runs of one task in this process, one after the other. Outputs that wait for disk do so for about `room_timeout_s`."""

    room_timeout_s = OUTPUT_ROOM_TIMEOUT_S

    def __init__(self, task: FileTask, connection: Connection, road: ArtifactRoad, guard: Guard, scratch: Path) -> None:
        self._task = task
        self._connection = connection
        self._road = road
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
            inputs = InputFiles(self._task, self._connection, self._road, directory, self._adapter, self._schemas)
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
        fits = True
        async with publishing(self._connection, SOURCE_WINDOW_PUBLISHES) as stream:
            try:
                async with coming.held(complete):
                    ended = await run_program(self._task, directory, self._guard, complete.traceparent)
                    if ended.code == EXIT_DONE:
                        left = await in_thread(take_outputs, self._task, directory)
                        staging = self._stage(stream, coming, complete, left)
                        await while_there_is_room(
                            self._connection, self._task, directory, staging, lambda: len(stream.staged), self.room_timeout_s
                        )
                    reason, code = ended.reason, ended.code
            except (TaskFailed, DataFault, UsageFault) as error:
                reason, code = error.message, EXIT_TASK_FAILED
                say(reason)
            except (StorageFull, Overloaded) as error:
                reason, code, fits = f"{self._task.name}: {error.message}", EXIT_TASK_FAILED, False
                say(reason)
            if code != EXIT_DONE:
                if fits:  # else what is kept would be what there is no room for
                    say(f"{self._task.name}: {await in_thread(keep, self._task, directory, complete.snapshot_id)}")
                await coming.give_back(complete, reason)
                return code
            await in_thread(self._directories.empty, directory)
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
            async with aclosing(output_values(self._connection, self._road, self._task, wire, path, known, self._adapter)) as made:
                async for values in made:
                    await stream.stage(Publish(wire, values.payloads, values.attributes, complete.snapshot_id, complete.token))
        await stream.flush()


async def run_whole(task: FileTask, dial: Dial, room_timeout_s: float = OUTPUT_ROOM_TIMEOUT_S) -> int:
    """Runs the task once, in a run that follows whenever it begins again: the exit code, when nothing more can come or a run failed.

    Raises errors of the tree. Cancelling takes nothing.
    """
    with scratch_directory(task.spill_directory) as scratch:
        async with connected(dial) as connection, artifact_road(connection) as road, guarding() as guard:
            runs = WholeRuns(task, connection, road, guard, scratch)
            runs.room_timeout_s = room_timeout_s
            return await runs.run()
