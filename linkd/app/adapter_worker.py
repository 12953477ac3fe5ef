"""The process of a pipeline's sources and sinks: an ordinary client of the home, started by the supervisor of a run.

    python -m linkd.app.adapter_worker

It gets its settings as one JSON line on its standard input: `endpoint`, `token` (of the role `adapters`), `pipeline` (path of the file) and
`traceparent`. It runs every source and sink that is not complete, all at once, and tells of it in the lines of `adapter_events`. It ends
when all of them are done (0), when one has failed and the others have finished what they hold (the error's exit code), and when its
standard input closes, for then the supervisor is gone, or on TERM (130).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from linkd.app.adapter_events import WORKER, AdapterEvents
from linkd.app.pipeline_file import load_pipeline
from linkd.app.sinks import SinkWork
from linkd.app.sources import SourceWork
from linkd.client.calls import Connection, Endpoint
from linkd.client.description import Description
from linkd.client.worker import connected, described, dial_to
from linkd.core.pipeline import LinkSpec, Pipeline
from linkd.core.rights import sink_task, source_task
from linkd.errors import EXIT_DONE, EXIT_INTERRUPTED, ConnectionFault, Error, InternalFault, InvalidArgument
from linkd.limits import SOURCES_AT_ONCE_MAX
from linkd.plugin.contract import LinkOptions
from linkd.plugin.registry import Adapters, installed_adapters

log = logging.getLogger("linkd.adapters")


@dataclass(frozen=True, slots=True)
class Settings:
    """What the supervisor says; the token is a secret and not shown."""

    endpoint: Endpoint
    pipeline: Path

    @staticmethod
    def parse(line: bytes) -> Settings:
        """Raises InvalidArgument for a line that is not what the module says."""
        try:
            told = json.loads(line)
            endpoint = Endpoint(str(told["endpoint"]), str(told["token"]), str(told.get("traceparent", "")))
            return Settings(endpoint, Path(told["pipeline"]))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise InvalidArgument(
                "the adapter worker is a part of `linkd run`: it needs one JSON line on its standard input, with endpoint, token and pipeline"
            ) from None


class Work(Protocol):
    """A source or a sink at work. While it `holds` nothing, cancelling it loses nothing."""

    holds: bool

    @property
    def name(self) -> str: ...

    async def run(self) -> None: ...


@dataclass(slots=True)
class Crew:
    """All work of a worker, in tasks of one group. The first failure ends the others as soon as they hold nothing."""

    work: Sequence[Work]
    events: AdapterEvents
    stopping: asyncio.Event
    failure: Error | None = None
    _tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    async def run(self) -> int:
        """The exit code."""
        async with asyncio.TaskGroup() as group:
            for work in self.work:
                self._tasks[work.name] = group.create_task(self._one(work), name=work.name)
        return self.failure.exit_code if self.failure is not None else EXIT_DONE

    async def _one(self, work: Work) -> None:
        try:
            await work.run()
        except Error as error:
            self._failed(work, error)
        except Exception as defect:
            log.exception("%s failed for a reason of linkd's own, or of its adapter's", work.name)
            what = f"{work.name} failed ({type(defect).__name__}); the worker's log says more. This is a defect: please report it"
            self._failed(work, InternalFault(what))

    def _failed(self, work: Work, error: Error) -> None:
        if self.failure is not None and isinstance(error, ConnectionFault):
            return  # a home that goes away is lost to all of them, and said once
        self.events.failed(work.name, error)
        self.failure = self.failure or error
        self.stopping.set()
        for other in self.work:
            if other is not work and not other.holds:
                self._tasks[other.name].cancel()


async def run_adapters(settings: Settings, adapters: Adapters, events: AdapterEvents) -> int:
    """Runs what is not complete, to its end; the exit code. Raises errors of the tree for what keeps it from starting."""
    pipeline = load_pipeline(settings.pipeline)
    async with connected(dial_to(settings.endpoint)) as connection:
        stopping = asyncio.Event()
        work = _work(pipeline, await described(connection), connection, adapters, events, stopping)
        return await Crew(work, events, stopping).run()


def _work(
    pipeline: Pipeline, told: Description, connection: Connection, adapters: Adapters, events: AdapterEvents, stopping: asyncio.Event
) -> list[Work]:
    """The sources and sinks that the home knows and that have not ended."""
    open_tasks = {task.name for task in told.tasks if not task.ended}
    links = {link.name: link for link in told.links}
    places = asyncio.Semaphore(SOURCES_AT_ONCE_MAX)
    work: list[Work] = []
    for spec in pipeline.links.values():
        if spec.source is not None and spec.rejects_of is None and source_task(spec.name) in open_tasks:
            options = _options(pipeline, spec, spec.source)
            source = adapters.serving(spec.source).source(options)
            work.append(SourceWork(connection, options, source, links[spec.name], events, stopping, places))
        if spec.sink is not None and sink_task(spec.name) in open_tasks:
            options = _options(pipeline, spec, spec.sink)
            work.append(SinkWork(connection, options, adapters.serving(spec.sink).sink(options), events))
    return work


def _options(pipeline: Pipeline, spec: LinkSpec, location: str) -> LinkOptions:
    return LinkOptions(
        link=spec.name,
        location=location,
        base=Path(pipeline.directory),
        format=spec.format,
        nulls=spec.nulls,
        schema=spec.schema,
        on_bad_row=spec.on_bad_row,
    )


async def _until_told(settings: Settings, events: AdapterEvents) -> int:
    """The work, cut short when the supervisor is gone or by a signal."""
    loop = asyncio.get_running_loop()
    work = asyncio.create_task(run_adapters(settings, installed_adapters(), events), name="linkd adapters")
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, work.cancel)

    def heard() -> None:
        if not os.read(sys.stdin.fileno(), 4096):
            loop.remove_reader(sys.stdin.fileno())
            work.cancel()

    loop.add_reader(sys.stdin.fileno(), heard)
    try:
        return await work
    except asyncio.CancelledError:
        return EXIT_INTERRUPTED
    except Error as error:
        events.failed(WORKER, error)
        return error.exit_code


def _write_line(line: str) -> None:
    with contextlib.suppress(BrokenPipeError):  # the supervisor is gone; its closed pipe ends the work
        sys.stdout.write(line)
        sys.stdout.flush()


def main() -> int:
    """The exit code of the process."""
    logging.basicConfig(stream=sys.stderr, format="%(name)s: %(message)s")
    events = AdapterEvents(_write_line)
    try:
        settings = Settings.parse(sys.stdin.buffer.readline())
    except InvalidArgument as error:
        events.failed(WORKER, error)
        return error.exit_code
    return asyncio.run(_until_told(settings, events))


if __name__ == "__main__":
    sys.exit(main())
