"""A home that is restarted while a program works on a snapshot: what was staged is staged again, and the program works on it once."""

from __future__ import annotations

from pathlib import Path

import pytest
from doubling import begun, taken
from leased_pipeline import home_with
from small_pipeline import Connect

import linkd.aio
from linkd.errors import LeaseLost, SchemaMismatch
from linkd.limits import STAGED_KEPT_MAX_BYTES
from linkd.testing.cutting_proxy import CuttingProxy, Way
from linkd.testing.home import InProcessHome

HALF_BYTES = STAGED_KEPT_MAX_BYTES // 2


def connected(home: InProcessHome) -> linkd.aio.Client:
    home.supervised = False  # the run's programs live on, and so does its epoch
    return linkd.aio.connect(home.endpoint, token=home.token("double"), timeout_s=10)


@pytest.mark.parametrize("crash", [True, False])
async def test_a_restart_while_a_program_works_costs_it_nothing(tmp_path: Path, connect: Connect, crash: bool) -> None:
    async with home_with(tmp_path) as (home, _):
        await begun(home, connect, 3)
        seen = []
        async with connected(home) as client:
            async for snap in client.snapshots():
                async with snap:
                    [row] = snap["numbers"].to_table().to_pylist()
                    seen.append((row["n"], snap.attempt))
                    await snap.publish("doubled", {"n": [2 * row["n"]]})
                    if row["n"] != 2:
                        await home.restart(crash=crash)
                    await snap.publish("doubled", {"n": [2 * row["n"]]})
                    if row["n"] == 2:
                        await home.restart(crash=crash)
        assert [number for number, _ in seen] == [1, 2, 3]
        assert await (await connect(home)).numbers("doubled") == [2, 2, 4, 4, 6, 6]
        assert home.home.ledger.tasks["double"].refused_late == 0


async def test_what_another_has_by_now_is_lost_with_what_was_staged(tmp_path: Path, connect: Connect) -> None:
    async with home_with(tmp_path) as (home, _):
        await begun(home, connect, 1)
        async with connected(home) as client:
            snap = await anext(client.snapshots())
            with pytest.raises(LeaseLost, match="handed out again"):
                async with snap:
                    await snap.publish("doubled", {"n": [2]})
                    await home.restart(crash=True)
                    other = await connect(home, "double")
                    again = await taken(await other.snapshots())
            assert again.ready.snapshot_id.hex() == snap.id
            assert not (await other.commit(again.ready)).repeated
        assert await (await connect(home)).numbers("doubled") == []


async def test_a_lost_answer_of_a_commit_is_not_staged_again(tmp_path: Path, connect: Connect) -> None:
    async with home_with(tmp_path) as (home, _):
        await begun(home, connect, 1)
        home.supervised = False
        proxy = CuttingProxy(home.socket.with_name("proxy"), home.socket)
        async with proxy.serving(), linkd.aio.connect(proxy.endpoint, token=home.token("double"), timeout_s=10) as client:
            snap = await anext(client.snapshots())
            async with snap:
                await snap.publish("doubled", {"n": [2]})
                await snap._outputs.named()
                proxy.cut_at(Way.TO_CLIENT, 1)
        assert proxy.cuts == 1
        assert await (await connect(home)).numbers("doubled") == [2]


async def test_more_than_is_kept_is_worked_on_again(tmp_path: Path, connect: Connect) -> None:
    async with home_with(tmp_path) as (home, _):
        await begun(home, connect, 1)
        async with connected(home) as client:
            snapshots = client.snapshots()
            snap = await anext(snapshots)
            with pytest.raises(LeaseLost, match="64 MiB of them are not kept"):
                async with snap:
                    for _ in range(3):
                        await snap.publish("doubled", bytes(HALF_BYTES))
                    await home.restart(crash=True)
            again = await anext(snapshots)
            async with again:
                await again.publish("doubled", {"n": [2]})
            assert again.id == snap.id
        assert await (await connect(home)).numbers("doubled") == [2]


async def test_data_that_was_changed_in_place_is_not_taken_for_what_was_published(tmp_path: Path, connect: Connect) -> None:
    import numpy as np
    import pyarrow as pa

    async with home_with(tmp_path) as (home, _):
        await begun(home, connect, 1)
        async with connected(home) as client:
            snap = await anext(client.snapshots())
            column = np.arange(10)
            with pytest.raises(LeaseLost, match="not the same any more"):
                async with snap:
                    await snap.publish("doubled", pa.table({"n": pa.array(column)}))
                    await snap._outputs.named()
                    column[:] = 0
                    await home.restart(crash=True)


async def test_a_refusal_concerns_its_own_snapshot_only(tmp_path: Path, connect: Connect) -> None:
    async with home_with(tmp_path) as (home, _):
        await begun(home, connect, 1)
        async with connected(home) as client:
            snapshots = client.snapshots()
            snap = await anext(snapshots)
            with pytest.raises(SchemaMismatch):
                async with snap:
                    await snap.publish("doubled", {"n": [2]})
                    await snap.publish("doubled", {"n": ["two"]})
            again = await anext(snapshots)
            async with again:
                await again.publish("doubled", {"n": [2]})
        assert await (await connect(home)).numbers("doubled") == [2]
