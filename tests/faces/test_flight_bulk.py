"""Bulk over Flight, at a home in a process of its own: however much goes in and out, it holds a bounded part of it."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa
import pytest
from flight_clients import put
from pyarrow import flight

from linkd.limits import MIB, STAGED_IN_MEMORY_MAX_BYTES
from linkd.testing.pipelines import open_home
from linkd.wire.v1 import links_pb2

BATCHES = 25
ROWS = 1_000_000
HELD_MAX_BYTES = 2 * STAGED_IN_MEMORY_MAX_BYTES
"""What waits for the disk, and as much again for what comes, what goes, and what the allocator keeps of both."""


def peak_bytes(pid: int) -> int:
    """The most that was ever resident of the process."""
    [kib] = re.findall(r"^VmHWM:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(kib) * 1024


@pytest.mark.slow
def test_200_mb_go_in_and_out_of_a_home_that_holds_a_part_of_them() -> None:
    batch = pa.record_batch({"n": pa.array(range(ROWS), pa.int64())})
    with open_home() as endpoint, flight.connect(endpoint.replace("unix:", "grpc+unix://")) as client:
        put(client, "events", pa.Table.from_batches([batch.slice(0, 1)]))  # pyarrow is imported for the first value of a link
        [told] = client.do_action(flight.Action("linkd.describe", b"events"))
        pid = links_pb2.DescribeResponse.FromString(told.body.to_pybytes()).pid
        before_bytes = peak_bytes(pid)
        assert put(client, "events", pa.Table.from_batches([batch] * BATCHES))[-1]["acked"] == BATCHES
        rows = 0
        for chunk in client.do_get(flight.Ticket("events")):
            rows += chunk.data.num_rows
        assert rows == BATCHES * ROWS + 1
        assert peak_bytes(pid) - before_bytes < HELD_MAX_BYTES, f"{(peak_bytes(pid) - before_bytes) / MIB:.0f} MiB more"
