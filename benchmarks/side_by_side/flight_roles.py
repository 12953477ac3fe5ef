"""The Arrow Flight relay: pyarrow's C++ server, with as little Python as a relay can have, between a producer (DoPut) and consumers (DoGet)."""

from __future__ import annotations

import itertools
import json
import queue
import sys
import time
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.flight as flight

from side_by_side.batches import SCHEMA, make_batches, read_all, read_batch
from side_by_side.role import done, play, ready

WINDOW_BATCHES = 16
"""Between producer and each consumer, in the memory of the relay: 64 MiB."""
MASK = (1 << 64) - 1
Waiting = queue.Queue[pa.RecordBatch | None]


class Relay(flight.FlightServerBase):
    """Hands every batch that is put to every consumer; nothing is kept."""

    def __init__(self, location: str, consumers: int) -> None:
        super().__init__(location)
        self._waiting: list[Waiting] = [queue.Queue(WINDOW_BATCHES) for _ in range(consumers)]

    def do_put(self, context: flight.ServerCallContext, descriptor: flight.FlightDescriptor, reader: object, writer: object) -> None:
        for chunk in reader:
            for waiting in self._waiting:
                waiting.put(chunk.data)
        for waiting in self._waiting:
            waiting.put(None)

    def do_get(self, context: flight.ServerCallContext, ticket: flight.Ticket) -> flight.FlightDataStream:
        return flight.GeneratorStream(SCHEMA, self._taken(self._waiting[int(ticket.ticket)]))

    def _taken(self, waiting: Waiting) -> Iterator[pa.RecordBatch]:
        while (batch := waiting.get()) is not None:
            yield batch


def relay(location: str, consumers: int) -> None:
    """Serves until nobody needs it."""
    server = Relay(location, consumers)
    print(json.dumps({"port": server.port}), flush=True)
    sys.stdin.read()
    server.shutdown()


def publish_batches(location: str, batches: int, seed: int) -> None:
    """One batch more goes ahead, uncounted: the stream is open then."""
    ahead, *made = make_batches(1 + batches, seed)
    total = read_all(made)
    with flight.connect(location) as client:
        writer, _ = client.do_put(flight.FlightDescriptor.for_path("bulk"), SCHEMA)
        writer.write_batch(ahead)
        began_ns = ready()
        for batch in made:
            writer.write_batch(batch)
        writer.close()
        done(began_ns=began_ns, ended_ns=time.monotonic_ns(), sum=total)


def read_batches(location: str, consumer: int) -> None:
    with flight.connect(location) as client:
        ready()
        total = 0
        for chunk in itertools.islice(client.do_get(flight.Ticket(str(consumer))), 1, None):
            total += read_batch(chunk.data)
        done(ended_ns=time.monotonic_ns(), sum=total & MASK)


if __name__ == "__main__":
    play({role.__name__: role for role in (relay, publish_batches, read_batches)})
