"""A real PostgreSQL for tests and benchmarks: a server of its own in a temporary directory, on a free port, killed and started at will.

    server = PostgresServer.start()          # PostgresMissing where there is none: apt-get install postgresql
    server.url("?table=orders")
    server.kill(); server.up()
    server.stop()

PostgreSQL refuses to run as root; for root it runs as `postgres`, or as `nobody`.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_INSTALLED = Path("/usr/lib/postgresql")
_SETTINGS = (
    "fsync=off",
    "shared_buffers=64MB",
    "listen_addresses=127.0.0.1",
    "logging_collector=off",
    "max_wal_size=4GB",
    "log_statement=none",
)
_START_TIMEOUT_S = 30
_AS_USER = """import os, pwd, sys
user = pwd.getpwnam(sys.argv[1])
os.setgroups([])
os.setgid(user.pw_gid)
os.setuid(user.pw_uid)
os.execv(sys.argv[2], sys.argv[2:])
"""
"""A process of its own, for `subprocess` forks to change the user, and a fork of a process that has used gRPC may die before the program begins."""


class PostgresMissing(Exception):
    """There is no PostgreSQL on this machine."""


@dataclass(slots=True)
class PostgresServer:
    """A server whose superuser is `postgres`, without a password, and `guarded`, whose password is `s3cret:/@#`."""

    directory: Path
    binaries: Path
    port: int
    settings: Sequence[str] = _SETTINGS

    @staticmethod
    def start(settings: Sequence[str] = _SETTINGS) -> PostgresServer:
        """One that answers. Raises PostgresMissing."""
        found = shutil.which("initdb")
        directories = [Path(found).resolve().parent] if found else sorted(_INSTALLED.glob("*/bin"), reverse=True)
        binaries = next((path for path in directories if (path / "initdb").exists() and (path / "postgres").exists()), None)
        if binaries is None:
            raise PostgresMissing("no PostgreSQL is installed: apt-get install postgresql")
        directory = Path(tempfile.mkdtemp(prefix="linkd-postgres-"))
        if os.getuid() == 0:
            os.chown(directory, pwd.getpwnam(_user()).pw_uid, -1)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port: int = free.getsockname()[1]
        server = PostgresServer(directory, binaries, port, settings)
        server._run("initdb", "-D", str(server.data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        rules = "local all all trust\nhost all guarded 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n"
        (server.data / "pg_hba.conf").write_text(rules)
        server.up()
        server.psql("CREATE ROLE guarded LOGIN PASSWORD 's3cret:/@#'")
        return server

    @property
    def data(self) -> Path:
        return self.directory / "data"

    def url(self, rest: str = "", *, database: str = "postgres", user: str = "postgres") -> str:
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}{rest}"

    def psql(self, statement: str, database: str = "postgres") -> str:
        """What psql prints for it, unaligned and without headings."""
        command = [str(self.binaries / "psql"), "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres"]
        done = subprocess.run([*command, "-d", database, "-c", statement], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"psql: {done.stderr}")
        return done.stdout.rstrip("\n")

    def up(self) -> None:
        """Starts it; returns when it answers."""
        options = " ".join(["-F", f"-p {self.port}", f"-k {self.directory}", *(f"-c {setting}" for setting in self.settings)])
        self._run(
            "pg_ctl", "-D", str(self.data), "-w", "-t", str(_START_TIMEOUT_S), "-l", str(self.directory / "log"), "-o", options, "start"
        )

    def kill(self) -> None:
        """Ends all of it at once, in the middle of whatever it does: what was committed is there when it is `up` again."""
        self._run("pg_ctl", "-D", str(self.data), "-m", "immediate", "-w", "stop")

    def stop(self) -> None:
        """Ends it, and removes all that it had."""
        if (self.data / "postmaster.pid").exists():
            self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _run(self, program: str, *words: str) -> None:
        command = [str(self.binaries / program), *words]
        if os.getuid() == 0:
            command = [sys.executable, "-I", "-c", _AS_USER, _user(), *command]
        done = subprocess.run(
            command, cwd=self.directory, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, start_new_session=True,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stdout}")


def _user() -> str:
    """Whom it runs as for root."""
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    raise PostgresMissing("PostgreSQL refuses to run as root, and there is neither a user `postgres` nor `nobody`")
