"""The gRPC server of a home: build (bind), start, drain. Health and reflection included. It listens on a unix socket, and on TCP when told."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer

from linkd.core.listening import ListenAddress
from linkd.errors import InvalidArgument
from linkd.faces.bulk_turns import BulkTurns
from linkd.faces.call import Presence
from linkd.faces.flight import FlightService
from linkd.faces.flight_methods import FLIGHT, flight_handlers
from linkd.faces.grpc_call import grpc_handler
from linkd.faces.reflection import ReflectionHandler
from linkd.faces.routes import Route
from linkd.faces.tcp import TcpPort
from linkd.faces.tls import Tell
from linkd.home.home import Home
from linkd.limits import (
    DRAIN_LAST_ANSWER_S,
    GRPC_RECEIVE_MAX_BYTES,
    SOCKET_PATH_MAX_BYTES,
    STREAMS_PER_CONNECTION_MAX,
)
from linkd.telemetry.events import CertificateReplaced
from linkd.wire.methods import ARTIFACTS, LINKS, RUNS

OPTIONS: tuple[tuple[str, int], ...] = (
    # Of all methods, for the sake of Flight, whose batches come and go in one piece; those of `linkd.v1` take less.
    ("grpc.max_receive_message_length", GRPC_RECEIVE_MAX_BYTES),
    ("grpc.max_send_message_length", -1),
    ("grpc.so_reuseport", 0),
    ("grpc.max_concurrent_streams", STREAMS_PER_CONNECTION_MAX),
    # Clients that sleep over a long task ping; a strict server would send them away.
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
)


@dataclass(slots=True)
class GrpcFace:
    """A server on one unix socket, mode 0600, and perhaps on a TCP port, `tcp`."""

    server: grpc.aio.Server
    socket_path: Path
    health: HealthServicer
    flight: FlightService
    presence: Presence
    tcp: ListenAddress | None = None

    @staticmethod
    async def build(
        socket_path: Path,
        routes: Mapping[str, Route],
        flight: FlightService,
        presence: Presence,
        turns: BulkTurns,
        tcp: TcpPort | None = None,
    ) -> GrpcFace:
        """Binds; nothing is answered yet. A socket that nobody serves is replaced.

        Raises InvalidArgument if the path cannot be a socket, or the port cannot be had.
        """
        if len(os.fsencode(socket_path)) > SOCKET_PATH_MAX_BYTES:
            raise InvalidArgument(
                f"the socket path {socket_path} has {len(os.fsencode(socket_path))} bytes, and a unix socket takes {SOCKET_PATH_MAX_BYTES}: "
                "give a shorter one with --socket"
            )
        _make_way(socket_path)
        server = grpc.aio.server(options=OPTIONS)
        server.add_generic_rpc_handlers((*_handlers(routes, turns), flight_handlers(flight, presence, turns)))
        servicer = HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
        server.add_generic_rpc_handlers((ReflectionHandler((LINKS, RUNS, ARTIFACTS, FLIGHT, health.SERVICE_NAME)),))
        listening = tcp.bind(server, _teller(flight.home)) if tcp is not None else None
        mask = os.umask(0o177)
        try:
            server.add_insecure_port(f"unix:{socket_path}")
        except RuntimeError as error:
            raise InvalidArgument(f"cannot listen on {socket_path}: {error}") from error
        finally:
            os.umask(mask)
        return GrpcFace(server, socket_path, servicer, flight, presence, listening)

    @property
    def endpoint(self) -> str:
        return f"unix:{self.socket_path}"

    async def start(self) -> None:
        await self.server.start()
        for service in ("", LINKS, RUNS, ARTIFACTS, FLIGHT):
            await self.health.set(service, health_pb2.HealthCheckResponse.SERVING)

    async def drain(self, grace_s: float) -> None:
        """Takes no new calls, lets those in hand finish for `grace_s`, then ends them. Whoever only watches the health is not waited for."""
        await self.health.enter_graceful_shutdown()
        async with asyncio.TaskGroup() as group:
            stopping = group.create_task(self.server.stop(grace_s), name="linkd server: stop")
            gone = group.create_task(self.presence.gone_for(DRAIN_LAST_ANSWER_S), name="linkd server: calls")
            await asyncio.wait((stopping, gone), return_when=asyncio.FIRST_COMPLETED)
            gone.cancel()
            await self.server.stop(0.0)
        self.socket_path.unlink(missing_ok=True)


def _teller(home: Home) -> Tell:
    """What the threads of gRPC tell is emitted in the loop."""
    loop = asyncio.get_running_loop()

    def tell(certificate: Path, problem: str) -> None:
        loop.call_soon_threadsafe(home.telemetry.emit, CertificateReplaced(path=str(certificate), detail=problem))

    return tell


def _make_way(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        if not path.parent.is_dir():
            raise InvalidArgument(f"the directory of the socket, {path.parent}, is not there") from None
        return
    if not stat.S_ISSOCK(mode):
        raise InvalidArgument(f"{path} is there and is not a socket: give another path with --socket")
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(os.fspath(path))
        except OSError:
            path.unlink()
        else:
            raise InvalidArgument(f"{path} is served by another process: give another path with --socket, or end that process")


def _handlers(routes: Mapping[str, Route], turns: BulkTurns) -> tuple[grpc.GenericRpcHandler[Any, Any], ...]:
    services: dict[str, dict[str, Any]] = {LINKS: {}, RUNS: {}, ARTIFACTS: {}}
    for route in routes.values():
        services[route.method.service][route.method.name] = grpc_handler(route, turns)
    return tuple(grpc.method_handlers_generic_handler(service, handlers) for service, handlers in services.items())
