"""What linkd's users would write: producers and consumers on its public client."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import linkd
from linkd.errors import InvalidArgument
from side_by_side import records
from side_by_side.batches import BATCH_BYTES, make_batches, read_all, read_batch
from side_by_side.role import done, missing, play, ready, until_told

RECORDS = {"bytes": records.byte_records, "dicts": records.dict_records, "tuples": records.tuple_records}
MASK = (1 << 64) - 1


def publish_batches(endpoint: str, link: str, batches: int, seed: int) -> None:
    """Bulk, through a publisher; all of it is acked in the end. One batch more goes ahead, uncounted: the link has its schema then."""
    ahead, *made = make_batches(1 + batches, seed)
    total = read_all(made)
    with linkd.connect(endpoint) as client:
        client.publish(link, ahead)
        began_ns = ready()
        with client.publisher(link) as publisher:
            for batch in made:
                publisher.send(batch)
        done(began_ns=began_ns, ended_ns=time.monotonic_ns(), sum=total)


def read_batches(endpoint: str, link: str, batches: int) -> None:
    """Reads along, every column, behind the batch that goes ahead."""
    with linkd.connect(endpoint) as client:
        ready()
        total = 0
        for value in itertools.islice(client.read(link, follow=True), 1, 1 + batches):
            total += read_all(value.to_table().to_batches())
        done(ended_ns=time.monotonic_ns(), sum=total & MASK)


def take_batches(endpoint: str, link: str, group: str, batches: int) -> None:
    """Takes every value with a durable cursor, and acks it."""
    with linkd.connect(endpoint) as client, client.subscribe(link, group, follow=True) as values:
        ready()
        next(values).ack()
        total = 0
        for value in itertools.islice(values, batches):
            with value:
                total += read_all(value.to_table().to_batches())
        done(ended_ns=time.monotonic_ns(), sum=total & MASK)


def publish_records(endpoint: str, link: str, shape: str, count: int, seed: int) -> None:
    """Small records one by one, through a publisher; all of them are durable in the end."""
    made: Iterable[Any] = RECORDS[shape](count, seed)
    with linkd.connect(endpoint) as client:
        if shape != "bytes":
            client.publish(link, records.dict_records(1, seed))  # as peers have their stream: names and types of the columns
        with client.publisher(link) as publisher:
            send: Callable[[Any], Any] = getattr(publisher, "send_nowait", publisher.send)
            began_ns = ready()
            try:
                for record in made:
                    send(record)
                publisher.flush()
            except (InvalidArgument, TypeError) as error:
                missing(f"linkd's publisher takes no {shape}: {error}")
            ended_ns = time.monotonic_ns()
        done(began_ns=began_ns, ended_ns=ended_ns)


def publish_one_by_one(endpoint: str, link: str, count: int, seed: int, interval_s: float = 0.0) -> None:
    """Each waits for its ack."""
    made = records.byte_records(count, seed)
    with linkd.connect(endpoint) as client:
        client.publish(link, made[0])
        ready()
        took_ns = []
        for record in made:
            began_ns = time.monotonic_ns()
            client.publish(link, record)
            took_ns.append(time.monotonic_ns() - began_ns)
            time.sleep(interval_s)
        done(took_ns=took_ns)


def publish_stamped(endpoint: str, link: str, count: int, interval_s: float) -> None:
    """Now and then a record that says when it was made."""
    with linkd.connect(endpoint) as client:
        client.publish(link, records.stamped(0))
        ready()
        for _ in range(count):
            time.sleep(interval_s)
            client.publish(link, records.stamped(time.monotonic_ns()))
        done()


def take_stamped(endpoint: str, link: str, group: str, count: int) -> None:
    """How old each is when it comes."""
    with linkd.connect(endpoint) as client, client.subscribe(link, group, follow=True, start="latest") as values:
        ready()
        took_ns = []
        for value in values:
            now_ns = time.monotonic_ns()
            stamp_ns = records.stamp_of(value.bytes())
            value.ack()
            if stamp_ns:
                took_ns.append(now_ns - stamp_ns)
            if len(took_ns) == count:
                break
        done(took_ns=took_ns)


def load(endpoint: str, link: str, rate_mb_s: float) -> None:
    """Bulk, on and on, at so many MB/s (as fast as it goes if 0), with a reader, until told to stop. Says how much it was."""
    with linkd.connect(endpoint) as client:
        made = make_batches(64, 1)
        reader = threading.Thread(target=_read_along, args=(endpoint, link), name="reader", daemon=True)
        reader.start()
        began_ns = ready()
        stop = until_told("stop")
        sent = 0
        with client.publisher(link) as publisher:
            while not stop.is_set():
                publisher.send(made[sent % len(made)])
                sent += 1
                if rate_mb_s:
                    due_s = sent * BATCH_BYTES / 1e6 / rate_mb_s - (time.monotonic_ns() - began_ns) / 1e9
                    stop.wait(max(due_s, 0))
        done(mb_s=sent * BATCH_BYTES / 1e6 / ((time.monotonic_ns() - began_ns) / 1e9))


def _read_along(endpoint: str, link: str) -> None:
    with linkd.connect(endpoint) as client:
        for value in client.read(link, follow=True):
            for batch in value.to_table().to_batches():
                read_batch(batch)


def grow_links(endpoint: str, count: int) -> None:
    """So many links, each with one value."""
    with linkd.connect(endpoint) as client:
        ready()
        for number in range(count):
            client.publish(f"grown_{number}", [{"n": number}])
        done()


def grow_groups(endpoint: str, link: str, count: int) -> None:
    """So many durable subscriptions of a link with a small value or two, each with a place of its own, and nobody connected any more."""
    with linkd.connect(endpoint) as client:
        client.publish(link, [{"n": 1}])
        ready()
        for number in range(count):
            with client.subscribe(link, f"group_{number}", follow=True) as values:
                next(values).ack()
        done()


def grow_streams(endpoint: str, link: str, count: int) -> None:
    """So many streams that wait for the next value, and stay."""
    with linkd.connect(endpoint) as client:
        client.publish(link, [{"n": 1}])
        ready()
        held = []
        for number in range(count):
            values = client.subscribe(link, f"stream_{number}", follow=True)
            next(values).ack()
            held.append(values)
        done()
        for values in held:
            values.close()


ROLES = (
    publish_batches, read_batches, take_batches, publish_records, publish_one_by_one, publish_stamped, take_stamped, load,
    grow_links, grow_groups, grow_streams,
)  # fmt: skip

if __name__ == "__main__":
    play({role.__name__: role for role in ROLES})
