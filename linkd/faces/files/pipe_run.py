"""One run of a pipe: the program with one input on its standard input, one output on its standard output, and its standard error for the log."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator

import pyarrow as pa

from linkd.client.discovery import TRACE_VARIABLE
from linkd.errors import EXIT_DONE, Error
from linkd.faces.files.execution import Ended, ended, say
from linkd.faces.files.guard import Guard
from linkd.faces.files.program import Program, running
from linkd.faces.files.program_output import program_output
from linkd.faces.files.stream_ends import Receiving, Sending
from linkd.faces.files.stream_work import Into, Taken, send, take
from linkd.faces.files.work import FileTask
from linkd.limits import OUTPUT_HELD_TOLD_AFTER_S

Decode = Callable[[Receiving], Iterator[pa.RecordBatch]]


async def run_pipe_once(
    task: FileTask, guard: Guard, parts: Iterator[bytes | memoryview], decode: Decode, into: Into, traceparent: str = ""
) -> Ended:
    """Runs the program to its end, gives it `parts`, and gives `into` what `decode` makes of what it writes.

    A program may leave its input unread. Raises TaskFailed where it cannot be started, DataFault for rows that cannot be taken or given, unless
    the program failed itself. Cancelling ends all of it.
    """
    environment = {**task.environment, **({TRACE_VARIABLE: traceparent} if traceparent else {})}
    stdin, into_program = os.pipe()
    out_of_program, stdout = os.pipe()
    sending, receiving = Sending(into_program), Receiving(out_of_program)
    theirs = [stdin, stdout]
    try:
        async with program_output() as output, asyncio.TaskGroup() as group:
            async with running(
                task.command,
                directory=task.directory,
                environment=environment,
                guard=guard,
                stdin=stdin,
                stdout=stdout,
                stderr=output.descriptor,
            ) as program:
                output.started()
                _close(theirs)
                reading = group.create_task(output.pass_on(), name=f"linkd output of {task.name}")
                feeding = group.create_task(send(sending, parts, task.name), name=f"linkd input of {task.name}")
                taking = group.create_task(take(receiving, decode(receiving), into, task.name), name=f"linkd rows of {task.name}")
                try:
                    code, error = await _until_over(task, program, taking)
                finally:
                    feeding.cancel()
                    taking.cancel()
            await output.last_words(reading)
            reading.cancel()
            if error is not None and code == EXIT_DONE:
                raise error
            return ended(output, code)
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    finally:
        _close(theirs)
        sending.close()
        receiving.close()


async def _until_over(task: FileTask, program: Program, taking: asyncio.Task[Taken]) -> tuple[int, Error | None]:
    """How the program ended, and why its output cannot be taken, if that is so. One that goes on behind rows that cannot be taken is ended."""
    waiting = asyncio.create_task(program.wait(), name=f"linkd end of {task.name}")
    try:
        await asyncio.wait((waiting, taking), return_when=asyncio.FIRST_COMPLETED)
        if taking.done() and (taken := taking.result()).error is not None and not taken.at_end:
            return EXIT_DONE, taken.error
        code = await waiting
        if code != EXIT_DONE:
            return code, None
        if not (await asyncio.wait((taking,), timeout=OUTPUT_HELD_TOLD_AFTER_S))[0]:
            say(f"{task.name} exited with code 0, but something it started still has its standard output open: it is waited for")
        return code, (await taking).error
    finally:
        waiting.cancel()


def _close(descriptors: list[int]) -> None:
    while descriptors:
        os.close(descriptors.pop())
