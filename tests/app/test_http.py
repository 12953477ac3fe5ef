"""Probes and scrapes: what they get, and what a hostile client does not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from linkd import limits
from linkd.app.http import LOOPBACK, HttpFace
from linkd.errors import InvalidArgument


@dataclass
class Served:
    """A face, what it reports, and a plain client for it."""

    reason: str | None = None
    accepted: list[str] = field(default_factory=list)
    face: HttpFace = field(init=False)

    def __post_init__(self) -> None:
        self.face = HttpFace.build(0, lambda: self.reason, self._render)

    def _render(self, accept: str) -> tuple[bytes, str]:
        self.accepted.append(accept)
        return b"linkd_up 1\n", "text/plain; version=0.0.4"

    async def ask(self, path: str, *, method: str = "GET", headers: str = "", body: str = "") -> tuple[int, str, str]:
        """Status, head and body of one request over a connection of its own."""
        return await self.send(f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n{body}".encode())

    async def send(self, request: bytes) -> tuple[int, str, str]:
        reader, writer = await asyncio.open_connection(LOOPBACK, self.face.port)
        writer.write(request)
        try:
            async with asyncio.timeout(10):
                answer = (await reader.read()).decode()
        finally:
            writer.close()
            await writer.wait_closed()
        head, _, body = answer.partition("\r\n\r\n")
        return int(head.split(" ", 2)[1]), head, body


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    served = Served()
    served.face.start()
    yield served
    await served.face.drain()


async def test_a_process_that_is_ready_says_so(served: Served) -> None:
    assert (await served.ask("/livez"))[::2] == (200, "ok\n")
    assert (await served.ask("/readyz"))[::2] == (200, "ok\n")


@pytest.mark.parametrize("reason", ["starting: reading the journal", "draining", "the disk has failed: ENOSPC"])
async def test_one_that_is_not_says_why_and_lives_on(served: Served, reason: str) -> None:
    served.reason = reason
    assert (await served.ask("/readyz"))[::2] == (503, f"{reason}\n")
    assert (await served.ask("/livez"))[0] == 200


async def test_metrics_come_in_the_format_that_was_asked_for(served: Served) -> None:
    status, head, body = await served.ask("/metrics", headers="Accept: application/openmetrics-text\r\n")
    assert (status, body) == (200, "linkd_up 1\n")
    assert "Content-Type: text/plain; version=0.0.4" in head
    assert served.accepted == ["application/openmetrics-text"]


@pytest.mark.parametrize("path", ["/", "/livez/", "/../etc/passwd", "/metrics/x", "/readyz%00"])
async def test_everything_else_is_not_found(served: Served, path: str) -> None:
    assert (await served.ask(path))[0] == 404


async def test_other_methods_are_refused_and_head_is_a_get_without_a_body(served: Served) -> None:
    assert (await served.ask("/livez", method="DELETE"))[0] == 405
    status, _, body = await served.ask("/livez", method="HEAD")
    assert (status, body) == (200, "")


async def test_nothing_is_cached_and_nothing_told_about_the_server(served: Served) -> None:
    _, head, _ = await served.ask("/livez")
    assert "Cache-Control: no-store" in head
    assert "Server: linkd" in head
    assert "aiohttp" not in head


async def test_a_request_with_a_body_is_refused(served: Served) -> None:
    assert (await served.ask("/livez", headers="Content-Length: 5\r\n", body="hello"))[0] == 413
    assert (await served.ask("/livez", headers="Transfer-Encoding: chunked\r\n", body="5\r\nhello\r\n"))[0] == 413


@pytest.mark.parametrize(
    "headers",
    [
        f"X-Long: {'x' * (limits.HTTP_HEADER_MAX_BYTES + 1)}\r\n",
        "X-Many: x\r\n" * (limits.HTTP_HEADERS_MAX + 1),
    ],
    ids=["too long", "too many"],
)
async def test_headers_are_bounded(served: Served, headers: str) -> None:
    assert (await served.ask("/livez", headers=headers))[0] == 400
    assert (await served.ask("/livez"))[0] == 200


async def test_the_request_line_is_bounded(served: Served) -> None:
    assert (await served.ask(f"/{'x' * limits.HTTP_LINE_MAX_BYTES}"))[0] == 400


async def test_noise_is_answered_and_forgotten(served: Served) -> None:
    assert (await served.send(b"\x16\x03\x01 not http at all\r\n\r\n"))[0] == 400
    assert (await served.ask("/livez"))[0] == 200


async def test_nothing_is_accepted_before_the_start_and_the_port_is_free_after_the_drain() -> None:
    served = Served()
    port = served.face.port
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(LOOPBACK, port)
    served.face.start()
    assert (await served.ask("/livez"))[0] == 200
    await served.face.drain()
    await served.face.drain()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(LOOPBACK, port)


async def test_a_face_that_was_built_and_never_started_lets_go_of_its_port() -> None:
    served = Served()
    port = served.face.port
    await served.face.drain()
    again = HttpFace.build(port, lambda: None, lambda accept: (b"", ""))
    assert again.port == port
    await again.drain()


async def test_a_port_that_is_taken_is_refused_with_the_remedy(served: Served) -> None:
    with pytest.raises(InvalidArgument, match=rf"127\.0\.0\.1:{served.face.port} .*give another port, or 0"):
        HttpFace.build(served.face.port, lambda: None, lambda accept: (b"", ""))


def test_a_port_that_cannot_be_is_refused() -> None:
    with pytest.raises(InvalidArgument, match=r"127\.0\.0\.1:70000 "):
        HttpFace.build(70_000, lambda: None, lambda accept: (b"", ""))
