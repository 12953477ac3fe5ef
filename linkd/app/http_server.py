"""What answers on the HTTP port that `http` describes. Importing this module imports aiohttp."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable

from aiohttp import web

from linkd import limits
from linkd.app.http import Pages

_PLAIN_TEXT = "text/plain; charset=utf-8"
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class HttpServer:
    """Accepts on a socket that is bound: `start`, `drain`."""

    def __init__(self, listener: socket.socket, pages: Pages) -> None:
        self._listener = listener
        self._pages = pages
        self._runner: web.AppRunner | None = None

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
        """Finishes the requests in hand, at most `limits.HTTP_DRAIN_TIMEOUT_S`."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def _livez(self, request: web.Request) -> web.Response:
        return _text(200, "ok")

    async def _readyz(self, request: web.Request) -> web.Response:
        reason = self._pages.ready()
        return _text(200, "\n".join(("ok", *self._pages.notes()))) if reason is None else _text(503, reason)

    async def _metrics(self, request: web.Request) -> web.Response:
        body, content_type = self._pages.render_metrics(request.headers.get("Accept", ""))
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
