"""A disk that changes bytes of a home that runs: what cannot be read is set aside, named and dropped, and everything else goes on."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import linkd.aio
from linkd.errors import LinkNotFound
from linkd.store.files import LocalFiles
from linkd.store.offline.verification import verify
from linkd.store.store_limits import StoreLimits
from linkd.telemetry.events import FileQuarantined, StorageFailedEvent
from linkd.testing.home import InProcessHome, running_home
from linkd.testing.plain_arrow import rows_in_segments

SMALL = StoreLimits(journal_file_max_bytes=32 * 1024, preallocate_bytes=16 * 1024, journal_files_kept=1, group_max_bytes=8_000)
TEXT = "x" * 1_500
DEADLINE_S = 30


def journal_files(home: InProcessHome) -> list[Path]:
    return sorted((home.directory / "journal").iterdir())


async def publish_until(client: linkd.aio.Client, home: InProcessHome, first: int, file: int) -> int:
    """Publishes until there is a journal file of this number; returns the next number to be published."""
    while not any(path.name.startswith(f"{file:016d}") for path in journal_files(home)):
        await client.publish("in_rows", {"n": [first], "text": [TEXT]})
        first += 1
    return first


async def numbers_there(client: linkd.aio.Client) -> list[int]:
    """What is kept, as soon as the index says which values that are."""
    while True:
        with contextlib.suppress(LinkNotFound):
            return [row["n"] for row in await client.read("in_rows").rows()]


async def test_a_damaged_frame_of_an_old_journal_file_costs_its_values_and_stops_nothing(tmp_path: Path) -> None:
    async with (
        asyncio.timeout(DEADLINE_S),
        running_home(tmp_path / "state", supervised=False, store_limits=SMALL) as home,
        linkd.aio.connect(home.endpoint) as client,
    ):
        following = await publish_until(client, home, 1, 2)
        [damaged, _] = journal_files(home)
        content = damaged.read_bytes()
        at = content.find(TEXT.encode(), 5_000)
        with damaged.open("r+b") as file:
            file.seek(at)
            file.write(b"\x00")
        while damaged.exists():
            following = await publish_until(client, home, following, int(journal_files(home)[-1].name[:16]) + 1)
        [told] = [event for event in home.events.heard if isinstance(event, FileQuarantined)]
        assert (told.path, "values of in_rows that are lost with it: 1" in told.detail) == (str(damaged), True)
        assert not [event for event in home.events.heard if isinstance(event, StorageFailedEvent)]
        assert home.home.ready() is None
        assert [note for note in home.home.notes() if "set aside in" in note]
        quarantined = b"".join(path.read_bytes() for path in (home.directory / "quarantine").rglob("*.bytes"))
        assert TEXT[1:].encode() in quarantined
        numbers = await numbers_there(client)
        [lost] = set(range(1, following)) - set(numbers)
        [dropped] = next(link for link in (await client.describe()).links if link.name == "in_rows").dropped
        assert (dropped.reason, dropped.values) == ("damaged", 1)
    assert [row["n"] for row in rows_in_segments(tmp_path / "state", "in_rows")] == [n for n in range(1, following) if n != lost]
    assert not verify(LocalFiles(), tmp_path / "state").damage
