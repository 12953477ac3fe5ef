"""`linkd serve`: the home of a pipeline, as a process of its own."""

from __future__ import annotations

import enum
import os
from pathlib import Path
from typing import Annotated

import typer

from linkd import limits
from linkd.app.cli.budgets import DiskBudgetOption, DrainTimeoutOption, MemoryOption, StallTimeoutOption, disk_budget_bytes, memory_bytes
from linkd.app.cli.listening import HttpPortOption, InsecureOption, ListenOption, TlsCertOption, TlsClientCaOption, TlsKeyOption
from linkd.app.cli.options import VerboseOption
from linkd.errors import UsageFault

_GRPC_FORK_HANDLERS = "GRPC_ENABLE_FORK_SUPPORT"


class LogFormatName(enum.StrEnum):
    """What `--log-format` takes."""

    TEXT = "text"
    JSON = "json"


class LogLevelName(enum.StrEnum):
    """What `--log-level` takes."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def serve(
    pipeline: Annotated[
        Path | None,
        typer.Option("--pipeline", metavar="FILE", help="Serve this pipeline: tasks may do what its wiring says.", show_default=False),
    ] = None,
    open_: Annotated[bool, typer.Option("--open", help="No pipeline: whoever can open the socket creates links by using them.")] = False,
    directory: Annotated[
        Path | None,
        typer.Option("--dir", metavar="DIR", help="Where the state lies; beside the pipeline file if not given.", show_default=False),
    ] = None,
    socket: Annotated[
        Path | None,
        typer.Option("--socket", metavar="PATH", help="The unix socket; in a short private directory if not given.", show_default=False),
    ] = None,
    listen: ListenOption = None,
    tls_cert: TlsCertOption = None,
    tls_key: TlsKeyOption = None,
    tls_client_ca: TlsClientCaOption = None,
    insecure: InsecureOption = False,
    http_port: HttpPortOption = None,
    memory: MemoryOption = None,
    disk_budget: DiskBudgetOption = None,
    stall_timeout: StallTimeoutOption = limits.STALL_AFTER_S,
    drain_timeout: DrainTimeoutOption = limits.DRAIN_TIMEOUT_S,
    log_format: Annotated[LogFormatName, typer.Option(help="How log lines are written.")] = LogFormatName.TEXT,
    log_level: Annotated[LogLevelName, typer.Option(help="The least that is logged.")] = LogLevelName.INFO,
    on_demand: Annotated[bool, typer.Option("--on-demand", hidden=True)] = False,
    verbose: VerboseOption = False,
) -> int:
    """Serve links on a unix socket, and on TCP where --listen says so.

    Until SIGTERM or Ctrl-C. When it is ready it prints one JSON line with its endpoint.
    """
    # The home starts children for queries. uvloop forks for that, and gRPC's own handlers around a fork, which nobody needs here, crash the
    # child now and then. gRPC reads this when it is imported.
    os.environ[_GRPC_FORK_HANDLERS] = "0"
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")  # else it tells of every stranger's handshake that fails
    from linkd.app.serve import ServeOptions
    from linkd.app.serve import serve as serve_home
    from linkd.app.tcp_options import tcp_port

    if (pipeline is None) != open_:
        raise UsageFault("what is to be served? give either --pipeline FILE, or --open for links of anybody's making")
    level = LogLevelName.WARNING if on_demand and log_level is LogLevelName.INFO else log_level
    options = ServeOptions(
        directory=directory or _default_directory(pipeline),
        socket=socket,
        pipeline=pipeline,
        on_demand=on_demand,
        tcp=tcp_port(listen, tls_cert, tls_key, tls_client_ca, insecure=insecure),
        http_port=http_port if http_port is not None or on_demand else 0,
        memory_bytes=memory_bytes(memory),
        disk_budget_bytes=disk_budget_bytes(disk_budget),
        stall_timeout_s=stall_timeout,
        drain_timeout_s=drain_timeout,
        log_format=str(log_format),
        log_level=str(LogLevelName.DEBUG if verbose else level),
    )
    return serve_home(options)


def _default_directory(pipeline: Path | None) -> Path:
    if pipeline is None:
        raise UsageFault("where is the state to lie? with --open give --dir DIR")
    from linkd.app.pipeline_file import load_pipeline
    from linkd.app.state import state_directory

    loaded = load_pipeline(pipeline)
    return state_directory(Path(loaded.directory), loaded.name)
