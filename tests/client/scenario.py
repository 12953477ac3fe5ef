"""A fake home as a process: two snapshots of flights, the link `flown` to publish to, and `ready` on stdout when it serves."""

from __future__ import annotations

import asyncio
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
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
