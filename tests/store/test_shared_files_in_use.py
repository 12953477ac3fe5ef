"""Shared files as they are used: a publisher that writes through its mapping, readers that map and let go, retention in its own thread."""

from __future__ import annotations

import asyncio
import mmap
import os
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import pytest

from linkd.model.kept import HomeKept, Kept, SchemaMessage
from linkd.model.records import Dropped
from linkd.model.terms import AT_ONCE_S, NEVER_S
from linkd.store.shared_files import Located, SharedFile
from linkd.store.store import Store
from linkd.store.store_limits import StoreLimits
from linkd.testing.sample_values import SampleValue, sample_value
from linkd.wire import arrow_ipc

LIMITS = StoreLimits(inline_payload_max_bytes=64, checkpoint_frames=100)
SIZE_BYTES = 256 * 1024
ROWS, VALUES = 2_000, 300
KEPT, HELD = 60, 25


def keep() -> Sequence[Kept]:
    one = sample_value("flown", 1)
    return [HomeKept(1, 0), SchemaMessage(one.envelope.schema_id, one.schema)]


class Mappings:
    """The files that a client was shown, mapped once each."""

    def __init__(self, store: Store, *, writable: bool) -> None:
        self._store = store
        self._writable = writable
        self._mapped: dict[int, mmap.mmap] = {}

    def of(self, file_id: int) -> mmap.mmap:
        if file_id not in self._mapped:
            descriptor = self._store.shared.descriptor(file_id, writable=self._writable)
            self._mapped[file_id] = mmap.mmap(descriptor, 0, access=mmap.ACCESS_WRITE if self._writable else mmap.ACCESS_READ)
            os.close(descriptor)
        return self._mapped[file_id]

    def __len__(self) -> int:
        return len(self._mapped)


class Publisher:
    def __init__(self, store: Store, *, volatile: bool) -> None:
        self.store = store
        self.volatile = volatile
        self.mappings = Mappings(store, writable=True)
        self.file: SharedFile | None = None
        self.end = 0

    async def publish(self, value: SampleValue) -> None:
        message = arrow_ipc.read_message(value.payload)
        offset = -(-(self.end + len(message.metadata) + 1_024) // 64) * 64
        if self.file is None or offset + len(message.body) + 8 > self.file.size_bytes:
            if self.file is not None:
                self.store.shared.unshare(self.file, reusable=True)
            envelope = value.envelope
            self.file = await self.store.shared.share(
                "flown", envelope.schema_id, value.schema, 1, volatile=self.volatile, owner=self, size_bytes=SIZE_BYTES
            )
            offset = -(-(self.file.start + len(message.metadata) + 1_024) // 64) * 64
        self.end = offset + len(message.body)
        self.mappings.of(self.file.id)[offset : self.end] = message.body
        placed = await self.store.shared.placed(self.file, offset, len(message.body), message.metadata)
        within_s = NEVER_S if self.volatile else AT_ONCE_S
        await self.store.append([value.schema_kept, value.stored], [placed], sync_within_s=within_s)


@pytest.mark.parametrize("volatile", [False, True], ids=["lasting", "volatile"])
async def test_files_come_round_and_nothing_changes_that_somebody_holds(tmp_path: Path, volatile: bool) -> None:
    store = Store.open(tmp_path / "s", limits=LIMITS)
    list(store.replay())
    store.start(asyncio.get_running_loop(), keep=keep)
    gone: list[int] = []
    store.shared.on_gone = gone.append
    publisher, reader = Publisher(store, volatile=volatile), Mappings(store, writable=False)
    held: deque[tuple[Located, bytes]] = deque()
    for sequence in range(1, VALUES + 1):
        value = sample_value("flown", sequence, ROWS)
        await publisher.publish(value)
        ((envelope, place),) = store.values("flown", sequence, sequence)
        located = store.shared.located(envelope, place)
        assert located is not None
        held.append((located, arrow_ipc.read_message(value.payload).body.tobytes()))
        while len(held) > HELD:
            let_go(store, reader, *held.popleft())
        if sequence % 20 == 0 and sequence > KEPT:
            await store.append([Dropped("flown", 1, sequence - KEPT - 19, sequence - KEPT, "size", forgotten=True)])
    assert len(publisher.mappings) < VALUES * ROWS * 8 / SIZE_BYTES / 2, "files come round"
    assert gone == []
    store.shared.forsake(publisher)
    await store.close()
    for one in held:
        let_go(store, reader, *one)


def let_go(store: Store, reader: Mappings, located: Located, body: bytes) -> None:
    """It is what it was when it was handed out."""
    assert reader.of(located.id)[located.offset : located.offset + located.body_bytes] == body
    store.shared.released(located.id, 1)
