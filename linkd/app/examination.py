"""What `linkd doctor` looks at: one function for each, which says how it is, whether that is well, and what to do if it is not.

All of it is measured or asked here and now; nothing is changed but for a file without a name that the disk is tried with.
"""

from __future__ import annotations

import enum
import importlib
import os
import platform
import resource
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from importlib import metadata
from pathlib import Path

from linkd.app.cgroup import memory_budget_bytes, memory_limit_bytes
from linkd.app.state import socket_path
from linkd.app.wording import size_text
from linkd.core.disk import budget_bytes
from linkd.device import Nature, Probed, probe
from linkd.errors import Error
from linkd.home.disk import volume_of
from linkd.limits import CLOCK_EARLIEST_S, OPEN_FILES_NEEDED, SOCKET_PATH_MAX_BYTES, SYNC_SLOW_S
from linkd.model.frozen import frozen
from linkd.store.directory import linkd_version, read_format
from linkd.store.files import LocalFiles

_LIBRARIES = ("grpcio", "protobuf", "xxhash", "uvloop")
_IMPORTED = {"pyarrow": "values as tables, files, SQL", "duckdb": "SQL"}
_SECRETS = ("key", "token", "tokens")
_US = 1e-6


class Verdict(enum.StrEnum):
    """How it is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@frozen()
class Examined:
    """One thing that was looked at. `remedy` says what to do, "" if nothing."""

    name: str
    verdict: Verdict
    said: str
    remedy: str = ""


def examine(directory: Path) -> Iterator[Examined]:
    """All there is to look at. `directory` need not be there: then it is the nearest one above that is."""
    there = next(path for path in (directory, *directory.absolute().parents) if path.is_dir())
    yield versions()
    yield from libraries()
    yield format_of(directory)
    yield from disk(there, probe)
    yield room(there)
    yield memory(memory_limit_bytes(), memory_budget_bytes())
    yield clock(time.time(), newest_change(directory))
    yield socket(directory)
    yield open_files(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    yield access(directory)


def versions() -> Examined:
    said = f"linkd {linkd_version()}, Python {platform.python_version()}, {platform.system()} {platform.release()}"
    return Examined("versions", Verdict.OK, said)


def libraries(load: Callable[[str], object] = importlib.import_module) -> Iterator[Examined]:
    """What linkd is built on, and whether the large ones can be imported at all."""
    found = []
    for name in _LIBRARIES:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            found.append(f"no {name}")
    yield Examined("libraries", Verdict.OK, ", ".join(found))
    for name, use in _IMPORTED.items():
        try:
            module = load(name)
        except ImportError as problem:
            yield Examined(name, Verdict.WARN, f"cannot be imported ({problem})", f"pip install {name}; without it there is no {use}")
        else:
            yield Examined(name, Verdict.OK, str(getattr(module, "__version__", "")))


def format_of(directory: Path) -> Examined:
    """Whether it is a directory that this linkd reads."""
    if not (directory / "format.json").exists() and not (directory / "journal").exists():
        return Examined("state", Verdict.OK, f"nothing in {directory} yet")
    try:
        said = read_format(LocalFiles(), directory)
    except Error as problem:
        return Examined("state", Verdict.FAIL, str(problem), "see what it says; `linkd verify` reads all of it")
    by = f", written by linkd {said.written_by}" if said.written_by else ""
    return Examined("state", Verdict.OK, f"{directory}: format {said.version}{by}")


def disk(directory: Path, measure: Callable[[Path], Probed]) -> Iterator[Examined]:
    """What the directory lies on, and what a sync takes there."""
    try:
        found = measure(directory)
    except OSError as problem:
        yield Examined("disk", Verdict.FAIL, f"{directory} cannot be written to: {problem.strerror}", "make it writable for this user")
        return
    device, sync = found.device, f"a sync takes {found.sync_s / _US:,.0f} us"
    kind = device.kind or "a file system without a name"
    if device.nature is Nature.NETWORK:
        yield Examined("disk", Verdict.FAIL, device.why, "keep the state on a disk of this machine: linkd serve --dir DIR")
    elif device.nature is Nature.VOLATILE:
        yield Examined("disk", Verdict.WARN, device.why, "acks say `memory` here; for more, keep the state on a disk")
    else:
        yield Examined("disk", Verdict.OK, kind)
    if found.honest is False and device.nature is Nature.SOLID:
        remedy = (
            "no disk is that fast: something below ignores syncs. A power cut may lose what was acked, so acks say `memory` here. Look at "
            "the disk's write cache"
        )
        yield Examined("sync", Verdict.WARN, sync, remedy)
    elif found.sync_s > SYNC_SLOW_S:
        yield Examined("sync", Verdict.WARN, sync, "every durable ack waits for one; a disk with power loss protection takes a tenth")
    else:
        yield Examined("sync", Verdict.OK, sync)


def room(directory: Path) -> Examined:
    """What is free, and what linkd takes of it."""
    volume = volume_of(directory)
    held = (
        sum(path.stat().st_size for path in directory.rglob("*") if path.is_file() and not path.is_symlink())
        if (directory / "journal").is_dir()
        else 0
    )
    budget = budget_bytes(None, held, volume)
    said = f"{size_text(volume.free_bytes)} free of {size_text(volume.size_bytes)}; linkd has {size_text(held)} and takes {size_text(budget)} at most"
    if budget <= held:
        return Examined("room", Verdict.FAIL, said, "free some room: publishing waits for it")
    return Examined("room", Verdict.OK, said)


def memory(limit_bytes: int | None, budget: int) -> Examined:
    """What a home may hold at once."""
    limit = f"; this control group has {size_text(limit_bytes)}" if limit_bytes is not None else "; there is no limit on this process"
    said = f"{size_text(budget)} of payloads at once{limit}"
    if limit_bytes is not None and limit_bytes < 2 * budget:
        return Examined("memory", Verdict.WARN, said, "give it more, or say --memory: linkd needs some beside the payloads")
    return Examined("memory", Verdict.OK, said)


def clock(now_s: float, newest_s: float) -> Examined:
    """Whether the time can be right: after this was written, and not before what is there already."""
    said = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now_s))
    remedy = "set the clock: values are dated by it, and kept by their age"
    if now_s < CLOCK_EARLIEST_S:
        return Examined("clock", Verdict.FAIL, f"{said} is before linkd was written", remedy)
    if newest_s > now_s + 1:
        ahead = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(newest_s))
        return Examined("clock", Verdict.WARN, f"{said}, and the newest file here is of {ahead}", remedy)
    return Examined("clock", Verdict.OK, said)


def newest_change(directory: Path) -> float:
    """When a file of the journal was written to last, by the clock of then; 0 if there is none."""
    return max((path.stat().st_mtime for path in (directory / "journal").glob("*.journal")), default=0.0)


def socket(directory: Path) -> Examined:
    """The path of the home's socket is bounded by the system."""
    try:
        path = socket_path(directory)
    except Error as problem:
        return Examined("socket", Verdict.FAIL, str(problem), "see what it says")
    length = len(os.fsencode(path))
    said = f"{path} ({length} bytes)"
    if length > SOCKET_PATH_MAX_BYTES:
        return Examined("socket", Verdict.FAIL, said, f"set XDG_RUNTIME_DIR to a shorter path: {SOCKET_PATH_MAX_BYTES} bytes are possible")
    return Examined("socket", Verdict.OK, said)


def open_files(soft: int) -> Examined:
    """How many files a process of this user may have open."""
    unlimited = soft == resource.RLIM_INFINITY
    said = "no limit" if unlimited else f"{soft:,} at once"
    if not unlimited and soft < OPEN_FILES_NEEDED:
        return Examined("open files", Verdict.WARN, said, f"ulimit -n {OPEN_FILES_NEEDED}: connections and files share them")
    return Examined("open files", Verdict.OK, said)


def access(directory: Path, uid: int | None = None) -> Examined:
    """Whether anybody else can get at the state."""
    if not directory.exists():
        return Examined("access", Verdict.OK, "nothing is there yet")
    uid = os.getuid() if uid is None else uid
    owner = directory.stat().st_uid
    if owner != uid:
        said = f"{directory} belongs to user {owner}, this is user {uid}"
        return Examined("access", Verdict.FAIL if uid else Verdict.WARN, said, "run linkd as the user that the directory belongs to")
    parts = ("journal", "segments", "checkpoints", "envelopes", "catalog.db", *_SECRETS)
    open_ = [name for name in parts if _others_get_in(directory, name)]
    if open_ and _others_get_in(directory, "."):
        remedy = f"chmod -R go= {directory}: who can read these can read every value, and act as any task"
        return Examined("access", Verdict.WARN, f"other users can get at {', '.join(open_)}", remedy)
    return Examined("access", Verdict.OK, "this user alone")


def _others_get_in(directory: Path, name: str) -> bool:
    try:
        return bool((directory / name).stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))
    except OSError:
        return False


def document(examined: list[Examined]) -> Mapping[str, object]:
    """For programs."""
    checks = [{"name": one.name, "verdict": str(one.verdict), "said": one.said, "remedy": one.remedy} for one in examined]
    return {"ok": not any(one.verdict is Verdict.FAIL for one in examined), "checks": checks}
