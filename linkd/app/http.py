"""`/livez`, `/readyz` and `/metrics` over HTTP, for probes and scrapers.

    GET /livez    200 `ok` as long as the event loop turns, also while draining: restarting what drains would lose its grace
    GET /readyz   200 `ok`, or 503 with the reason: starting, draining, or the disk has failed. Behind `ok` a line for each thing that a person
                  should know, such as a disk that is nearly full
    GET /metrics  Prometheus text, or OpenMetrics where the `Accept` header asks for it

Everything else is 404. A request has no body; its line and headers are bounded. What answers (`http_server`) takes 10 MiB and a quarter of a second
to load, which a home whom nobody asks does without: that happens when the first connection comes.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from linkd import limits
from linkd.errors import InvalidArgument
from linkd.model.frozen import frozen

if TYPE_CHECKING:
    from linkd.app.http_server import HttpServer

LOOPBACK = "127.0.0.1"

Ready = Callable[[], str | None]
"""Why the process is not ready, in one line; None if it is."""
Notes = Callable[[], Iterable[str]]
"""What a person should know though the process is ready: a line each."""
RenderMetrics = Callable[[str], tuple[bytes, str]]
"""From an `Accept` header to the metrics and their content type."""


@frozen()
class Pages:
    """What is told."""

    ready: Ready
    render_metrics: RenderMetrics
    notes: Notes


class HttpFace:
    """The HTTP server of one process: `build` binds, `start` accepts, `drain` ends. All three belong to one event loop."""

    def __init__(self, listener: socket.socket, pages: Pages) -> None:
        self._listener = listener
        self._pages = pages
        self._serving: asyncio.Task[HttpServer] | None = None
        self._is_watched = False

    @classmethod
    def build(cls, port: int, ready: Ready, render_metrics: RenderMetrics, host: str = LOOPBACK, *, notes: Notes = lambda: ()) -> HttpFace:
        """Binds `host:port` (0 is a free port) and accepts nothing yet. Raises InvalidArgument if the address cannot be had."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, port))
            listener.setblocking(False)
        except (OSError, OverflowError) as error:
            listener.close()
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise InvalidArgument(
                f"cannot listen on {host}:{port} for /livez, /readyz and /metrics: {reason}; give another port, or 0 for a free one"
            ) from error
        return cls(listener, Pages(ready, render_metrics, notes))

    @property
    def port(self) -> int:
        """The port that is bound, also where 0 was asked for."""
        port: int = self._listener.getsockname()[1]
        return port

    def start(self) -> None:
        """Connections are taken from now on; the first one brings the server up."""
        self._listener.listen(limits.HTTP_BACKLOG)
        asyncio.get_running_loop().add_reader(self._listener, self._called)
        self._is_watched = True

    async def drain(self) -> None:
        """Finishes the requests in hand, at most `limits.HTTP_DRAIN_TIMEOUT_S`, and closes the port. The second call does nothing."""
        self._unwatch()
        serving, self._serving = self._serving, None
        if serving is not None:
            server = await serving
            await server.drain()
        with contextlib.suppress(OSError):
            self._listener.close()

    def _called(self) -> None:
        self._unwatch()
        self._serving = asyncio.get_running_loop().create_task(_serve(self._listener, self._pages), name="linkd http")

    def _unwatch(self) -> None:
        if self._is_watched:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._is_watched = False


async def _serve(listener: socket.socket, pages: Pages) -> HttpServer:
    server = await asyncio.to_thread(_make, listener, pages)
    await server.start()
    return server


def _make(listener: socket.socket, pages: Pages) -> HttpServer:
    from linkd.app.http_server import HttpServer

    return HttpServer(listener, pages)
