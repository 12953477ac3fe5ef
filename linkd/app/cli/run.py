"""`linkd run [FILE]`: make every output current."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from linkd import limits
from linkd.app.cli.budgets import DiskBudgetOption, DrainTimeoutOption, MemoryOption, StallTimeoutOption, disk_budget_bytes, memory_bytes
from linkd.app.cli.options import QuietOption, VerboseOption
from linkd.errors import UsageFault

HttpPortOption = Annotated[
    int | None,
    typer.Option(min=0, max=65535, help="Serve /livez, /readyz and /metrics while it runs; 0 is a free port.", show_default=False),
]
CheckCacheOption = Annotated[
    bool, typer.Option("--check-cache", help="Run what is remembered again, and compare: exit code 3 if something differs.")
]


def run(
    context: typer.Context,
    file: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="The pipeline file; else the one here or in a parent directory.", show_default=False),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="LINK", help="Build just this link, and what it needs; may be repeated.", show_default=False),
    ] = None,
    without: Annotated[
        list[str] | None,
        typer.Option("--without", metavar="TASK", help="Leave the place of this task open (see linkd env).", show_default=False),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("-s", "--set", metavar="NAME=VALUE", help="Set a parameter of the file; may be repeated.", show_default=False),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on as sources grow and values come, until Ctrl-C.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would run, and why; run nothing.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="A task that leaves input unread has failed.")] = False,
    reset: Annotated[bool, typer.Option("--reset", help="Forget all values and begin anew; asks first on a terminal.")] = False,
    check_cache: CheckCacheOption = False,
    http_port: HttpPortOption = None,
    memory: MemoryOption = None,
    disk_budget: DiskBudgetOption = None,
    stall_timeout: StallTimeoutOption = limits.STALL_AFTER_S,
    drain_timeout: DrainTimeoutOption = limits.DRAIN_TIMEOUT_S,
    json: Annotated[bool, typer.Option("--json", help="Print what happens as JSON, one object a line.")] = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> int:
    """Make every output of a pipeline current.

    What was interrupted continues, what changed runs again with all that depends on it, and nothing else does.
    """
    from linkd.app.run import RunOptions
    from linkd.app.run import run as run_pipeline

    options = RunOptions(
        pipeline=file or Path(),
        only=tuple(only or ()),
        without=tuple(without or ()),
        params=parameters(set_ or ()),
        follow=follow,
        dry_run=dry_run,
        strict=strict,
        reset=reset,
        check_cache=check_cache,
        quiet=quiet,
        verbose=verbose,
        json=json,
        http_port=http_port,
        memory_bytes=memory_bytes(memory),
        disk_budget_bytes=disk_budget_bytes(disk_budget),
        stall_timeout_s=stall_timeout,
        drain_timeout_s=drain_timeout,
    )
    return run_pipeline(options, context.obj)


def parameters(given: list[str] | tuple[()]) -> dict[str, str]:
    """`NAME=VALUE` as the command line has it. Raises UsageFault for what is not of this form."""
    found: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UsageFault(f"-s {text}: write -s NAME=VALUE, for example -s year=2014")
        found[name] = value
    return found
