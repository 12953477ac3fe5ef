"""`linkd run`: the supervisor of a pipeline on one machine.

`plan` decides what is to be done, `processes` starts and ends what runs, `supervisor` drives both against the home, `progress` and `summary`
show it. The supervisor parses no data and moves none: the home, the adapter worker and every task are processes of their own; linkd's own
are forked from the `fork_server`, which begins before anything else does.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING

from linkd.app.run.options import RunOptions

if TYPE_CHECKING:
    from linkd.app.run.fork_server import ForkServer

__all__ = ["RunOptions", "fork_ahead", "run"]

_SHARED = ("linkd.app.layout", "linkd.core.ledger", "linkd.store.store")
_RUNS_NOTHING = frozenset({"-h", "--help", "--dry-run"})


def fork_ahead(words: Sequence[str]) -> ForkServer | None:
    """The fork server of a run, if these words of the command line ask for one.

    What home and supervisor both need is imported before the fork, and so once; all else after it, in both of them at once.
    """
    if words[:1] != ["run"] or not _RUNS_NOTHING.isdisjoint(words):
        return None
    for module in _SHARED:
        import_module(module)
    from linkd.app.run.fork_server import ForkServer
    from linkd.app.run.own_programs import OWN_ENVIRONMENT, OWN_PROGRAMS

    return ForkServer.start(OWN_PROGRAMS, OWN_ENVIRONMENT)


def run(options: RunOptions, forks: ForkServer | None = None) -> int:
    """Runs the pipeline to its end; returns the exit code. Raises errors of the tree for what keeps it from starting."""
    from linkd.app.run.supervisor import run as supervise

    return supervise(options, forks)
