"""Carrying out a repair: the damaged bytes go to `quarantine/`, others take their place, the index is made again, what is lost is recorded.

    quarantine/TIME/note.json       {"linkd": its version, "pieces": [{"file", "offset", "size_bytes", "kept_as", "why"}, ...]}; a piece without
                                    `offset` is a whole file, one without `kept_as` was not there
    quarantine/TIME/%06d.bytes      what was in the place, as it was
    quarantine/TIME/PATH            whole files, by their path in the directory

Everything is in the quarantine, durably, before the first byte is changed; a repair that was interrupted is made again from what is there then.
What is lost becomes `Dropped` records with the reason `damaged`, one frame behind everything else: sequences stay in the order, and whoever reads
passes over them as over anything that was dropped. At last all that is kept is folded, as at a clean stop.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from linkd.core.checkpoint import restored
from linkd.core.ledger import Ledger
from linkd.core.links import Generation, Link, dropped_within
from linkd.limits import STORE_READ_BYTES
from linkd.model.frozen import frozen
from linkd.model.records import Dropped, LinkOpened, Record
from linkd.store import directory as layout_of
from linkd.store import envelope_file
from linkd.store.damage import QUARANTINE
from linkd.store.files import Files
from linkd.store.offline.repair_plan import DAMAGED, Edit, Loss, Plan
from linkd.store.store import Store

_NOTE = "note.json"
_RECORDS_AT_ONCE = 1_000


@frozen()
class Repaired:
    """What was done. `lost` are all values that are gone, `quarantine` is where the damaged bytes are."""

    quarantine: Path
    lost: tuple[Loss, ...]


def carry_out(files: Files, directory: Path, plan: Plan, name: str, now_ns: int) -> Repaired:
    """Do what was planned. `name` is that of the quarantine, which must be new. The caller has the directory locked. Raises `StorageFailed`."""
    quarantine = directory / QUARANTINE / name
    _set_aside(files, directory, quarantine, plan)
    for edit in plan.edits:
        _put(files, edit)
    for path, envelopes in plan.envelopes.items():
        envelope_file.write(files, path, envelopes)
    for path, content in plan.rewritten.items():
        _write_again(files, path, content)
    for path in plan.aside:
        if path not in plan.envelopes and path not in plan.rewritten:
            files.unlink(path)
            files.sync_directory(path.parent)
    if plan.store_id is not None:
        layout_of.rewrite_format(files, directory, plan.store_id)
    return Repaired(quarantine, asyncio.run(_record(files, directory, plan, now_ns)))


def _set_aside(files: Files, directory: Path, quarantine: Path, plan: Plan) -> None:
    for made in (quarantine.parent, quarantine):
        files.make_directory(made)
        files.sync_directory(made.parent)
    pieces: list[dict[str, object]] = []
    for number, edit in enumerate(plan.edits):
        piece: dict[str, object] = {"file": str(edit.path.relative_to(directory)), "offset": edit.offset, "size_bytes": edit.size_bytes}
        if edit.path.name in files.list(edit.path.parent):
            piece["kept_as"] = f"{number:06d}.bytes"
            _copy(files, edit.path, edit.offset, edit.offset + edit.size_bytes, quarantine / f"{number:06d}.bytes")
        pieces.append({**piece, "why": edit.why})
    for path in plan.aside:
        inside = path.relative_to(directory)
        (quarantine / inside).parent.mkdir(parents=True, exist_ok=True)
        _copy(files, path, 0, files.size(path), quarantine / inside)
        files.sync_directory((quarantine / inside).parent)
        pieces.append({"file": str(inside), "kept_as": str(inside), "why": "it was damaged, or is made again"})
    note = files.create(quarantine / _NOTE)
    try:
        note.pwrite(json.dumps({"linkd": layout_of.linkd_version(), "pieces": pieces}, indent=1).encode() + b"\n", 0)
        note.datasync()
    finally:
        note.close()
    files.sync_directory(quarantine)


def _copy(files: Files, path: Path, offset: int, end: int, target: Path) -> None:
    source, copy = files.open(path), files.create(target)
    try:
        at = offset
        while at < end and (piece := source.pread(min(STORE_READ_BYTES, end - at), at)):
            copy.pwrite(piece, at - offset)
            at += len(piece)
        copy.datasync()
    finally:
        source.close()
        copy.close()


def _write_again(files: Files, path: Path, content: bytes) -> None:
    """The whole file, aside first: at every instant there is the one or the other."""
    aside = path.with_name(f"{path.name}.new")
    if aside.name in files.list(path.parent):
        files.unlink(aside)
    file = files.create(aside)
    try:
        file.pwrite(content, 0)
        file.datasync()
    finally:
        file.close()
    files.rename(aside, path)
    files.sync_directory(path.parent)


def _put(files: Files, edit: Edit) -> None:
    is_new = edit.path.name not in files.list(edit.path.parent)
    if is_new:
        files.make_directory(edit.path.parent)
        files.sync_directory(edit.path.parent.parent)
    file = files.create(edit.path) if is_new else files.open(edit.path, writable=True)
    try:
        file.pwrite(edit.data, edit.offset)
        at, end = edit.offset + len(edit.data), edit.offset + edit.size_bytes
        while at < end:
            piece = bytes(min(STORE_READ_BYTES, end - at))
            file.pwrite(piece, at)
            at += len(piece)
        file.datasync()
    finally:
        file.close()
    if is_new:
        files.sync_directory(edit.path.parent)


async def _record(files: Files, directory: Path, plan: Plan, now_ns: int) -> tuple[Loss, ...]:
    """Opens the store, whose start makes the index again, and records what is not there any more. What there is, is in segments then."""
    store = Store.open(directory, files)
    ledger = restored(store.kept, {})
    for _, records in store.replay():
        ledger.restore(records)
    store.start(asyncio.get_running_loop(), thread=False)
    try:
        lost = sorted({*joined(plan.lost), *_missing(store, ledger)}, key=lambda loss: (loss.link, loss.incarnation, loss.first))
        found = [record for loss in lost if (record := _dropped(ledger, loss, now_ns)) is not None]
        if plan.renew:
            found += [_renewed(link, now_ns) for link in ledger.links.values()]
        for start in range(0, len(found), _RECORDS_AT_ONCE):
            future = store.append(found[start : start + _RECORDS_AT_ONCE])
            store.commit_waiting()
            await future
        await asyncio.sleep(0)  # what was dropped may go from here on: nobody is to meet it on the way
        store.tidy()
        store.fold()
    finally:
        await store.close()
    return tuple(joined(lost))


def _missing(store: Store, ledger: Ledger) -> Iterator[Loss]:
    """Values of generations there are that the index, made from all that is whole, does not have."""
    for link in ledger.links.values():
        for generation in link.generations.values():
            yield from _missing_of(store, link, generation)


def _missing_of(store: Store, link: Link, generation: Generation) -> Iterator[Loss]:
    expected, incarnation = link.there_from(generation.kept_sequence), generation.incarnation
    for envelope, _ in store.values(link.name, expected, generation.last_sequence):
        position = envelope.position
        if position.incarnation == incarnation and position.sequence > expected:
            yield from _not_dropped(link, incarnation, expected, position.sequence - 1)
        expected, incarnation = position.sequence + 1, position.incarnation
    if expected <= generation.last_sequence:
        yield from _not_dropped(link, incarnation, expected, generation.last_sequence)


def _not_dropped(link: Link, incarnation: int, first: int, last: int) -> Iterator[Loss]:
    for gone in dropped_within(link, first, last):
        if gone.first_sequence > first:
            yield Loss(link.name, incarnation, first, gone.first_sequence - 1)
        first = gone.last_sequence + 1
    if first <= last:
        yield Loss(link.name, incarnation, first, last)


def _dropped(ledger: Ledger, loss: Loss, now_ns: int) -> Record | None:
    """The record of a loss; none for a link that never began, as far as is known now."""
    if loss.link not in ledger.links:
        return None
    return Dropped(loss.link, loss.incarnation, loss.first, loss.last, DAMAGED, dropped_at_ns=now_ns)


def _renewed(link: Link, now_ns: int) -> Record:
    return LinkOpened(link.name, link.incarnation + 1, link.next_sequence, now_ns)


def joined(losses: Sequence[Loss]) -> Iterator[Loss]:
    """The same values in ranges that do not touch."""
    last: Loss | None = None
    for loss in sorted(losses, key=lambda loss: (loss.link, loss.incarnation, loss.first)):
        if last is not None and (loss.link, loss.incarnation) == (last.link, last.incarnation) and loss.first <= last.last + 1:
            last = Loss(last.link, last.incarnation, last.first, max(last.last, loss.last))
            continue
        if last is not None:
            yield last
        last = loss
    if last is not None:
        yield last


def free_name(directory: Path, wanted: str) -> str:
    """A name for a quarantine that is not taken."""
    number, name = 1, wanted
    while (directory / QUARANTINE / name).exists():
        number += 1
        name = f"{wanted}-{number}"
    return name


def room_needed(plan: Plan) -> int:
    """Bytes that the quarantine takes."""
    return sum(edit.size_bytes for edit in plan.edits) + sum(path.stat().st_size for path in plan.aside)


def room_there(directory: Path) -> int:
    """Bytes that are free where the quarantine will be."""
    return shutil.disk_usage(directory).free
