"""A filter that runs once over its whole input: `pipe:`. One run, one commit.

The values of the input are held until all of them are there; then they go into the program, and what comes out is staged as it comes: neither is
ever in memory as a whole. It is committed when the program has exited with code 0, with its lineage and the seal of the output in one frame; a
run that fails leaves nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from linkd.client.artifacts import ArtifactRoad
from linkd.client.background import Background
from linkd.client.calls import Connection, Dial
from linkd.client.payloads import Publish
from linkd.client.publish_stream import PublishStream
from linkd.client.publishing import KnownSchema
from linkd.client.worker import Complete, WholeSnapshot, commit, connected, whole_snapshot
from linkd.errors import EXIT_DONE, EXIT_TASK_FAILED, DataFault, Overloaded, StorageFull, TaskFailed, UsageFault
from linkd.faces.files.contents import OutputValues, artifact_road
from linkd.faces.files.directories import RunDirectories, RunDirectory
from linkd.faces.files.execution import say
from linkd.faces.files.formats import StreamFormat
from linkd.faces.files.guard import Guard, guarding
from linkd.faces.files.pipe_run import run_pipe_once
from linkd.faces.files.room import while_there_is_room
from linkd.faces.files.stream_inputs import HeldValues
from linkd.faces.files.whole_files import batch_values
from linkd.faces.files.work import FileTask
from linkd.limits import OUTPUT_ROOM_TIMEOUT_S
from linkd.plugin.registry import FILE, installed_adapters
from linkd.query.scratch import scratch_directory
from linkd.wire.v1 import links_pb2 as pb


class StagedRun:
    """What one run stages for its commit, as it comes; `outputs` has what is known of their columns."""

    def __init__(self, connection: Connection, stream: PublishStream, complete: Complete, outputs: dict[str, KnownSchema]) -> None:
        self._connection = connection
        self._stream = stream
        self._complete = complete
        self._outputs = dict(outputs)
        self._answers: list[asyncio.Future[Any]] = []

    async def add(self, wire: str, batch: pa.RecordBatch) -> None:
        """Waits while too much is on its way. Raises SchemaMismatch, and what an earlier piece was refused with."""
        await self.add_values(wire, await batch_values(self._connection, wire, batch, self._outputs[wire]))

    async def add_values(self, wire: str, values: OutputValues) -> None:
        """As `add`, of values that are made already."""
        self._outputs[wire] = KnownSchema(values.payloads[-1].schema, self._outputs[wire].declared)
        if self._answers and self._answers[-1].done():
            self._answers[-1].result()
        publish = Publish(wire, values.payloads, values.attributes, self._complete.snapshot_id, self._complete.token)
        self._answers.append(await self._stream.send(publish))

    @property
    def taken(self) -> int:
        """Pieces that are on their way, or with the home."""
        return len(self._answers)

    async def named(self) -> list[Any]:
        """What the commit names, when all of it is staged."""
        return [staged for answer in self._answers for staged in (await answer).staged]


@asynccontextmanager
async def staged_run(connection: Connection, complete: Complete, outputs: dict[str, KnownSchema]) -> AsyncIterator[StagedRun]:
    """For the length of the block; what is not committed by its end is dropped."""
    background = Background()
    stream = PublishStream(connection, background, "linkd stage")
    try:
        yield StagedRun(connection, stream, complete, outputs)
    finally:
        await stream.close()
        await background.close()


class PipeRuns:
    """The runs of one pipe in this process, one after the other."""

    def __init__(self, task: FileTask, connection: Connection, road: ArtifactRoad, guard: Guard, scratch: Path) -> None:
        self._task = task
        self._connection = connection
        self._road = road
        self._guard = guard
        self._directories = RunDirectories(scratch)

    async def run(self) -> int:
        """Until no further snapshot can come, or a run failed: the exit code."""
        async with whole_snapshot(self._connection, self._task.name, says_started=True) as coming:
            while (code := await self._run_once(coming)) == EXIT_DONE:
                pass
        return EXIT_DONE if code is None else code

    async def _run_once(self, coming: WholeSnapshot) -> int | None:
        """One snapshot, from its first value to the commit: the exit code of its program, None if there was none."""
        directory = self._directories.take()
        held = HeldValues(self._task, self._connection, directory.inputs)
        try:
            complete = await coming.receive(held)
            return None if complete is None else await self._work(coming, complete, held, directory)
        finally:
            held.close()
            self._directories.give_back(directory)

    async def _work(self, coming: WholeSnapshot, complete: Complete, held: HeldValues, directory: RunDirectory) -> int:
        async with staged_run(self._connection, complete, coming.context.outputs) as staged:
            try:
                async with coming.held(complete):
                    work = self._pipe(coming, complete, held, directory, staged)
                    code, reason = await while_there_is_room(
                        self._connection, self._task, directory, work, lambda: staged.taken, OUTPUT_ROOM_TIMEOUT_S
                    )
            except (TaskFailed, DataFault, UsageFault) as error:
                code, reason = EXIT_TASK_FAILED, error.message
                say(reason)
            except (StorageFull, Overloaded) as error:
                code, reason = EXIT_TASK_FAILED, f"{self._task.name}: {error.message}"
                say(reason)
            if code != EXIT_DONE:
                await coming.give_back(complete, reason)
                return code
            request = pb.CommitRequest(
                snapshot_id=complete.snapshot_id, token=complete.token, staged=await staged.named(), final=True, task=self._task.name
            )
            await commit(self._connection, request, complete.traceparent)
        return EXIT_DONE

    async def _pipe(
        self, coming: WholeSnapshot, complete: Complete, held: HeldValues, directory: RunDirectory, staged: StagedRun
    ) -> tuple[int, str]:
        """Exit code and reason; with code 0 all of the output is staged."""
        [wire], [output] = self._task.inputs, self._task.outputs
        schema, known = held.schema(wire, complete.schemas), coming.context.outputs[output]
        given, made = stream_format(self._task, wire, "stdin"), stream_format(self._task, output, "stdout")
        ended = await run_pipe_once(
            self._task,
            self._guard,
            given.encoded(held.batches(wire, schema), schema),
            lambda source: made.decoded(source, known, schema, directory.taken),
            lambda batch: staged.add(output, batch),
            complete.traceparent,
        )
        if ended.code == EXIT_DONE:
            await staged.named()
        return ended.code, ended.reason


def stream_format(task: FileTask, wire: str, shown: str) -> StreamFormat:
    """How a wire of the task stands on its standard input or output."""
    return StreamFormat(wire, task.terms.formats[wire], task.terms.header, f"{task.name} ({shown})", installed_adapters().named(FILE), say)


async def run_pipe(task: FileTask, dial: Dial) -> int:
    """Runs the filter over its whole input, in a run that follows whenever it begins again: the exit code.

    Raises errors of the tree. Cancelling takes nothing.
    """
    with scratch_directory(task.spill_directory) as scratch:
        async with connected(dial) as connection, artifact_road(connection) as road, guarding() as guard:
            return await PipeRuns(task, connection, road, guard, scratch).run()
