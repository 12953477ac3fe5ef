"""Drives one run: plan, home, adapter worker, programs; until every link is sealed and every sink has committed, or something fails.

The order at the start: the run's lock, what an earlier supervisor left, the home's lock, the plan (and perhaps: nothing to do), the home, the
beginning of the run in the journal, the worker and the programs. At the end the same backwards. A failed task lets the others finish what
they hold; a home or worker that dies ends the run with exit code 5.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import secrets
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from linkd import errors
from linkd.app.layout import declared_schemas
from linkd.app.pipeline_file import Settings, find_pipeline, load_pipeline
from linkd.app.run.announcement import announced, as_json, detailed
from linkd.app.run.fork_server import ForkServer
from linkd.app.run.home_process import HomeProcess
from linkd.app.run.interpreter import interpreter_of
from linkd.app.run.interruption import Interruption
from linkd.app.run.lives import HomeLives
from linkd.app.run.options import RunOptions
from linkd.app.run.plan import Plan, PlanOptions, has_adapters, make_plan, programs
from linkd.app.run.process_table import process_table
from linkd.app.run.processes import Processes, task_environment
from linkd.app.run.programs import Programs, Stopped, gave_up, left_unread_before, made_otherwise
from linkd.app.run.reset import forget, may_forget
from linkd.app.run.screen import Screen
from linkd.app.run.stall import StallWatch
from linkd.app.run.summary import print_failure, print_summary
from linkd.app.state import Lock, make_state_directory, state_directory
from linkd.app.take_over import take_lock
from linkd.core.exit_codes import ending, how_it_died
from linkd.core.layout import Layout, layout
from linkd.core.pipeline import Pipeline
from linkd.core.planning import Action
from linkd.core.rights import sink_task
from linkd.limits import TASK_TERM_GRACE_S
from linkd.telemetry.trace_context import SpanContext, TraceIds, format_traceparent, parse_traceparent
from linkd.wire import methods
from linkd.wire.v1 import links_pb2, runs_pb2


def run(options: RunOptions, forks: ForkServer | None = None) -> int:
    """Runs the pipeline to its end; returns the exit code. Raises errors of the tree for what keeps it from starting."""
    return asyncio.run(_run(options, forks))


async def _run(options: RunOptions, forks: ForkServer | None) -> int:
    began_s = time.monotonic() - process_table().own_age_s()
    path = find_pipeline(options.pipeline)
    interrupted = Interruption()
    while True:
        pipeline = load_pipeline(path, Settings(options.params, os.environ))
        directory = state_directory(Path(pipeline.directory), pipeline.name)
        make_state_directory(directory)
        run_lock = _take_run_lock(directory)
        try:
            shape = layout(pipeline, declared_schemas(pipeline))
            code = await _Run(options, pipeline, shape, directory, began_s, forks, interrupted).drive()
        finally:
            run_lock.release()
        if code is not None:
            return code
        options, began_s = replace(options, reset=False), time.monotonic()  # a source of a run that follows is another: as it is now


def _take_run_lock(directory: Path) -> Lock:
    try:
        return Lock.take(directory / "run.lock", "linkd run")
    except errors.StateLocked as error:
        who = str(error).rpartition(" by ")[2]
        raise errors.StateLocked(f"this pipeline is being run already, by {who}: wait for it, or end it") from None


@dataclass(slots=True)
class _Run:
    options: RunOptions
    pipeline: Pipeline
    layout: Layout
    directory: Path
    began_s: float
    forks: ForkServer | None
    interrupted: Interruption
    latest: Any = None
    stopped: Stopped | None = None
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def drive(self) -> int | None:
        """The whole run; the exit code, or None if it is to be planned and begun anew, because a source of a run that follows is another."""
        screen = Screen(self.options.quiet, self.options.json, sys.stdout)
        processes = Processes(self.directory, self.forks)
        processes.end_leftovers()
        lock = await take_lock(self.directory)
        try:
            if self.options.reset and not self.options.dry_run:
                if not may_forget(self.pipeline.name, self.directory):
                    screen.say("nothing was forgotten", forgotten=False)
                    return errors.EXIT_INTERRUPTED
                forget(self.directory)
            plan = await make_plan(self.pipeline, self.layout, self.directory, self._plan_options())
            if self.options.strict and (plan.unread or plan.given_up):
                stopped = left_unread_before(plan.unread) if plan.unread else gave_up(plan.given_up)
                print_failure(screen, self.pipeline, stopped, {})
                return stopped.exit_code
            if self.options.dry_run:
                return self._show_plan(screen, plan)
            if not plan.pending and not plan.follow:
                screen.say(f"Nothing to do ({time.monotonic() - self.began_s:.1f} s)", nothing_to_do=True)
                return errors.EXIT_DONE
            screen.say("\n".join(announced(self.layout, plan, screen.width)), plan=as_json(plan))
            logs = self.directory / "logs"
            logs.mkdir(exist_ok=True)
            home = await HomeProcess.start(
                processes,
                lock,
                self.directory,
                Path(self.pipeline.path),
                self.options.params,
                logs / "home.log",
                self.options.http_port,
                self.options.budgets,
            )
        finally:
            lock.release()  # the home has it, by the descriptor it was passed
        return await self._with_home(home, processes, plan, screen)

    def _plan_options(self) -> PlanOptions:
        return PlanOptions(self.options.only, self.options.without, self.options.follow, self.options.check_cache)

    def _show_plan(self, screen: Screen, plan: Plan) -> int:
        """What a run would do, and nothing else."""
        environ, directory = task_environment(os.environ, {}), Path(self.pipeline.directory)
        found = {name: interpreter_of(self.pipeline.tasks[name], environ, directory) for name in programs(self.layout, plan)}
        runs = {name: path for name, path in found.items() if path is not None}
        lines = detailed(self.layout, plan, runs) if plan.pending else ["Nothing to do"]
        screen.say("\n".join(lines), plan=as_json(plan))
        return errors.EXIT_DONE

    async def _with_home(self, home: HomeProcess, processes: Processes, plan: Plan, screen: Screen) -> int | None:
        self.interrupted.listen()
        beginning = self._beginning(plan)
        begun = await self._begun(home, beginning, screen)
        lives = HomeLives(int(begun["epoch"]), lambda: _answer(home))
        started = Programs(self.pipeline, self.directory, processes, screen, home.endpoint, begun, lives)
        started.strict, started.follow, started.selected = self.options.strict, plan.follow, plan.selected
        for name in plan.places:
            if name in plan.pending:
                started.open_place(name)
        outcome = "failed"
        try:
            with screen.live(self.layout, plan):
                self.stopped = await self._until_over(home, beginning, started, plan, screen)
            outcome = _OUTCOMES.get(self.stopped.kind, "failed")
        finally:
            await started.end()
            await self._conclude(home, outcome)
            processes.forget()
        if self.stopped.kind == "changed":
            screen.say(f"{self.stopped.message}: planned anew", changed=self.stopped.message)
            return None
        if self.stopped.kind == "done":
            print_summary(screen, self.pipeline, self.latest, started, time.monotonic() - self.began_s)
        else:
            print_failure(screen, self.pipeline, self.stopped, started.unread)
        return self.stopped.exit_code

    async def _begun(self, home: HomeProcess, beginning: runs_pb2.BeginRequest, screen: Screen) -> Any:
        """Begins the run, in another home if this one dies before it has. Raises what the home has against it, InternalFault if it dies again."""
        while True:
            begun = await _heard(home, beginning)
            if begun is not None:
                return begun
            code = await home.child.process.wait()
            if not home.restarts.allowed():
                await home.connection.close()
                raise errors.InternalFault(f"linkd's home {ending(code)} before the run began: run again")
            lock = await take_lock(self.directory)
            try:
                await home.start_anew(lock)
            finally:
                lock.release()
            screen.say(f"linkd home died ({how_it_died(code)}); started again", restarted="home")

    def _beginning(self, plan: Plan) -> runs_pb2.BeginRequest:
        return runs_pb2.BeginRequest(
            run_id=secrets.token_hex(8),
            reason=_reason(plan),
            fingerprint=dict(plan.fingerprint),
            task_versions=dict(plan.versions.tasks),
            traceparent=_root_traceparent(),
            again=plan.having(Action.BEGIN),
            resumed=plan.having(Action.RESUME),
            tasks=plan.selected,
            open_places=plan.places,
            follow=plan.follow,
            every_ms=self._every_ms(),
            memo={name: runs for name, runs in plan.versions.memo.items() if name not in plan.places},
            checks_memo=self.options.check_cache,
        )

    def _every_ms(self) -> dict[str, int]:
        """How long inputs are idle before a task, or a sink, begins again in a run that follows."""
        every = {name: spec.every_s for name, spec in self.pipeline.tasks.items()}
        every |= {sink_task(spec.name): spec.every_s for spec in self.pipeline.links.values() if spec.sink is not None}
        return {name: round(every_s * 1000) for name, every_s in every.items()}

    async def _until_over(
        self, home: HomeProcess, beginning: runs_pb2.BeginRequest, started: Programs, plan: Plan, screen: Screen
    ) -> Stopped:
        """Everything at once: the programs, the home's description, the home itself, and the person. Returns why it is over."""
        over: asyncio.Future[Stopped] = asyncio.get_running_loop().create_future()

        def stop(why: Stopped) -> None:
            if not over.done():
                over.set_result(why)

        async with asyncio.TaskGroup() as group:
            watchers = [
                group.create_task(self._watch(home, started, stop, screen), name="linkd run: watch"),
                group.create_task(self._tell_stalls(screen, StallWatch(follow=plan.follow)), name="linkd run: stalls"),
                group.create_task(self._keep_home(home, beginning, started.lives, stop, screen), name="linkd run: home"),
                group.create_task(self._person(stop), name="linkd run: person"),
            ]
            if has_adapters(self.layout, plan):
                watchers.append(group.create_task(started.adapters(stop), name="linkd run: adapters"))
            watchers += [
                group.create_task(started.task(name, home.connection, stop), name=f"linkd run: {name}")
                for name in programs(self.layout, plan)
            ]
            why = await over
            if why.kind == "failed" or (self.options.follow and why.kind in ("interrupted", "changed")):
                await self._let_others_finish(home)
            for watcher in watchers:
                watcher.cancel()
            hurry = group.create_task(self._hurry(started), name="linkd run: hurry")
            await asyncio.wait(watchers)
            hurry.cancel()
        return why

    async def _watch(self, home: HomeProcess, started: Programs, stop: Any, screen: Screen) -> None:
        """Follows the home's descriptions, also those of the next one; the run is done when every task has ended."""
        from linkd.client.calls import Patience

        while True:
            seen = home.connection.epoch
            try:
                async with home.connection.receive(methods.RUN_WATCH, runs_pb2.WatchRequest()) as stream:
                    while (description := await stream.read()) is not None:
                        self.latest = description
                        self.news.set()
                        started.saw(description)
                        screen.show(description)
                        if description.run.complete:
                            stop(self._completed(description))
                            return
                failure: errors.Error = errors.ConnectionFailed("the home ended its description")
            except errors.ConnectionFault as error:
                failure = error
            await home.connection.recover(Patience(math.inf), seen, failure)

    def _completed(self, description: Any) -> Stopped:
        """Every task has ended: what that is worth. A program that gave something up is named when it exits, with its output."""
        dead = {task.name: task.given_up for task in description.tasks if task.given_up}
        return gave_up(dead) if self.options.strict and dead else Stopped("done", "", errors.EXIT_DONE)

    async def _keep_home(self, home: HomeProcess, beginning: runs_pb2.BeginRequest, lives: HomeLives, stop: Any, screen: Screen) -> None:
        """Starts the home again when it dies, for the same run, so that programs and worker go on; not too often."""
        failure = ""
        while True:
            code = await home.child.process.wait()
            lives.end()
            if not home.restarts.allowed():
                stop(Stopped("home", failure or f"linkd's home {ending(code)}: run again to go on where it stopped", errors.EXIT_INTERNAL))
                return
            try:
                lock = await take_lock(self.directory)
                try:
                    await home.start_again(lock, lives.epoch)
                finally:
                    lock.release()
            except errors.InternalFault as error:  # it died, or ended, before it served
                failure = str(error)
                continue
            except errors.Error as error:
                stop(Stopped("home", str(error), errors.EXIT_INTERNAL))
                return
            failure = ""
            try:
                if await _heard(home, beginning) is None:
                    continue
            except errors.Error as error:
                stop(Stopped("home", str(error), errors.EXIT_INTERNAL))
                return
            lives.begin()
            screen.say(f"linkd home died ({how_it_died(code)}); started again", restarted="home")

    async def _tell_stalls(self, screen: Screen, stalls: StallWatch) -> None:
        """Says who waits for whom when nothing has moved for a while."""
        while True:
            due_s = stalls.due_s()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if due_s is None else max(due_s - time.monotonic(), 0.0)):
                    await self.news.wait()
            if self.news.is_set():
                self.news.clear()
                stalls.saw(self.latest, time.monotonic())
            for line in stalls.lines(time.monotonic()):
                screen.say(line, stalled=line)

    async def _person(self, stop: Any) -> None:
        await self.interrupted.asked.wait()
        stop(Stopped("interrupted", "interrupted: run again to go on where it stopped", errors.EXIT_INTERRUPTED))

    async def _hurry(self, started: Programs) -> None:
        """The second Ctrl-C: programs that are being ended are not waited for."""
        await self.interrupted.urged.wait()
        started.kill()

    async def _let_others_finish(self, home: HomeProcess) -> None:
        """No further snapshots are handed out; waits until none is on lease, for as long as a task is given to end, or until urged."""
        finishing = asyncio.create_task(self._finished(home), name="linkd run: finishing")
        urged = asyncio.create_task(self.interrupted.urged.wait(), name="linkd run: urged")
        await asyncio.wait((finishing, urged), return_when=asyncio.FIRST_COMPLETED)
        for task in (finishing, urged):
            task.cancel()
        await asyncio.gather(finishing, urged, return_exceptions=True)

    async def _finished(self, home: HomeProcess) -> None:
        with contextlib.suppress(TimeoutError, errors.ConnectionFault):
            async with asyncio.timeout(TASK_TERM_GRACE_S):
                await home.connection.call(methods.RUN_PAUSE, runs_pb2.PauseRequest())
                async with home.connection.receive(methods.RUN_WATCH, runs_pb2.WatchRequest()) as stream:
                    while (description := await stream.read()) is not None:
                        if not any(task.leased and task.connections for task in description.tasks):
                            return

    async def _conclude(self, home: HomeProcess, outcome: str) -> None:
        if home.child.running:
            with contextlib.suppress(errors.Error):
                await home.connection.call(methods.RUN_END, runs_pb2.EndRequest(outcome=outcome), timeout_s=self.options.end_timeout_s)
                if self.stopped is not None and self.stopped.kind == "done":
                    self.latest = await home.connection.call(methods.DESCRIBE, links_pb2.DescribeRequest())
                    self.stopped = made_otherwise(self.latest) or self.stopped
        await home.stop()


async def _begin(home: HomeProcess, beginning: runs_pb2.BeginRequest) -> Any:
    """Begins the run, or tells a home that was started again that it goes on."""
    connection = home.connection
    response = await connection.retry(lambda: connection.call(methods.RUN_BEGIN, beginning))
    return {"tokens": dict(response.tokens), "epoch": response.epoch, "traceparent": beginning.traceparent}


async def _heard(home: HomeProcess, beginning: runs_pb2.BeginRequest) -> Any:
    """What the home says to the run's beginning; None if it is gone before it has heard. Raises what it has against it."""
    heard = asyncio.create_task(_begin(home, beginning), name="linkd run: beginning")
    gone = asyncio.create_task(home.child.process.wait(), name="linkd run: home")
    try:
        await asyncio.wait((heard, gone), return_when=asyncio.FIRST_COMPLETED)
    finally:
        gone.cancel()
        heard.cancel()
        await asyncio.gather(heard, gone, return_exceptions=True)
    if heard.cancelled() or isinstance(heard.exception(), errors.ConnectionFault):
        return None
    return heard.result()


async def _answer(home: HomeProcess) -> Any:
    """Of this home, or of the next."""
    connection = home.connection
    return await connection.retry(lambda: connection.call(methods.DESCRIBE, links_pb2.DescribeRequest()))


_OUTCOMES = {"done": "done", "interrupted": "interrupted", "changed": "interrupted"}


def _reason(plan: Plan) -> str:
    """What the journal says of why this run began: the first thing that changed."""
    if plan.first:
        return "first run"
    begun = [f"{step.task}: {step.reason}" for step in plan.steps if step.action is Action.BEGIN]
    return begun[0] if begun else "going on"


def _root_traceparent() -> str:
    """The root of the run's trace: a new one, or below the caller's own (TRACEPARENT in the environment)."""
    ids = TraceIds(os.urandom)
    outer = parse_traceparent(os.environ.get("TRACEPARENT", ""))
    trace_id = outer.trace_id if outer is not None else ids.new_trace_id()
    return format_traceparent(SpanContext(trace_id, ids.new_span_id()))
