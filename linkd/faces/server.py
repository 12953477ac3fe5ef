"""What a home listens with: gRPC for everybody, the lane for programs on the same host, one implementation of each operation behind both."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from linkd.core.listening import ListenAddress
from linkd.faces.bulk_turns import BulkTurns
from linkd.faces.call import Presence
from linkd.faces.flight import FlightService
from linkd.faces.flight_sql import FlightSql
from linkd.faces.grpc_server import GrpcFace
from linkd.faces.lane_files import FilesService
from linkd.faces.lane_server import LaneFace
from linkd.faces.lane_session import LaneSessions
from linkd.faces.links import LinksService
from linkd.faces.routes import Route, routes
from linkd.faces.runs import RunsService
from linkd.faces.tcp import TcpPort
from linkd.wire.methods import FILES


@dataclass(slots=True)
class Server:
    """Both roads. `build`, `start`, `drain`."""

    grpc: GrpcFace
    lane: LaneFace

    @staticmethod
    async def build(socket_path: Path, links: LinksService, runs: RunsService, presence: Presence, tcp: TcpPort | None = None) -> Server:
        """Binds; nothing is answered yet. Sockets that nobody serves are replaced.

        Raises InvalidArgument if the path cannot be a socket, or the TCP port cannot be had.
        """
        answers = routes(links, runs, presence)
        turns = BulkTurns()
        grpc = await GrpcFace.build(socket_path, answers, FlightService(links, FlightSql(links)), presence, turns, tcp)
        sessions = LaneSessions(links.home)
        links.home.store.shared.on_gone = sessions.gone
        files = Route(FILES, presence.counted(FilesService(links.home, sessions).files))
        return Server(grpc, await LaneFace.build(socket_path, {**answers, FILES.path: files}, sessions, turns))

    @property
    def endpoint(self) -> str:
        """As clients are told it: the socket of gRPC, beside which that of the lane lies."""
        return self.grpc.endpoint

    @property
    def tcp(self) -> ListenAddress | None:
        """Where it listens for programs on other machines."""
        return self.grpc.tcp

    async def start(self) -> None:
        await self.lane.start()
        await self.grpc.start()

    async def drain(self, grace_s: float) -> None:
        """Takes no new calls, lets those in hand finish for `grace_s`, then ends them."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.lane.drain(grace_s), name="linkd lane: drain")
            group.create_task(self.grpc.drain(grace_s), name="linkd gRPC: drain")
