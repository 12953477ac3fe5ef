"""`/livez`, `/readyz` and `/metrics` over HTTP, for probes and scrapers.

    GET /livez    200 `ok` as long as the event loop turns, also while draining: restarting what drains would lose its grace
    GET /readyz   200 `ok`, or 503 with the reason: starting, draining, or the disk has failed. Behind `ok` a line for each thing that a person
                  should know, such as a disk that is nearly full
    GET /metrics  Prometheus text, or OpenMetrics where the `Accept` header asks for it

Everything else is 404. A request has no body; its line and headers are bounded. Importing this module imports aiohttp.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Awaitable, Callable, Iterable

from aiohttp import web

from linkd import limits
from linkd.errors import InvalidArgument

LOOPBACK = "127.0.0.1"
_PLAIN_TEXT = "text/plain; charset=utf-8"

Ready = Callable[[], str | None]
"""Why the process is not ready, in one line; None if it is."""
Notes = Callable[[], Iterable[str]]
"""What a person should know though the process is ready: a line each."""
RenderMetrics = Callable[[str], tuple[bytes, str]]
"""From an `Accept` header to the metrics and their content type."""
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class HttpFace:
    """The HTTP server of one process: `build` binds, `start` accepts, `drain` ends. All three belong to one event loop."""

    def __init__(self, listener: socket.socket, ready: Ready, render_metrics: RenderMetrics, notes: Notes) -> None:
        self._listener = listener
        self._notes = notes
        self._ready = ready
        self._render_metrics = render_metrics
        self._runner: web.AppRunner | None = None

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
        return cls(listener, ready, render_metrics, notes)

    @property
    def port(self) -> int:
        """The port that is bound, also where 0 was asked for."""
        port: int = self._listener.getsockname()[1]
        return port

    async def start(self) -> None:
        application = web.Application(middlewares=[_bounded], client_max_size=1)
        application.on_response_prepare.append(_set_headers)
        application.router.add_get("/livez", self._livez)
        application.router.add_get("/readyz", self._readyz)
        application.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(
            application,
            handle_signals=False,
            access_log=None,
            lingering_time=limits.HTTP_LINGER_S,
            keepalive_timeout=limits.HTTP_KEEPALIVE_S,
            max_line_size=limits.HTTP_LINE_MAX_BYTES,
            max_field_size=limits.HTTP_HEADER_MAX_BYTES,
            max_headers=limits.HTTP_HEADERS_MAX,
            shutdown_timeout=limits.HTTP_DRAIN_TIMEOUT_S,
        )
        await self._runner.setup()
        await web.SockSite(self._runner, self._listener, backlog=limits.HTTP_BACKLOG).start()

    async def drain(self) -> None:
        """Finishes the requests in hand, at most `limits.HTTP_DRAIN_TIMEOUT_S`, and closes the port. The second call does nothing."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()
        with contextlib.suppress(OSError):
            self._listener.close()

    async def _livez(self, request: web.Request) -> web.Response:
        return _text(200, "ok")

    async def _readyz(self, request: web.Request) -> web.Response:
        reason = self._ready()
        return _text(200, "\n".join(("ok", *self._notes()))) if reason is None else _text(503, reason)

    async def _metrics(self, request: web.Request) -> web.Response:
        body, content_type = self._render_metrics(request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type})


@web.middleware
async def _bounded(request: web.Request, handler: _Handler) -> web.StreamResponse:
    if request.can_read_body:
        response = _text(413, "a request here has no body")
        response.force_close()
        return response
    return await handler(request)


async def _set_headers(request: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = "linkd"
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"


def _text(status: int, line: str) -> web.Response:
    return web.Response(status=status, text=f"{line}\n", headers={"Content-Type": _PLAIN_TEXT})
