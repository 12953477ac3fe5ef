"""The home's lane: its socket, its connections, and the tasks of their calls (proto/linkd/v1/lane.proto)."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from linkd.errors import InvalidArgument
from linkd.faces.bulk_turns import BulkTurns
from linkd.faces.lane import LaneConnection
from linkd.faces.lane_session import LaneSessions
from linkd.faces.routes import Route
from linkd.limits import LANE_ACCEPT_RETRY_S, LANE_BACKLOG, LANE_CONNECTIONS_MAX, SOCKET_PATH_MAX_BYTES
from linkd.wire.lane import SOCKET_SUFFIX

log = logging.getLogger("linkd.faces")


@dataclass(slots=True)
class LaneFace:
    """A server on the unix socket beside that of gRPC, mode 0600. `build`, `start`, `drain`.

    Beyond `connections_max` a connection is ended at once.
    """

    path: Path
    routes: Mapping[str, Route]
    sessions: LaneSessions
    turns: BulkTurns
    connections_max: int = LANE_CONNECTIONS_MAX
    _listening: socket.socket | None = None
    _connections: set[LaneConnection] = field(default_factory=set)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _gone: asyncio.Event = field(default_factory=asyncio.Event)
    """No connection is open."""

    @staticmethod
    async def build(grpc_path: Path, routes: Mapping[str, Route], sessions: LaneSessions, turns: BulkTurns) -> LaneFace:
        """Binds, if the path is not too long for a socket; nothing is answered yet. The socket of gRPC at `grpc_path` is ours already."""
        path = grpc_path.with_name(grpc_path.name + SOCKET_SUFFIX)
        face = LaneFace(path, routes, sessions, turns)
        face._gone.set()
        if len(os.fsencode(path)) > SOCKET_PATH_MAX_BYTES:
            log.warning("%s is too long for a unix socket: programs reach linkd by gRPC only", path)
            return face
        path.unlink(missing_ok=True)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listening.setblocking(False)
        mask = os.umask(0o177)
        try:
            listening.bind(os.fspath(path))
        except OSError as error:
            listening.close()
            raise InvalidArgument(f"cannot listen on {path}: {error}") from error
        finally:
            os.umask(mask)
        face._listening = listening
        return face

    async def start(self) -> None:
        if self._listening is not None:
            self._listening.listen(LANE_BACKLOG)
            asyncio.get_running_loop().add_reader(self._listening, self._accept, self._listening)

    async def drain(self, grace_s: float) -> None:
        """Takes no new calls, lets those in hand finish for `grace_s`, then ends them."""
        listening, self._listening = self._listening, None
        if listening is None:
            return
        asyncio.get_running_loop().remove_reader(listening)
        listening.close()  # and with it, whoever is in line there
        self.path.unlink(missing_ok=True)
        for connection in list(self._connections):
            connection.drain()
        calls = [connection.call for connection in self._connections if connection.call is not None]
        if calls:
            await asyncio.wait(calls, timeout=grace_s)
        for connection in list(self._connections):
            connection.close()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._gone.wait()

    def _accept(self, listening: socket.socket) -> None:
        """Takes who is in line. asyncio's own server is not used: what it has accepted in the turn in which it is closed is neither told of nor
        closed (`BaseSelectorEventLoop._accept_connection2`), and a client waits for ever at the other end."""
        for _ in range(LANE_BACKLOG):
            try:
                accepted, _ = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as problem:
                self._pause(listening, problem)
                return
            accepted.setblocking(False)
            if len(self._connections) >= self.connections_max:
                accepted.close()
                continue
            connection = LaneConnection(self.routes, self.sessions, self.turns, self._spawn, self._lost)
            self._connections.add(connection)
            self._gone.clear()
            self._spawn(self._connect(connection, accepted), "linkd lane: accepted")

    def _pause(self, listening: socket.socket, problem: OSError) -> None:
        """There are too many open files, say: who is in line stays there for a moment, in which others may leave."""
        log.warning("the lane takes no connections for %g s: %s", LANE_ACCEPT_RETRY_S, problem)
        loop = asyncio.get_running_loop()
        loop.remove_reader(listening)
        loop.call_later(LANE_ACCEPT_RETRY_S, self._accept_again, listening)

    def _accept_again(self, listening: socket.socket) -> None:
        if listening.fileno() >= 0:
            asyncio.get_running_loop().add_reader(listening, self._accept, listening)

    async def _connect(self, connection: LaneConnection, accepted: socket.socket) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(lambda: connection, accepted)
        except BaseException:
            accepted.close()
            self._lost(connection)
            raise

    def _lost(self, connection: LaneConnection) -> None:
        self._connections.discard(connection)
        if not self._connections:
            self._gone.set()

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
