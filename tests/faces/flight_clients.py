"""pyarrow's Flight client at a home of this process, and what its tests publish."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
from pyarrow import flight

from linkd.core.layout import Layout
from linkd.core.links import LinkShape
from linkd.core.tasks import TaskShape
from linkd.model.records import TaskKind
from linkd.testing.home import InProcessHome

T = TypeVar("T")
DEADLINE_S = 20.0

PIPELINE = Layout(
    "pipeline",
    {"numbers": LinkShape("numbers", ""), "doubled": LinkShape("doubled", "double"), "others": LinkShape("others", "another")},
    {
        "double": TaskShape("double", TaskKind.RUN, (("numbers", "each"),), ("doubled",)),
        "another": TaskShape("another", TaskKind.RUN, (("doubled", "each"),), ("others",)),
    },
    frozenset({"numbers"}),
)
"""Outsiders append to `numbers`; the task `double` reads it alone."""


async def until_idle(home: InProcessHome) -> None:
    """Returns when no call has left anything: no memory, nothing staged, nothing being read."""
    async with asyncio.timeout(DEADLINE_S):
        while not home.is_idle or list(home.home.retention.readings):
            await asyncio.sleep(0.005)


@contextlib.contextmanager
def connected(home: InProcessHome, location: str = "") -> Iterator[flight.FlightClient]:
    """A client over the home's own socket, unless another location is given."""
    with flight.connect(location or f"grpc+unix://{home.socket}") as client:
        yield client


async def with_client(home: InProcessHome, work: Callable[[flight.FlightClient], T], location: str = "") -> T:
    """What `work` returns of a client, whose calls block, beside the home's event loop."""

    def run() -> T:
        with connected(home, location) as client:
            return work(client)

    return await asyncio.to_thread(run)


def put(client: flight.FlightClient, link: str, table: pa.Table, rows_per_batch: int | None = None, **command: Any) -> list[dict[str, Any]]:
    """Writes the table and returns what it was answered. A `command` says how."""
    descriptor = flight.FlightDescriptor.for_path(link)
    options = command.pop("options", None)
    if command:
        descriptor = flight.FlightDescriptor.for_command(json.dumps({"link": link, **command}))
    writer, results = client.do_put(descriptor, table.schema, options)
    with writer:
        writer.write_table(table, rows_per_batch)
        writer.done_writing()
        return list(answers(results))


def answers(results: flight.FlightMetadataReader) -> Iterator[dict[str, Any]]:
    """What is acked, to the end."""
    while (answer := results.read()) is not None:
        yield json.loads(answer.to_pybytes())


def get(client: flight.FlightClient, link: str, options: flight.FlightCallOptions | None = None, **asked: Any) -> pa.Table:
    """Reads the link, or what is `asked` of it."""
    ticket = json.dumps({"link": link, **asked}) if asked else link
    return client.do_get(flight.Ticket(ticket), options).read_all()


def shown(token: str) -> flight.FlightCallOptions:
    """The token as every call shows it."""
    return flight.FlightCallOptions(headers=[(b"authorization", f"Bearer {token}".encode())])


@contextlib.asynccontextmanager
async def over_tcp(socket: Path) -> AsyncIterator[str]:
    """The location of a port that passes everything on to the unix socket."""

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(1 << 20):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        home_reader, home_writer = await asyncio.open_unix_connection(socket)
        await asyncio.gather(pass_on(reader, home_writer), pass_on(home_reader, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"grpc://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
