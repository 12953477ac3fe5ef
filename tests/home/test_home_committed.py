"""`_commits` is read like a link: by anyone who may read everything, over restarts, as rows and in queries."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from raw_client import RawClient, next_snapshot
from small_pipeline import PIPELINE, Connect

import linkd.aio
from linkd.core.names import COMMITS_LINK
from linkd.errors import InvalidArgument, NotAllowed, QueryInvalid
from linkd.store.commit_log import CHAIN_START, DIRECTORY, check_chain
from linkd.store.store_limits import StoreLimits
from linkd.testing.home import InProcessHome, running_home
from linkd.wire import methods
from linkd.wire.v1 import links_pb2 as pb

COMMITS = 30
SMALL = StoreLimits(journal_file_max_bytes=32 * 1024, preallocate_bytes=16 * 1024, journal_files_kept=1, group_max_bytes=8_000)


@asynccontextmanager
async def worked(tmp_path: Path, connect: Connect) -> AsyncIterator[tuple[InProcessHome, RawClient]]:
    """A home whose task `double` has committed as often."""
    async with running_home(tmp_path / "state", layout=PIPELINE, store_limits=SMALL) as home:
        outsider = await connect(home)
        for number in range(COMMITS):
            await outsider.publish("numbers", {"n": number})
        await (await connect(home, "@run")).begin()
        task = await connect(home, "double")
        stream = await task.snapshots()
        for number in range(COMMITS):
            snapshot = await next_snapshot(stream)
            assert snapshot is not None
            staged = (await task.publish("doubled", {"n": 2 * number}, stage=snapshot.ready)).staged
            await task.commit(snapshot.ready, staged)
        yield home, outsider


async def test_what_was_committed_is_read_like_a_link_also_when_the_journal_that_said_it_is_gone(tmp_path: Path, connect: Connect) -> None:
    async with worked(tmp_path, connect) as (home, client):
        for _ in range(2):
            rows = [row for value in await client.read(COMMITS_LINK) for row in value.rows()]
            assert [row["task"] for row in rows] == ["double"] * COMMITS
            assert [row["portions"][0]["first_sequence"] for row in rows] == list(range(1, COMMITS + 1))
            assert [row["outputs"][0]["link"] for row in rows] == ["doubled"] * COMMITS
            await home.restart()
            client = await connect(home)
        assert (home.directory / DIRECTORY).is_dir(), "what is read is not in the journal only"
        async with linkd.aio.connect(home.endpoint) as whole:
            batches = (await whole.read(COMMITS_LINK).to_table()).to_batches()
            check_chain(batches, CHAIN_START)
            sql = (
                f"SELECT task, count(*) AS commits, max(o.last_sequence) AS last FROM {COMMITS_LINK}, unnest(outputs) AS t(o) GROUP BY task"
            )
            assert await whole.query(sql).rows() == [{"task": "double", "commits": COMMITS, "last": COMMITS}]
            with pytest.raises(QueryInvalid, match="_other"):
                await whole.query("SELECT * FROM _other").rows()


async def test_no_task_reads_it_and_nobody_names_values_of_it_or_follows(home: InProcessHome, connect: Connect) -> None:
    client, task = await connect(home), await connect(home, "double")
    assert await client.read(COMMITS_LINK) == []
    with pytest.raises(NotAllowed, match="double may not read _commits"):
        await task.read(COMMITS_LINK)
    for arguments in ({"follow": True}, {"first_sequence": 3}, {"last_values": 1}):
        stream = client.stream(methods.READ, pb.ReadRequest(link=COMMITS_LINK, **arguments))
        with pytest.raises(InvalidArgument, match="_commits is read whole"):
            await stream.read()
