"""Tokens: who a caller is, and of which run.

A token is `EPOCH.NAME.MAC`: the run's epoch in decimal, the name of a task (or of the role `run`, `adapters` or `outsider` behind an `@`), and the
first 32 hex digits of HMAC-SHA-256 over `EPOCH.NAME` under a key that lives in the home's directory (32 random bytes in the file `key`,
mode 0600). So a token needs no store, and one of an earlier run is told from a forged one. That of an outsider is of no run (epoch 0): it says that
somebody on another machine was given it, and is good for as long as the key is.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from linkd.core.rights import OUTSIDER, Identity, Role
from linkd.core.tasks import TaskShape
from linkd.errors import NotAllowed, SessionFenced
from linkd.model.frozen import frozen

KEY_BYTES = 32
_ROLES = {"@run": Role.RUN, "@adapters": Role.ADAPTERS}
RUN_NAME = "@run"
ADAPTERS_NAME = "@adapters"
_OUTSIDER_NAME = "@outsider"
_NO_EPOCH = 0


@frozen()
class Tokens:
    """Makes and checks tokens under one key."""

    key: bytes

    @staticmethod
    def of_directory(directory: Path) -> Tokens:
        """The key of a home's directory; made on first use, readable by its owner only."""
        path = directory / "key"
        with contextlib.suppress(FileNotFoundError):
            key = path.read_bytes()
            if len(key) == KEY_BYTES:  # a shorter one was cut by a crash, and would be easy to guess
                return Tokens(key)
        key = secrets.token_bytes(KEY_BYTES)
        aside = path.with_name(f"key.tmp-{os.getpid()}")
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(key)
        aside.replace(path)
        return Tokens(key)

    def make(self, name: str, epoch: int) -> str:
        said = f"{epoch}.{name}"
        return f"{said}.{self._mac(said)}"

    def outsider(self) -> str:
        """A token that says no more than that its bearer was given one."""
        return self.make(_OUTSIDER_NAME, _NO_EPOCH)

    def identify(self, token: str, epoch: int, tasks: Mapping[str, TaskShape]) -> Identity:
        """Who shows `token`; an empty one is an outsider's.

        NotAllowed if it was never given out, SessionFenced if it is of another run than `epoch`.
        """
        if not token:
            return OUTSIDER
        said, _, mac = token.rpartition(".")
        if not hmac.compare_digest(mac.encode(), self._mac(said).encode()):
            raise NotAllowed("this token was not given out by this home: check LINKD_TOKEN_FILE")
        number, _, name = said.partition(".")
        if name == _OUTSIDER_NAME:
            return OUTSIDER
        if int(number) != epoch:
            raise SessionFenced(f"this token is of run {number}, and run {epoch} has begun: end this program; the new run has its own")
        role = _ROLES.get(name)
        if role is not None:
            return Identity(role, "", epoch)
        if name not in tasks:
            raise NotAllowed(f"this token is for the task {name}, which is not in this pipeline")
        return Identity(Role.TASK, name, epoch)

    def _mac(self, said: str) -> str:
        return hmac.new(self.key, said.encode(), hashlib.sha256).hexdigest()[:32]
