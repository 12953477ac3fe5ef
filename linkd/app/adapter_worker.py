"""The process of a pipeline's sources and sinks: an ordinary client of the home, started by the supervisor of a run.

    python -m linkd.app.adapter_worker

It gets its settings as one JSON line on its standard input: `endpoint`, `token` (of the role `adapters`), `pipeline` (path of the file),
`traceparent`, `params` (by name, as the command line said them), `follow`, and `tasks`, the names of those that take part in the run (absent:
all). It runs every source and sink among them that is not complete, all at once, and tells of it in the lines of `adapter_events`. It ends
when all of them are done (0), and when one has failed and the others have finished what they hold (the error's exit code). TERM or INT drains
it: sources stop behind their present batch, sinks finish what they hold (130); a second one ends it at once, and so does the end of its
standard input, for then the supervisor is gone (130).

In a run that follows it runs those that are complete, too, and has no end of its own: sources that can grow are followed, others are watched,
and sinks go on with what comes.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from linkd.app.adapter_events import WORKER, AdapterEvents
from linkd.app.arrow_alone import keep_arrow_alone
from linkd.app.link_options import link_options
from linkd.app.pipeline_file import Settings as PipelineSettings
from linkd.app.pipeline_file import load_pipeline
from linkd.app.sinks import SinkWork
from linkd.app.sources import SourceWork
from linkd.app.value_sinks import ValueSinkWork
from linkd.client.calls import Connection, Endpoint
from linkd.client.description import Description, TaskDescription
from linkd.client.signals import ending_signals
from linkd.client.worker import connected, described, dial_to
from linkd.core.pipeline import LinkSpec, Pipeline
from linkd.core.rights import sink_task, source_task
from linkd.errors import EXIT_DONE, EXIT_INTERRUPTED, ConnectionFault, Error, InternalFault, InvalidArgument
from linkd.limits import SOURCES_AT_ONCE_MAX
from linkd.model.frozen import frozen
from linkd.plugin.registry import Adapters, installed_adapters

log = logging.getLogger("linkd.adapters")


@frozen()
class Settings:
    """What the supervisor says; the token is a secret and not shown."""

    endpoint: Endpoint
    pipeline: Path
    params: Mapping[str, str] = field(default_factory=dict)
    follow: bool = False
    tasks: frozenset[str] = frozenset()

    @staticmethod
    def parse(line: bytes) -> Settings:
        """Raises InvalidArgument for a line that is not what the module says."""
        try:
            told = json.loads(line)
            endpoint = Endpoint(str(told["endpoint"]), str(told["token"]), str(told.get("traceparent", "")))
            params = {str(name): str(said) for name, said in dict(told.get("params", {})).items()}
            return Settings(endpoint, Path(told["pipeline"]), params, told.get("follow") is True, frozenset(told.get("tasks", ())))
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
            if self.stopping.is_set():
                self.drain()
        if self.failure is not None:
            return self.failure.exit_code
        return EXIT_INTERRUPTED if self.stopping.is_set() else EXIT_DONE

    def drain(self) -> None:
        """Ends all work that holds nothing; the rest ends when it has finished what it holds."""
        self.stopping.set()
        for work in self.work:
            if not work.holds and work.name in self._tasks:
                self._tasks[work.name].cancel()

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
        self._tasks.pop(work.name)
        self.drain()


@dataclass(slots=True)
class Working:
    """What a worker does, from its start to its end. `stop` may be called at any time."""

    settings: Settings
    adapters: Adapters
    events: AdapterEvents
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _crew: Crew | None = None

    async def run(self) -> int:
        """Runs what there is to run, to its end; the exit code. Raises errors of the tree for what keeps it from starting."""
        pipeline = load_pipeline(self.settings.pipeline, PipelineSettings(self.settings.params, os.environ))
        async with connected(dial_to(self.settings.endpoint)) as connection:
            work = self._work(pipeline, await described(connection), connection)
            self._crew = Crew(work, self.events, self._stopping)
            return await self._crew.run()

    def stop(self) -> bool:
        """Drains it. False if it was being drained already."""
        is_first = not self._stopping.is_set()
        self._stopping.set()
        if self._crew is not None:
            self._crew.drain()
        return is_first

    def _work(self, pipeline: Pipeline, told: Description, connection: Connection) -> list[Work]:
        """The sources and sinks that take part and have something to do."""
        follows = self.settings.follow
        tasks = {task.name: task for task in told.tasks if self._takes_part(task)}
        links = {link.name: link for link in told.links}
        places = asyncio.Semaphore(SOURCES_AT_ONCE_MAX)
        work: list[Work] = []
        for spec in pipeline.links.values():
            source = tasks.get(source_task(spec.name))
            if spec.source is not None and spec.rejects_of is None and source is not None:
                options = link_options(pipeline, spec, spec.source, growing=follows, environ=os.environ)
                found = self.adapters.serving(spec.source).source(options)
                told_of = links[spec.name]
                work.append(
                    SourceWork(
                        connection, options, found, told_of, self.events, self._stopping, places, ended=source.ended, follows=follows
                    )
                )
            sink = tasks.get(sink_task(spec.name))
            if spec.sink is not None and sink is not None:
                work.append(self._sink(pipeline, spec, spec.sink, sink, connection))
        return work

    def _takes_part(self, task: TaskDescription) -> bool:
        """What the journal knows counts, not the task's state: a home that was started again may not have been told yet that its run goes on."""
        if self.settings.tasks and task.name not in self.settings.tasks:
            return False
        return self.settings.follow or not task.ended

    def _sink(self, pipeline: Pipeline, spec: LinkSpec, location: str, told: TaskDescription, connection: Connection) -> Work:
        options = link_options(pipeline, spec, location, environ=os.environ)
        adapter = self.adapters.serving(location)
        follows, last = self.settings.follow, told.last_commit_attributes
        if spec.mode == "replace":
            return SinkWork(connection, options, adapter.sink(options), last, self.events, follows)
        return ValueSinkWork(connection, options, adapter.value_sink(options), last, self.events, self._stopping, follows)


async def _until_told(settings: Settings, events: AdapterEvents) -> int:
    """The work, drained by a signal, and cut short by a second one or when the supervisor is gone."""
    loop = asyncio.get_running_loop()
    working = Working(settings, installed_adapters(), events)
    task = asyncio.create_task(working.run(), name="linkd adapters")

    def told_to_stop() -> None:
        if not working.stop():
            task.cancel()

    def heard() -> None:
        if not os.read(sys.stdin.fileno(), 4096):
            loop.remove_reader(sys.stdin.fileno())
            task.cancel()

    loop.add_reader(sys.stdin.fileno(), heard)
    with ending_signals(told_to_stop):
        try:
            return await task
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
    keep_arrow_alone()
    events = AdapterEvents(_write_line)
    try:
        settings = Settings.parse(sys.stdin.buffer.readline())
    except InvalidArgument as error:
        events.failed(WORKER, error)
        return error.exit_code
    return asyncio.run(_until_told(settings, events))


if __name__ == "__main__":
    sys.exit(main())
