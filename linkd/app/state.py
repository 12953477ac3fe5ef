"""Where a pipeline's state lies, and who holds it.

    .linkd/.gitignore            `*`: state is nobody's source
    .linkd/PIPELINE/             beside the pipeline file
        lock                     held (flock) by the one home of the directory, for its life; JSON: kind, pid
        run.lock                 held by the one `linkd run`, for its life; JSON: pid
        home.json                the present home: {"endpoint": "unix:...", "pid": n, "tcp": "HOST:PORT"}; absent when there is none
        groups.json              process groups that a run started: [{"pid": n, "started": as the system tells it, "name": ...}]
        key, tokens/TASK, token  secrets, mode 0600; the last one is for outsiders on other machines
        logs/TASK.log            what programs printed
        journal/ segments/ staging/ catalog.db ...   the store's

Locks are of the open file, so they end with their process whatever happens. Sockets are elsewhere, in a short private directory, because a
socket's path is bounded to about a hundred bytes and a project's is not.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from linkd.errors import StateDamaged, StateLocked
from linkd.model.frozen import frozen

STATE_NAME = ".linkd"

SUPERVISED = "linkd run"
ON_DEMAND = "a linkd home started for a reader"
STANDALONE = "linkd serve"
"""Who may hold a home's lock, as it says in the file and as people read it."""


def state_directory(pipeline_directory: Path, pipeline: str) -> Path:
    """Where the state of that pipeline lies."""
    return pipeline_directory / STATE_NAME / pipeline


def make_state_directory(directory: Path) -> None:
    """Makes it, with a `.gitignore` above it. Raises StateDamaged if it cannot be."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if directory.parent.name == STATE_NAME:
            ignore = directory.parent / ".gitignore"
            if not ignore.exists():
                ignore.write_text("*\n")
    except OSError as error:
        raise StateDamaged(f"cannot keep state in {directory}: {error.strerror}; make the directory writable") from error


def socket_directory() -> Path:
    """A short directory of this user's own, mode 0700. Raises StateDamaged if somebody else's stands in its place."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    base = Path(runtime) / "linkd" if runtime and Path(runtime).is_dir() else Path(tempfile.gettempdir()) / f"linkd-{os.getuid()}"
    if len(os.fsencode(base)) > 60:
        base = Path(f"/tmp/linkd-{os.getuid()}")
    base.mkdir(mode=0o700, exist_ok=True)
    found = base.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise StateDamaged(f"{base} is not a directory of yours: remove it, or set XDG_RUNTIME_DIR to a private directory")
    if stat.S_IMODE(found.st_mode) != 0o700:
        base.chmod(0o700)
    return base


def socket_path(directory: Path) -> Path:
    """The socket of the home of `directory`: always the same one, so a client that waits for a new home need not ask."""
    name = hashlib.blake2b(os.fsencode(directory.resolve()), digest_size=8).hexdigest()
    return socket_directory() / f"{name}.sock"


@frozen()
class Holder:
    """Who holds a lock, as far as it said."""

    kind: str
    pid: int

    def __str__(self) -> str:
        return f"{self.kind} (pid {self.pid})" if self.pid else self.kind


class Lock:
    """A lock on a file, held until `release` or the end of the process (and of those it was passed to)."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.descriptor = descriptor

    @staticmethod
    def take(path: Path, kind: str) -> Lock:
        """Takes the lock at once. Raises StateLocked naming the holder, StateDamaged if the file cannot be made."""
        descriptor = _open_lock(path)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise StateLocked(f"{path.parent} is in use by {holder(path)}") from None
        lock = Lock(path, descriptor)
        lock.say(kind)
        return lock

    @staticmethod
    def wait(path: Path, kind: str) -> Lock:
        """Takes the lock when its holder lets go. Blocks."""
        descriptor = _open_lock(path)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        lock = Lock(path, descriptor)
        lock.say(kind)
        return lock

    @staticmethod
    def inherit(path: Path, descriptor: int, kind: str) -> Lock:
        """The lock that the parent process took and passed on as `descriptor`."""
        os.set_inheritable(descriptor, False)
        lock = Lock(path, descriptor)
        lock.say(kind)
        return lock

    def say(self, kind: str) -> None:
        """Writes who holds it into the file."""
        content = json.dumps({"kind": kind, "pid": os.getpid()}).encode()
        os.ftruncate(self.descriptor, 0)
        os.pwrite(self.descriptor, content, 0)

    def release(self) -> None:
        """Ends it here; a process it was passed to keeps it."""
        os.close(self.descriptor)


def _open_lock(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StateDamaged(f"cannot open {path}: {error.strerror}") from error


def holder(path: Path) -> Holder:
    """Who says to hold the lock at `path`."""
    try:
        told = json.loads(path.read_text())
        return Holder(str(told["kind"]), int(told["pid"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Holder("another process", 0)


def write_json(path: Path, content: Mapping[str, Any] | list[Any], *, mode: int = 0o600) -> None:
    """Replaces a small file of ours by rename, so that a reader sees the old or the new."""
    aside = path.with_name(f"{path.name}.tmp-{os.getpid()}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w") as file:
        json.dump(content, file)
    aside.replace(path)


def read_json(path: Path) -> Any:
    """The content of a small file of ours, or None if it is not there or was cut."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None
