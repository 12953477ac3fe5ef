"""Seven days of a link that keeps an hour: what lies on disk and in memory stays bounded, and every value is read until its hour is over.

One value every `LINKD_SEVEN_DAYS_EVERY_S` seconds (60 by default; 1 is what `make soak` asks for), with limits so small that files roll over and
the journal is recycled all the time.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from pathlib import Path

from figures import keep_figure

from linkd.core import expiry
from linkd.core.checkpoint import keep, restored
from linkd.core.expiry import Moment
from linkd.core.ledger import Ledger
from linkd.core.publishing import Frame, Maker, open_link
from linkd.limits import RETENTION_STRETCHES_MAX
from linkd.model.records import Record
from linkd.model.terms import Retain
from linkd.store.store import Store
from linkd.store.store_limits import StoreLimits
from linkd.testing.simulation.numbered_payloads import numbered, schema_of_all
from linkd.wire import arrow_ipc

EVERY_S = float(os.environ.get("LINKD_SEVEN_DAYS_EVERY_S", "60"))
DAY_S, HOUR_S = 86_400.0, 3_600.0
ROUND_S = 600.0
"""So often what is over an hour old goes, and the store is tidied."""
DAY_ROUNDS = int(DAY_S / ROUND_S)
ROUNDS = 7 * DAY_ROUNDS
CHECK_EACH, RESTART_EACH = 18, 250
LIMITS = StoreLimits(
    inline_payload_max_bytes=1_000,
    journal_file_max_bytes=256 * 1024,
    group_max_bytes=64 * 1024,
    preallocate_bytes=16 * 1024,
    journal_files_kept=2,
    checkpoint_frames=2_000,
    segment_roll_min_bytes=16 * 1024,
    segment_file_max_bytes=1024 * 1024,
)


@dataclass(slots=True)
class Week:
    """The link, its clock, and the most of everything that was seen."""

    directory: Path
    store: Store = field(init=False)
    ledger: Ledger = field(init=False)
    now_ns: int = 1_800_000_000_000_000_000
    most: dict[str, int] = field(default_factory=dict)

    def open(self) -> None:
        self.store = Store.open(self.directory, limits=LIMITS)
        self.ledger = restored(self.store.kept, {})
        for _, records in self.store.replay():
            self.ledger.restore(records)
        self.store.start(asyncio.get_running_loop(), thread=False, keep=lambda: keep(self.ledger))

    async def restart(self) -> None:
        await self.store.close()
        self.open()

    def admit(self, records: list[Record], payloads: list[bytes]) -> None:
        self.store.append(records, payloads, durable=False)
        self.ledger.apply(records)

    def publish(self) -> None:
        """A value: every tenth lies in a segment at once."""
        link = self.ledger.links["flown"]
        sequence = link.next_sequence
        draft, payload = numbered("flown", sequence, 400 if sequence % 10 == 0 else 10)
        frame = Frame(self.ledger, self.now_ns)
        assert link.current is not None
        frame.value(draft, link.current, Maker(), sequence.to_bytes(16, "big"))
        self.admit(frame.records, [payload])

    async def settle(self) -> None:
        """What was admitted is durable, what is over an hour old goes, and the store is tidied."""
        self._commit()
        found = expiry.expired(self.ledger, "flown", Retain(age_s=HOUR_S), Moment(self.now_ns, self.now_ns))
        self.admit(list[Record](found.records), [])
        self.admit(list[Record](expiry.forgotten(self.ledger, self.now_ns)), [])
        self._commit()
        await asyncio.sleep(0)
        self.store.tidy()

    def _commit(self) -> None:
        self.store.commit_waiting()
        link = self.ledger.links["flown"]
        link.durable_sequence = link.next_sequence - 1

    async def check(self) -> None:
        """Every value of the last hour is there, whole; and not much else, of anything."""
        values = list(self.store.values("flown"))
        kept = [envelope.position.sequence for envelope, _ in values]
        assert kept == list(range(kept[0], self.ledger.links["flown"].next_sequence))
        oldest = values[0][0].created_at_ns
        assert kept[0] == 1 or oldest <= self.now_ns - int((HOUR_S - EVERY_S) * 1e9)
        assert self.now_ns - oldest <= HOUR_S * 1.2 * 1e9
        for envelope, place in values[:: max(len(values) // 8, 1)]:
            metadata, body = await self.store.read_payload(envelope, place)
            _, payload = numbered("flown", envelope.position.sequence, envelope.rows)
            assert metadata + bytes(body) == payload[arrow_ipc.PREFIX_BYTES :]
        self._measure(len(values))

    def _measure(self, rows: int) -> None:
        files = [path for path in self.directory.rglob("*") if path.is_file() and "_commits" not in path.parts]
        link = self.ledger.links["flown"]
        [generation] = link.generations.values()
        now = {
            "files": len(files),
            "bytes": sum(path.stat().st_size for path in files),
            "rows": rows,
            "stretches": len(generation.account.stretches) + len(generation.past) + len(link.gone),
        }
        self.most = {name: max(self.most.get(name, 0), number) for name, number in now.items()}


async def test_a_week_leaves_no_more_behind_than_a_day(tmp_path: Path) -> None:
    week = Week(tmp_path / "state")
    week.open()
    week.admit([*open_link("flown", week.now_ns, schema_of_all())], [])
    after_a_day: dict[str, int] = {}
    values = int(ROUND_S / EVERY_S)
    for number in range(1, ROUNDS + 1):
        for _ in range(values):
            week.now_ns += int(EVERY_S * 1e9)
            week.publish()
        await week.settle()
        if number % CHECK_EACH == 0:
            await week.check()
        if number % RESTART_EACH == 0:
            await week.restart()
        if number == DAY_ROUNDS:
            after_a_day, week.most = week.most, {}
    await week.store.close()
    most = {"files": week.most["files"], "bytes": week.most["bytes"]}
    most |= {"rows_of_the_index": week.most["rows"], "stretches_in_memory": week.most["stretches"]}
    keep_figure("seven days", days=ROUNDS // DAY_ROUNDS, values=ROUNDS * values, **most)
    assert week.most["files"] <= after_a_day["files"] + 5
    assert week.most["bytes"] <= 1.3 * after_a_day["bytes"]
    assert week.most["rows"] <= 1.2 * HOUR_S / EVERY_S + 1
    assert week.most["stretches"] <= 3 * RETENTION_STRETCHES_MAX
    assert week.ledger.links["flown"].next_sequence - 1 == ROUNDS * values
