"""A state directory with something in it, for what operators do to one."""

from __future__ import annotations

import asyncio
from pathlib import Path

from linkd.core.checkpoint import keep, restored
from linkd.model.records import GenerationBegan, GenerationEnd, GenerationEnded, LinkOpened, Record
from linkd.store.store import Store
from linkd.testing.sample_values import sample_value


async def make_flown(directory: Path) -> None:
    """A sealed link of six values, of which the even ones lie in a segment."""
    store = Store.open(directory)
    ledger = restored(store.kept, {})
    list(store.replay())
    store.start(asyncio.get_running_loop(), thread=False, keep=lambda: keep(ledger))

    async def admit(records: list[Record], *payloads: bytes) -> None:
        future = store.append(records, payloads)
        ledger.apply(records)
        store.commit_waiting()
        await future

    await admit([LinkOpened("flown", 1, 1, 1), GenerationBegan("flown", 1, 1, 1, "clean", "1")])
    for sequence in range(1, 7):
        value = sample_value("flown", sequence, 10 if sequence % 2 else 10_000)
        await admit([value.schema_kept, value.stored], value.payload)
    await admit([GenerationEnded("flown", 1, GenerationEnd.SEALED, 6)])
    await store.close()
