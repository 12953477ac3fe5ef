"""One run of a program: in its directories, under a guard, what it prints passed on."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from linkd.client.discovery import TRACE_VARIABLE
from linkd.core.exit_codes import ending
from linkd.faces.files.directories import RunDirectory
from linkd.faces.files.guard import Guard
from linkd.faces.files.program import running
from linkd.faces.files.program_output import ProgramOutput, program_output
from linkd.faces.files.work import FileTask
from linkd.model.frozen import frozen

_KILLED_BY = 128
"""What shells add to the number of the signal that killed a program."""


@frozen()
class Ended:
    """How a run ended: its exit code as shells have it, and how, with the last lines of what it printed."""

    code: int
    reason: str


async def run_program(task: FileTask, directory: RunDirectory, guard: Guard, traceparent: str = "") -> Ended:
    """Runs the program to its end. Raises TaskFailed where it cannot be started. Cancelling ends all of it."""
    environment = {**task.environment, **directory.variables}
    if traceparent:
        environment[TRACE_VARIABLE] = traceparent
    async with program_output() as output, asyncio.TaskGroup() as group:
        descriptor = output.descriptor
        with _filtered(task, directory) if task.terms.is_pipe else nullcontext((None, descriptor)) as (stdin, stdout):
            started = running(
                task.command,
                directory=task.directory,
                environment=environment,
                guard=guard,
                stdin=subprocess.DEVNULL if stdin is None else stdin,
                stdout=stdout,
                stderr=descriptor,
            )
            async with started as program:
                output.started()
                reading = group.create_task(output.pass_on(), name=f"linkd output of {task.name}")
                code = await program.wait()
        await output.last_words(reading)
        reading.cancel()
    return ended(output, code)


@contextmanager
def _filtered(task: FileTask, directory: RunDirectory) -> Iterator[tuple[int, int]]:
    """Of a pipe that runs for each snapshot: the files of its input and its output, open as its standard input and output."""
    [wire], [output] = task.inputs, task.outputs
    with (
        (directory.inputs / task.file_name(wire)).open("rb", buffering=0) as given,
        (directory.outputs / task.file_name(output)).open("xb", buffering=0) as made,
    ):
        yield given.fileno(), made.fileno()


def ended(output: ProgramOutput, code: int) -> Ended:
    """How a program ended that printed this and exited so (negative: by a signal)."""
    return Ended(code if code >= 0 else _KILLED_BY - code, output.reason(ending(code)))


def say(text: str) -> None:
    """To the log of the task."""
    print(text, file=sys.stderr, flush=True)
