"""A home that serves from a thread of its own, for clients that block: drivers of other languages and libraries."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from linkd.core.layout import OPEN, Layout
from linkd.core.listening import ListenAddress
from linkd.faces.tcp import TcpPort
from linkd.testing.home import InProcessHome, running_home

T = TypeVar("T")
DEADLINE_S = 30.0


@dataclass(slots=True)
class ServedHome:
    """The home, and the loop it runs in."""

    home: InProcessHome
    loop: asyncio.AbstractEventLoop

    @property
    def uri(self) -> str:
        """As clients of Arrow write a unix socket."""
        return f"grpc+unix://{self.home.socket}"

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs `work` in the home's loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(DEADLINE_S)

    @property
    def tcp(self) -> str:
        """`host:port`, for clients that know no sockets; they show `token`."""
        return str(self.home.face.tcp)

    @property
    def token(self) -> str:
        return self.home.home.tokens.outsider()


@contextmanager
def served_home(directory: Path, layout: Layout = OPEN) -> Iterator[ServedHome]:
    """Serves `layout` until the block is left."""
    ready: Future[ServedHome] = Future()
    stop = asyncio.Event()

    async def serve() -> None:
        async with running_home(directory, layout=layout, tcp=TcpPort(ListenAddress("127.0.0.1", 0))) as home:
            ready.set_result(ServedHome(home, asyncio.get_running_loop()))
            await stop.wait()

    def run() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:
            if ready.done():
                raise
            ready.set_exception(error)

    thread = threading.Thread(target=run, name="served home")
    thread.start()
    try:
        served = ready.result(DEADLINE_S)
        try:
            yield served
        finally:
            served.loop.call_soon_threadsafe(stop.set)
    finally:
        thread.join(DEADLINE_S)
