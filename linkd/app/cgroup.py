"""How much memory this process may have, by its control group: what a container, a pod or a systemd unit was given.

Of version 2 it is `memory.max`, of version 1 `memory.limit_in_bytes`, of the group the process is in or of any group above it, whichever is
least. Where a group lies is said by `/proc/self/cgroup` (its path) and `/proc/self/mountinfo` (where the hierarchy is mounted, and from which
path on: in a container often the container's own). Where there is nothing of it (macOS, no limit) there is no answer, and that is fine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from linkd.limits import MEMORY_BUDGET_BYTES, MEMORY_SHARE_OF_CGROUP

Read = Callable[[str], str | None]
"""The text of a file, or None if it cannot be read."""

_NO_LIMIT_BYTES = 2**62
"""Version 1 says "no limit" as the largest multiple of a page below 2**63."""
_KINDS = {"cgroup2": "memory.max", "cgroup": "memory.limit_in_bytes"}


def memory_budget_bytes(read: Read | None = None) -> int:
    """What the home takes for payloads unless it is told: `MEMORY_BUDGET_BYTES`, or a part of the group's limit if that is less."""
    limit_bytes = memory_limit_bytes(read)
    return MEMORY_BUDGET_BYTES if limit_bytes is None else min(MEMORY_BUDGET_BYTES, limit_bytes // MEMORY_SHARE_OF_CGROUP)


def memory_limit_bytes(read: Read | None = None) -> int | None:
    """The limit on this process, or None if there is none."""
    read = read or _read
    found = [limit for directory, name in _groups(read) for limit in _limits(read, directory, name)]
    return min(found, default=None)


def _groups(read: Read) -> Iterator[tuple[tuple[PurePosixPath, PurePosixPath], str]]:
    """(the mount point, the directory of our group in it) and the name of the limit's file, of each hierarchy that has memory."""
    paths = dict(_paths(read("/proc/self/cgroup") or ""))
    for line in (read("/proc/self/mountinfo") or "").splitlines():
        before, dash, behind = line.partition(" - ")
        kind, options = (behind.split() + [""] * 3)[:3:2]
        fields = before.split()
        if not dash or kind not in _KINDS or len(fields) < 5 or (kind == "cgroup" and "memory" not in options.split(",")):
            continue
        root, mount = PurePosixPath(fields[3]), PurePosixPath(fields[4])
        path = paths.get(kind)
        if path is None:
            continue
        inside = path.relative_to(root) if path.is_relative_to(root) else PurePosixPath()
        yield (mount, mount / inside), _KINDS[kind]


def _paths(text: str) -> Iterator[tuple[str, PurePosixPath]]:
    """The path of our group, by the kind of hierarchy: lines are `number:controllers:path`."""
    for line in text.splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            yield "cgroup2", PurePosixPath(path or "/")
        elif "memory" in controllers.split(","):
            yield "cgroup", PurePosixPath(path or "/")


def _limits(read: Read, place: tuple[PurePosixPath, PurePosixPath], name: str) -> Iterator[int]:
    """The limits of a group and of those above it. A group that is not there (its path is that of another namespace) has those above it."""
    mount, directory = place
    while directory.is_relative_to(mount):
        text = (read(str(directory / name)) or "").strip()
        if text.isdigit() and int(text) < _NO_LIMIT_BYTES:
            yield int(text)
        if directory == mount:
            return
        directory = directory.parent


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text()
    except (OSError, ValueError):
        return None
