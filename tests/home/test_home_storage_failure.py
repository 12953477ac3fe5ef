"""A disk that fails: nothing is acked any more, what was acked is served, and everybody is told what to do."""

from __future__ import annotations

from pathlib import Path

import pytest
from raw_client import next_value, send_ack
from small_pipeline import Connect

from linkd.errors import StorageFailed
from linkd.store.files import File, LocalFiles
from linkd.telemetry.events import StorageFailedEvent
from linkd.testing.home import InProcessHome


class FailingFiles(LocalFiles):
    """So many of the next syncs of files fail."""

    failing = 0

    def create(self, path: Path) -> File:
        return FailingFile(super().create(path), path, self)

    def open(self, path: Path, *, writable: bool = False) -> File:
        return FailingFile(super().open(path, writable=writable), path, self)


class FailingFile:
    def __init__(self, file: File, path: Path, files: FailingFiles) -> None:
        self._file = file
        self._path = path
        self._files = files
        self.pread, self.pwrite, self.pwritev = file.pread, file.pwrite, file.pwritev
        self.truncate, self.size, self.close = file.truncate, file.size, file.close

    def datasync(self) -> None:
        if self._files.failing:
            self._files.failing -= 1
            raise StorageFailed(f"cannot sync {self._path}: Input/output error. The device reports an error")
        self._file.datasync()


@pytest.mark.parametrize(
    ("syncs", "unknown"), [(1, False), (1_000, True)], ids=["one sync fails", "not even the void mark can be made durable"]
)
async def test_after_a_failed_sync_a_home_is_not_ready_takes_nothing_and_serves_what_it_acked(
    open_home: InProcessHome, connect: Connect, syncs: int, unknown: bool
) -> None:
    disk = FailingFiles()
    open_home.home.disk.files._files = disk
    client = await connect(open_home)
    await client.publish("events", {"n": 1})
    values = await client.subscribe("events", follow=True)
    value = await next_value(values)
    assert value is not None
    assert open_home.home.ready() is None
    disk.failing = syncs
    with pytest.raises(StorageFailed, match="Input/output error.*accepts nothing more; what it acknowledged is safe") as failed:
        await client.publish("events", {"n": 2})
    assert ("known only after the next start" in str(failed.value)) is unknown
    assert "Input/output error" in (open_home.home.ready() or "")
    with pytest.raises(StorageFailed, match="accepts nothing more"):
        await client.publish("events", {"n": 3})
    with pytest.raises(StorageFailed, match="accepts nothing more"):
        await send_ack(values, value)
        await next_value(values)
    assert await client.numbers("events") == [1]
    assert [link.name for link in (await client.describe()).links] == ["events"]
    [told] = [event for event in open_home.events.heard if isinstance(event, StorageFailedEvent)]
    assert "Input/output error" in told.error
    disk.failing = 0
    await open_home.restart()
    assert open_home.home.ready() is None
    client = await connect(open_home)
    there = await client.numbers("events")
    assert there == [1] or (unknown and there == [1, 2])
    assert (await client.publish("events", {"n": 4})).first.sequence == len(there) + 1
