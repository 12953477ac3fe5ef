"""The console script `linkd`: whether there is enough installed to run it, and which verb is meant.

Exit codes are those of `linkd.errors`. Importing this module imports nothing that the base installation does not have.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, NoReturn

from linkd.errors import EXIT_INTERRUPTED, EXIT_USAGE

if TYPE_CHECKING:
    import typer

NEEDED = ("typer", "rich", "yaml", "pyarrow", "aiohttp", "blake3", "xxhash", "prometheus_client", "grpc_health", "grpc_reflection")
"""Packages of the extra `sidecar` by the names they are imported by: where one is missing, only the client can be used."""

BASE_ONLY = "linkd needs more than its base: pip install 'linkd[laptop]'"


def main() -> NoReturn:
    """Runs the command line of this process and exits."""
    if any(find_spec(package) is None for package in NEEDED):
        print(BASE_ONLY, file=sys.stderr)
        sys.exit(EXIT_USAGE)
    try:
        command_line()(prog_name="linkd")
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    sys.exit()


def command_line() -> typer.Typer:
    """All verbs, in the order of the help."""
    import typer

    from linkd.app.cli.check import check
    from linkd.app.cli.conclusion import conclude
    from linkd.app.cli.ls import ls
    from linkd.app.cli.run import run
    from linkd.app.cli.serve import serve
    from linkd.app.cli.sql import sql
    from linkd.app.cli.start import start
    from linkd.app.cli.tail import tail
    from linkd.app.cli.trace import trace

    app = typer.Typer(
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        epilog="Example: linkd run flights.yaml",
    )
    app.callback(invoke_without_command=True)(start)
    app.command(epilog="Example: linkd run flights.yaml")(conclude(run))
    app.command(epilog="Example: linkd check flights.yaml")(conclude(check))
    app.command(epilog="Example: linkd ls -p flights.yaml")(conclude(ls))
    app.command(epilog="Example: linkd tail flown -n 20")(conclude(tail))
    app.command(epilog='Example: linkd sql "SELECT count(*) FROM flown"')(conclude(sql))
    app.command(epilog="Example: linkd trace totals@last")(conclude(trace))
    app.command(epilog="Example: linkd serve --pipeline flights.yaml --http-port 9090")(conclude(serve))
    return app
