"""A link costs the room of its values: nothing is preallocated for it."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from linkd.limits import JOURNAL_PREALLOCATE_BYTES, KIB
from linkd.model.kept import HomeKept, Kept, SchemaMessage
from linkd.store.counted_files import CountedFiles
from linkd.store.files import LocalFiles
from linkd.store.store import Store
from linkd.testing.sample_values import SampleValue, sample_value

LINKS = [f"link_{number:03d}" for number in range(200)]


def keep() -> Sequence[Kept]:
    one = sample_value("flown", 1)
    return [HomeKept(7, 70), SchemaMessage(one.envelope.schema_id, one.schema)]


def append(store: Store, value: SampleValue) -> None:
    store.append([value.schema_kept, value.stored], [value.payload])


async def test_many_links_take_no_more_room_than_their_values(tmp_path: Path) -> None:
    files, directory = CountedFiles(LocalFiles()), tmp_path / "s"
    store = Store.open(directory, files)
    list(store.replay())
    store.start(asyncio.get_running_loop(), thread=False, keep=keep)
    for link in LINKS:
        append(store, sample_value(link, 1))
    store.commit_waiting()
    assert files.held_bytes < 2 * JOURNAL_PREALLOCATE_BYTES
    assert list((directory / "segments").iterdir()) == [], "a link of small values has no file of its own before they are folded"
    append(store, sample_value("large", 1, 20_000))
    store.commit_waiting()
    await store.close()
    segments = sorted((directory / "segments").glob("*/*.arrow"))
    assert (directory / "segments" / "large" / "00000001.arrow") in segments
    for path in segments:
        content = io.BytesIO(path.read_bytes())
        with pa.ipc.open_stream(content) as reader:
            rows = sum(batch.num_rows for batch in reader)
        assert rows in (3, 20_000)
        assert content.tell() == path.stat().st_size, "it ends where its stream ends"
    of_small = sum(path.stat().st_size for path in segments if path.parent.name != "large")
    assert of_small <= len(LINKS) * 2 * KIB
