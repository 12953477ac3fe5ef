"""What `linkd run` may be asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path

from linkd.limits import DRAIN_TIMEOUT_S, MEMO_CHECK_TIMEOUT_S, RUN_END_TIMEOUT_S, STALL_AFTER_S
from linkd.model.frozen import frozen


@frozen()
class RunOptions:
    """What `linkd run` was asked. `pipeline` is a file, or a directory in or above which there is one.

    `only` are links that are to be current, `without` tasks whose place stays open, `params` what is said instead of the file's parameters.
    With `check_cache` tasks whose outcomes are remembered run again, and these are compared.
    """

    pipeline: Path
    only: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    params: Mapping[str, str] = field(default_factory=dict)
    follow: bool = False
    dry_run: bool = False
    strict: bool = False
    reset: bool = False
    check_cache: bool = False
    quiet: bool = False
    verbose: bool = False
    json: bool = False
    http_port: int | None = None
    memory_bytes: int | None = None
    disk_budget_bytes: int | None = None
    stall_timeout_s: float = STALL_AFTER_S
    drain_timeout_s: float = DRAIN_TIMEOUT_S

    @property
    def end_timeout_s(self) -> float:
        """How long the home may take to end the run: what was made again may have to be compared to its end."""
        return MEMO_CHECK_TIMEOUT_S if self.check_cache else RUN_END_TIMEOUT_S

    @property
    def budgets(self) -> Mapping[str, float | None]:
        """What the home may take of the machine and of time, as its settings have it."""
        return {
            "memory_bytes": self.memory_bytes,
            "disk_budget_bytes": self.disk_budget_bytes,
            "stall_timeout_s": self.stall_timeout_s,
            "drain_timeout_s": self.drain_timeout_s,
        }
