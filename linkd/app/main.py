"""The console script `linkd`: whether there is enough installed to run it, and which verb is meant.

Exit codes are those of `linkd.errors`. Importing this module imports nothing that the base installation does not have.
"""

from __future__ import annotations

import gc
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, NoReturn

from linkd import limits
from linkd.app.run import fork_ahead
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
    gc.set_threshold(limits.GC_THRESHOLD)
    forks = None
    try:
        forks = fork_ahead(sys.argv[1:])
        command_line()(prog_name="linkd", obj=forks)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    finally:
        if forks is not None:
            forks.close()
    sys.exit()


def command_line() -> typer.Typer:
    """All verbs, none of which is imported before it is asked for."""
    import typer

    from linkd.app.cli.start import start
    from linkd.app.cli.verbs import SETTINGS, VerbGroup

    app = typer.Typer(
        cls=VerbGroup,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings=SETTINGS,
        epilog="Example: linkd run flights.yaml",
    )
    app.callback(invoke_without_command=True)(start)
    return app
