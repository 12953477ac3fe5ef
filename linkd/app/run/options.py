"""What `linkd run` may be asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What `linkd run` was asked. `pipeline` is a file, or a directory in or above which there is one.

    `only` are links that are to be current, `without` tasks whose place stays open, `params` what is said instead of the file's parameters.
    """

    pipeline: Path
    only: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    params: Mapping[str, str] = field(default_factory=dict)
    follow: bool = False
    dry_run: bool = False
    strict: bool = False
    reset: bool = False
    quiet: bool = False
    verbose: bool = False
    json: bool = False
    http_port: int | None = None
