"""The process of a home: build (recover, bind), start, wait, drain.

It ends by SIGTERM or SIGINT (of `linkd serve` a second one ends it where it stands), when the pipe of the supervisor that started it closes
(`supervised`), or a little after its last client (`on_demand`). When it serves it prints one JSON line to its standard output: `endpoint`,
`pid`, `http_port`, `tcp` where it listens there, and for its supervisor `run_token`; then nothing more. If one that was started on demand
cannot open its directory it prints `refused` instead, the code of the error.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import field
from pathlib import Path

from linkd import limits
from linkd.app.cgroup import memory_budget_bytes
from linkd.app.layout import layout_of
from linkd.app.log_rotation import RotatedOutput
from linkd.app.state import ON_DEMAND, STANDALONE, SUPERVISED, Lock, make_state_directory, socket_path, write_json
from linkd.app.take_over import take_lock
from linkd.app.tuning import give_back_memory, keep_freed_memory, run_promptly
from linkd.core.layout import OPEN, Layout
from linkd.errors import Error, StateForeign
from linkd.faces.call import Presence
from linkd.faces.describe import version
from linkd.faces.links import LinksService
from linkd.faces.runs import RunsService
from linkd.faces.server import Server
from linkd.faces.tcp import TcpPort
from linkd.home.clock import SystemClock
from linkd.home.conductor import Conductor
from linkd.home.home import Home
from linkd.home.lag import tell_lags
from linkd.home.runs import tokens
from linkd.home.tokens import RUN_NAME
from linkd.model.frozen import frozen
from linkd.query.children import QueryChildren
from linkd.query.lean import without_data_frames
from linkd.telemetry.events import HomeDraining, HomeStarted, HomeStopped, LoopLag
from linkd.telemetry.hub import Telemetry
from linkd.telemetry.log_lines import LogLevel
from linkd.telemetry.logs import LineWriter, LogFormat, Logs
from linkd.telemetry.tracing import Tracing, open_tracing


@frozen()
class ServeOptions:
    """How a home is to run. `pipeline` of None is `--open`; `lock_fd` is the lock that the supervisor took and passed on.

    `params` are the parameters that a run was given, in place of those of the file. A supervised home begins an epoch, unless it is given that
    of a run that goes on. `log` is the file that standard error is, if it is one that this process is to rotate. Without `memory_bytes` and
    `disk_budget_bytes` the machine says how much there is of both.
    """

    directory: Path
    socket: Path | None
    pipeline: Path | None
    on_demand: bool = False
    supervised: bool = False
    epoch: int | None = None
    lock_fd: int | None = None
    params: Mapping[str, str] = field(default_factory=dict)
    http_port: int | None = None
    memory_bytes: int | None = None
    disk_budget_bytes: int | None = None
    stall_timeout_s: float = limits.STALL_AFTER_S
    drain_timeout_s: float = limits.DRAIN_TIMEOUT_S
    tcp: TcpPort | None = None
    log: Path | None = None
    log_format: str = "text"
    log_level: str = "info"

    @property
    def kind(self) -> str:
        if self.supervised:
            return SUPERVISED
        return ON_DEMAND if self.on_demand else STANDALONE


def serve(options: ServeOptions) -> int:
    """Runs a home to its end; returns the exit code. Raises errors of the tree for what keeps it from starting."""
    sys.setswitchinterval(limits.SWITCH_INTERVAL_S)
    run_promptly()
    keep_freed_memory()
    without_data_frames()
    layout = OPEN if options.pipeline is None else layout_of(options.pipeline, options.params)
    make_state_directory(options.directory)
    lock_path = options.directory / "lock"
    inherited = options.lock_fd
    if inherited is not None:
        lock = Lock.inherit(lock_path, inherited, options.kind)
    elif options.on_demand:
        lock = Lock.take(lock_path, options.kind)
    else:
        lock = asyncio.run(take_lock(options.directory, options.kind))
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(_serve(options, layout))
    finally:
        lock.release()


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop where it is installed."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


async def _serve(options: ServeOptions, layout: Layout) -> int:
    began_s = time.monotonic()
    telemetry = Telemetry()
    output = RotatedOutput(options.log, sys.stderr.buffer) if options.log is not None else sys.stderr.buffer
    writer = LineWriter(output, lambda lines: None)
    writer.start()
    telemetry.attach(Logs(writer.write, time.time_ns, LogFormat(options.log_format), LogLevel[options.log_level.upper()]))
    tracing = open_tracing(os.environ, telemetry, "linkd", version())
    try:
        return await _serve_observed(options, layout, telemetry, tracing, began_s)
    finally:
        await asyncio.to_thread(tracing.close, limits.TRACE_FLUSH_TIMEOUT_S)
        writer.close()


async def _serve_observed(options: ServeOptions, layout: Layout, telemetry: Telemetry, tracing: Tracing, began_s: float) -> int:
    try:
        memory_bytes = options.memory_bytes or memory_budget_bytes()
        home = Home.open(
            layout,
            options.directory,
            telemetry,
            SystemClock(),
            tracing,
            memory_bytes=memory_bytes,
            disk_budget_bytes=options.disk_budget_bytes,
            stall_timeout_s=options.stall_timeout_s,
        )
    except Error as error:
        if options.on_demand:
            _say({"refused": error.code})
        raise
    if options.supervised and options.epoch is None:
        home.new_epoch()
    elif options.epoch not in (None, home.ledger.epoch):
        raise StateForeign(
            f"the run of epoch {options.epoch} cannot go on in {options.directory}: epoch {home.ledger.epoch} has begun there"
        )
    path = options.socket if options.socket is not None else socket_path(options.directory)
    presence = Presence()
    idle_s = limits.ON_DEMAND_IDLE_S if options.on_demand else limits.QUERY_CHILD_IDLE_S
    queries = QueryChildren(home, f"unix:{path}", options.directory / "spill", idle_s)
    face = await Server.build(path, LinksService(home, queries), RunsService(home), presence, options.tcp)
    http_port = None
    home.start()
    await face.start()
    async with contextlib.AsyncExitStack() as stack:
        if options.http_port is not None:
            http_port = await stack.enter_async_context(_http(home, telemetry, layout.name, options.http_port))
        said = _said(face, http_port)
        write_json(options.directory / "home.json", said)
        _write_tokens(home, options.directory)
        telemetry.emit(
            HomeStarted(
                pipeline=layout.name, version=version(), pid=os.getpid(), endpoint=face.endpoint, seconds=time.monotonic() - began_s
            )
        )
        give_back_memory()
        _announce(home, options, said)
        reason = await _until_told(options, home, presence)
        await _drain(options, home, face, queries, telemetry, reason)
    return 0 if not home.failure else 5


def _said(face: Server, http_port: int | None) -> dict[str, object]:
    said: dict[str, object] = {"endpoint": face.endpoint, "pid": os.getpid(), "http_port": http_port}
    return said if face.tcp is None else {**said, "tcp": str(face.tcp)}


def _announce(home: Home, options: ServeOptions, said: Mapping[str, object]) -> None:
    _say({**said, "run_token": home.tokens.make(RUN_NAME, home.ledger.epoch)} if options.supervised else said)


def _say(said: Mapping[str, object]) -> None:
    with contextlib.suppress(BrokenPipeError):  # whoever started us does not listen
        print(json.dumps(said), flush=True)


def _write_tokens(home: Home, directory: Path) -> None:
    """The tokens of programs that are started by hand, readable by this user only."""
    folder = directory / "tokens"
    folder.mkdir(mode=0o700, exist_ok=True)
    for name, token in tokens(home).items():
        _write_secret(folder / name, token)
    _write_secret(directory / "token", home.tokens.outsider())


def _write_secret(path: Path, token: str) -> None:
    aside = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(token)
    aside.replace(path)


async def _until_told(options: ServeOptions, home: Home, presence: Presence) -> str:
    """Waits for the reason to end."""
    loop = asyncio.get_running_loop()
    told: asyncio.Future[str] = loop.create_future()

    def tell(reason: str) -> None:
        if not told.done():
            told.set_result(reason)

    def signalled(number: signal.Signals) -> None:
        if told.done() and options.kind == STANDALONE:  # others are asked by programs, perhaps by several
            _end_at_once(number)
        tell(number.name)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, signalled, number)
    async with asyncio.TaskGroup() as group:
        watchers = [group.create_task(Conductor(home).run(), name="linkd conductor")]
        if home.telemetry.wants(LoopLag):
            watchers.append(group.create_task(_watch_loop(home.telemetry), name="linkd loop lag"))
        if options.supervised:
            loop.add_reader(sys.stdin.fileno(), _supervisor_gone, loop, tell)
        if options.on_demand:
            watchers.append(group.create_task(_watch_clients(presence, tell), name="linkd on demand"))
        reason = await told
        for watcher in watchers:
            watcher.cancel()
    return reason


def _end_at_once(number: signal.Signals) -> None:
    """As the signal does to a process that has not asked for it: what was acked is kept, as it is with kill -9."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _supervisor_gone(loop: asyncio.AbstractEventLoop, tell: Callable[[str], None]) -> None:
    if not os.read(sys.stdin.fileno(), 4096):
        loop.remove_reader(sys.stdin.fileno())
        tell("the supervisor is gone")


async def _watch_clients(presence: Presence, tell: Callable[[str], None]) -> None:
    await presence.gone_for(limits.ON_DEMAND_IDLE_S)
    tell("the last client has gone")


async def _watch_loop(telemetry: Telemetry) -> None:
    """Measures how late the loop comes back: the one thing that cannot be an event of its own. Often while there is work, hardly ever else.

    The loop's own clock is not asked: it stands still while a callback runs.
    """
    interval_s, used_s = limits.LOOP_LAG_INTERVAL_S, time.process_time()
    while True:
        due_s = time.monotonic() + interval_s
        await asyncio.sleep(interval_s)
        telemetry.emit(LoopLag(seconds=max(time.monotonic() - due_s, 0.0)))
        before_s, used_s = used_s, time.process_time()
        busy = used_s - before_s > limits.LOOP_LAG_BUSY_SHARE * interval_s
        interval_s = limits.LOOP_LAG_BUSY_INTERVAL_S if busy else limits.LOOP_LAG_INTERVAL_S


@contextlib.asynccontextmanager
async def _http(home: Home, telemetry: Telemetry, pipeline: str, port: int) -> AsyncIterator[int]:
    from linkd.app.http import HttpFace
    from linkd.telemetry.metrics import Metrics

    metrics = Metrics(pipeline, version())
    telemetry.attach(metrics)

    def render(accept: str) -> tuple[bytes, str]:
        tell_lags(home)
        return metrics.render(accept)

    face = HttpFace.build(port, home.ready, render, notes=home.notes)
    face.start()
    try:
        yield face.port
    finally:
        await face.drain()


async def _drain(options: ServeOptions, home: Home, face: Server, queries: QueryChildren, telemetry: Telemetry, reason: str) -> None:
    """Not ready from now on: nothing new is taken or handed out, the calls in hand have their time to end, and the store is closed behind them.

    What is left of the time is for folding.
    """
    began_s = time.monotonic()
    telemetry.emit(HomeDraining(detail=reason))
    home.stop_sessions()
    before_s = began_s + max(options.drain_timeout_s - limits.DRAIN_CLOSE_S, options.drain_timeout_s / 2)
    queries.rest()
    await face.drain(before_s - time.monotonic())
    await queries.close()
    await home.close(before_s - time.monotonic())
    (options.directory / "home.json").unlink(missing_ok=True)
    telemetry.emit(HomeStopped(seconds=time.monotonic() - began_s))
