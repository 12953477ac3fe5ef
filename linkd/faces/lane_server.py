"""The home's lane: its socket, its connections, and the tasks of their calls (proto/linkd/v1/lane.proto)."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from linkd.errors import InvalidArgument
from linkd.faces.bulk_turns import BulkTurns
from linkd.faces.lane import LaneConnection
from linkd.faces.lane_session import LaneSessions
from linkd.faces.routes import Route
from linkd.limits import LANE_CONNECTIONS_MAX, SOCKET_PATH_MAX_BYTES
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
    _server: asyncio.Server | None = None
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
        mask = os.umask(0o177)
        try:
            face._server = await asyncio.get_running_loop().create_unix_server(face._connection, path, start_serving=False)
        except OSError as error:
            raise InvalidArgument(f"cannot listen on {path}: {error}") from error
        finally:
            os.umask(mask)
        return face

    async def start(self) -> None:
        if self._server is not None:
            await self._server.start_serving()

    async def drain(self, grace_s: float) -> None:
        """Takes no new calls, lets those in hand finish for `grace_s`, then ends them."""
        if self._server is None:
            return
        self._server.close()
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

    def _connection(self) -> LaneConnection:
        connection = LaneConnection(self.routes, self.sessions, self.turns, self._spawn, self._lost)
        if len(self._connections) < self.connections_max:
            self._connections.add(connection)
            self._gone.clear()
        else:
            connection.drain()
        return connection

    def _lost(self, connection: LaneConnection) -> None:
        self._connections.discard(connection)
        if not self._connections:
            self._gone.set()

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
