"""Fake homes as processes: two snapshots of flights, the link `flown` to publish to.

Each line of stdin is a socket path: a home serves there in a process of its own, forked from this one, for to begin anew costs more than most
tests do. Its pid stands on stdout when it serves; it serves until it is killed, or stdin ends.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pyarrow as pa
from fake_home import FakeHome

from linkd.core.schema import payload


def flights(*miles: int | None) -> tuple[bytes, bytes]:
    batch = pa.RecordBatch.from_pydict({"carrier": ["UA"] * len(miles), "miles": pa.array(miles, pa.int64())})
    schema, content = payload(batch)
    return schema, bytes(content)


async def serve(socket: Path) -> None:
    async with FakeHome(socket) as home:
        for numbers in ((1, None), (3, 4)):
            schema, content = flights(*numbers)
            home.schemas["flights"] = schema
            home.offer(flights=[home.put("flights", content, schema=schema, rows=2)])
        sink = pa.BufferOutputStream()
        answer = pa.table({"airline": ["United"], "miles": [8]})
        with pa.ipc.new_stream(sink, answer.schema) as writer:
            writer.write_table(answer)
        home.query_answer = sink.getvalue().to_pybytes()
        print(os.getpid(), flush=True)
        await asyncio.Event().wait()


def main() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    for line in sys.stdin:
        if os.fork() == 0:
            asyncio.run(serve(Path(line.removesuffix("\n"))))
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
