"""`--memory`, `--disk-budget`, `--stall-timeout` and `--drain-timeout`, which `serve` and `run` take alike."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from linkd import limits
from linkd.errors import InvalidArgument

MemoryOption = Annotated[
    str | None,
    typer.Option(
        "--memory", metavar="SIZE", help="Payload bytes held at once; else 256MiB, or a quarter of the cgroup's limit.", show_default=False
    ),
]
DiskBudgetOption = Annotated[
    str | None,
    typer.Option(
        "--disk-budget",
        metavar="SIZE",
        help="Bytes of disk to take at most; else what is free, less 2 GiB or 5 %.",
        show_default=False,
    ),
]
StallTimeoutOption = Annotated[
    float,
    typer.Option(
        "--stall-timeout",
        metavar="SECONDS",
        min=0.1,
        help="After this, tasks that wait for each other in a circle are ended with an error.",
    ),
]
DrainTimeoutOption = Annotated[
    float,
    typer.Option(
        "--drain-timeout",
        metavar="SECONDS",
        min=0.1,
        help="How long the calls in hand may take when links stop being served; a second signal ends at once.",
    ),
]
_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,6})?)\s*([KMGT]i?B?|B)?", re.IGNORECASE)
_FACTORS = {"": 1, "B": 1, "K": limits.KIB, "M": limits.MIB, "G": limits.GIB, "T": limits.KIB * limits.GIB}


def memory_bytes(text: str | None) -> int | None:
    """What `--memory` says, or None if it says nothing. Raises InvalidArgument."""
    return _size(text, "--memory", limits.MEMORY_BUDGET_MIN_BYTES, "less than that moves nothing") if text is not None else None


def disk_budget_bytes(text: str | None) -> int | None:
    """What `--disk-budget` says, or None if it says nothing. Raises InvalidArgument."""
    return _size(text, "--disk-budget", limits.DISK_BUDGET_MIN_BYTES, "the journal alone takes that") if text is not None else None


def _size(text: str, option: str, least_bytes: int, reason: str) -> int:
    """Bytes in `256MiB`, `1.5G` or `1048576`; K, M, G and T are powers of 1024."""
    matched = _SIZE.fullmatch(text.strip())
    if matched is None:
        raise InvalidArgument(f"{option} {text}: not a size; write it like 256MiB or 1GiB")
    size_bytes = int(float(matched[1]) * _FACTORS[(matched[2] or "").upper()[:1]])
    if size_bytes < least_bytes:
        raise InvalidArgument(f"{option} {text}: give at least {least_bytes // limits.MIB}MiB ({reason})")
    return size_bytes
