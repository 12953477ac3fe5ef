"""`linkd top`: the links and tasks of a pipeline, live."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from linkd.app.cli.options import JsonOption, PipelineOption, QuietOption, VerboseOption
from linkd.app.cli.target import ask, find_target

if TYPE_CHECKING:
    from linkd.client.session import Client


def top(
    pipeline: PipelineOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Watch links and tasks live.

    Rates, lags, and who waits for whom, as the pipeline tells of every change; `q` or Ctrl-C leaves. It stays from run to run. With --json
    one object a change; where the output is no terminal, one table and the end.
    """
    import sys

    target = find_target(pipeline, os.environ)
    if target.was_never_opened and not json:
        print(target.not_run())
        return
    from linkd.app.cli.onlooking import while_read

    if json:
        ask(target, lambda client: while_read(_print_changes(client)))
    elif not sys.stdout.isatty():
        from linkd.app.cli.live import print_once

        print_once(ask(target, lambda client: client.describe()))
    else:
        from linkd.app.cli.live import show

        ask(target, show)


async def _print_changes(client: Client) -> None:
    from json import dumps

    from linkd.app.cli.listing import document
    from linkd.app.cli.terminal import print_bytes

    async for found in client.observe():
        print_bytes([dumps(document(found), ensure_ascii=False).encode() + b"\n"])
