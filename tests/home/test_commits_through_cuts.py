"""A commit whose connection is cut at any frame of the exchange, requests and answers: it happens once, and so does the program's work."""

from __future__ import annotations

from pathlib import Path

import pytest
from doubling import begun
from leased_pipeline import home_with
from small_pipeline import Connect

import linkd.aio
from linkd.testing.cutting_proxy import CuttingProxy, Way
from linkd.testing.home import InProcessHome

FRAMES_MAX = 40
"""More than there are in the exchange: then nothing is cut, which is how its end is known."""


async def doubled_through(home: InProcessHome, proxy: CuttingProxy, way: Way, frame: int) -> list[int]:
    """Does the task's work, with one cut while the first snapshot is committed. Returns the attempts."""
    attempts = []
    async with linkd.aio.connect(proxy.endpoint, token=home.token("double"), timeout_s=10) as client:
        snapshots = client.snapshots()
        async for snap in snapshots:
            attempts.append(snap.attempt)
            [row] = snap["numbers"].to_table().to_pylist()
            async with snap:
                if len(attempts) == 1:
                    proxy.cut_at(way, frame)
                await snap.publish("doubled", {"n": [2 * row["n"]]})
    return attempts


@pytest.mark.parametrize("way", list(Way))
async def test_wherever_the_connection_is_cut_each_snapshot_is_committed_once(tmp_path: Path, connect: Connect, way: Way) -> None:
    cuts = 0
    for frame in range(1, FRAMES_MAX):
        async with home_with(tmp_path / str(frame)) as (home, _):
            await begun(home, connect, 2)
            async with CuttingProxy(home.socket.with_name("proxy"), home.socket).serving() as proxy:
                attempts = await doubled_through(home, proxy, way, frame)
            assert await (await connect(home)).numbers("doubled") == [2, 4], (frame, attempts)
            assert home.home.ledger.tasks["double"].commits == 2
            assert attempts == [1, 1], frame
            cuts += proxy.cuts
            if not proxy.cuts:
                break
    assert cuts >= 5
