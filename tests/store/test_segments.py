"""Any Arrow reader sees committed values only: at every step of an append, after every kind of end."""

from __future__ import annotations

import asyncio
import io
import json
from pathlib import Path

import polars
import pyarrow as pa
import pytest

from linkd.errors import StateDamaged
from linkd.model.kept import Held
from linkd.model.values import Place
from linkd.store.files import LocalFiles
from linkd.store.holdings import Holdings
from linkd.store.segment_format import place_value, stamped_metadata
from linkd.store.segment_recovery import SegmentRecovery
from linkd.store.segments import SegmentWrite, SegmentWriter
from linkd.store.store import Store
from linkd.store.store_limits import StoreLimits
from linkd.testing.sample_values import SampleValue, sample_value
from linkd.wire import arrow_ipc

LIMITS = StoreLimits(inline_payload_max_bytes=0, segment_file_max_bytes=12_000, preallocate_bytes=16 * 1024)


def seen(path: Path) -> list[int]:
    """The sequences that pyarrow sees in a file, and polars too."""
    content = path.read_bytes()
    sequences = [batch.column(0)[0].as_py() for batch in pa.ipc.open_stream(content)]
    rows = polars.read_ipc_stream(io.BytesIO(content)).to_series().to_list()
    assert list(dict.fromkeys(rows)) == sequences
    return sequences


class Link:
    """A link's segment, written step by step."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "flown" / "00000001.arrow"
        self.writer = SegmentWriter(LocalFiles(), directory, open_max=4)
        self.recovery = SegmentRecovery(LocalFiles(), directory)
        self.holdings = Holdings(Held())

    def write(self, value: SampleValue) -> Place:
        message = arrow_ipc.read_message(value.payload)
        stamped = stamped_metadata(value.envelope, message.metadata)
        schemas = {value.envelope.schema_id: value.schema}
        head = self.holdings.head("flown")
        placed = place_value(head, value.envelope, len(stamped), len(message.body), schemas, 2**20, lambda: self.holdings.new_file("flown"))
        self.holdings.stored(value.envelope, placed.place)
        half = len(message.body) // 2
        body = (message.body[:half], message.body[half:])

        self.writer.write(SegmentWrite("flown", placed.place, placed.schema, stamped, lambda: body))
        return placed.place


def test_a_reader_sees_a_value_when_it_is_published_and_not_before(tmp_path: Path) -> None:
    link = Link(tmp_path)
    link.write(sample_value("flown", 1))
    assert seen(link.path) == []
    link.writer.sync()
    assert seen(link.path) == []
    link.writer.publish()
    assert seen(link.path) == [1]
    link.write(sample_value("flown", 2))
    link.write(sample_value("flown", 3, rows=0))
    link.write(sample_value("flown", 4))
    assert seen(link.path) == [1]
    link.writer.sync()
    link.writer.publish()
    assert pa.ipc.open_stream(link.path).read_all().column(0).to_pylist() == [1] * 3 + [2] * 3 + [4] * 3
    link.writer.close()


def test_each_message_carries_its_envelope_for_anyone_to_read(tmp_path: Path) -> None:
    link = Link(tmp_path)
    value = sample_value("flown", 7, generation=2)
    link.write(value)
    link.writer.sync()
    link.writer.publish()
    link.writer.close()
    _, custom = pa.ipc.open_stream(link.path).read_next_batch_with_custom_metadata()
    said = {key.decode(): text.decode() for key, text in dict(custom).items()}
    envelope = json.loads(said["linkd.envelope"])
    assert (envelope["link"], envelope["sequence"], envelope["rows"]) == ("flown", 7, 3)
    assert envelope["id"] == value.envelope.id.hex()
    assert int(envelope["payload_xxh3"], 16) == value.envelope.payload_xxh3
    assert (said["linkd.position"], said["linkd.generation"]) == ("1.7", "2")


def test_recovery_publishes_what_is_committed_and_cuts_the_rest(tmp_path: Path) -> None:
    link = Link(tmp_path)
    values = [sample_value("flown", number) for number in range(1, 6)]
    for value in values[:4]:
        link.recovery.saw(value.envelope, link.write(value), durable_lsn=0)
    held = link.holdings.files()
    link.write(values[4])  # written and synced, but its frame never became durable
    link.writer.sync()
    link.writer.close()
    (tmp_path / "flown" / "00000002.arrow").write_bytes(b"never committed")
    assert seen(link.path) == []
    notes = link.recovery.repair(held)
    assert seen(link.path) == [1, 2, 3, 4]
    assert link.path.stat().st_size == held[0][1].end + 8
    assert any("cut" in note for note in notes)
    assert any("00000002.arrow: deleted" in note for note in notes)
    assert link.recovery.repair(held) == ()


def test_a_segment_that_is_too_short_or_missing_is_damage(tmp_path: Path) -> None:
    link = Link(tmp_path)
    value = sample_value("flown", 1)
    link.recovery.saw(value.envelope, link.write(value), durable_lsn=0)
    link.writer.sync()
    link.writer.close()
    content = link.path.read_bytes()
    link.path.write_bytes(content[:-20])
    with pytest.raises(StateDamaged, match=r"00000001\.arrow has .* bytes, but"):
        link.recovery.repair(link.holdings.files())
    link.path.unlink()
    with pytest.raises(StateDamaged, match=r"00000001\.arrow: it is not there"):
        link.recovery.repair(link.holdings.files())


async def test_a_new_file_begins_with_another_schema_generation_or_when_one_is_full(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "s", limits=LIMITS)
    list(store.replay())
    store.start(asyncio.get_running_loop())
    values = [
        sample_value("flown.rejects", 1, 200),
        sample_value("flown.rejects", 2, 200),
        sample_value("flown.rejects", 3, 200, generation=2),
        sample_value("flown.rejects", 4, 200, generation=2, column="m"),
        sample_value("flown.rejects", 5, 1_000, generation=2, column="m"),
        sample_value("flown.rejects", 6, 1_000, generation=2, column="m"),
    ]
    places = [(await store.append([value.schema_kept, value.stored], [value.payload])).places[0] for value in values]
    assert [place.file for place in places] == [1, 1, 2, 3, 3, 4]
    await store.close()
    directory = tmp_path / "s" / "segments" / "flown.rejects"
    assert [seen(path) for path in sorted(directory.iterdir())] == [[1, 2], [3], [4, 5], [6]]


async def test_after_a_restart_a_link_goes_on_in_its_file(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        store = Store.open(tmp_path / "s", limits=LIMITS)
        list(store.replay())
        store.start(asyncio.get_running_loop())
        value = sample_value("flown", number)
        records = [value.stored] if number > 1 else [value.schema_kept, value.stored]
        await store.append(records, [value.payload])
        await store.close()
    assert seen(tmp_path / "s" / "segments" / "flown" / "00000001.arrow") == [1, 2, 3]
