"""Artifacts through power cuts and kills at any call of the file system: what was acked is there, what is there is right."""

from __future__ import annotations

import asyncio
import random
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from linkd.errors import Error, Overloaded
from linkd.limits import ARTIFACT_LEASE_S, ARTIFACT_PACKED_MAX_BYTES
from linkd.model.artifacts import ArtifactKept
from linkd.store.artifacts.store import ArtifactStore
from linkd.testing.artifact_conformance import content_of, whole
from linkd.testing.faulty_files import FaultyFiles

HOME = Path("/home-of-artifacts")
TIGHT_BYTES = 900_000
PACK_BYTES = 60_000


@dataclass
class Witness:
    """What was acked, and what a value names: that must stay; the rest may have made room where the quota is tight."""

    quota_bytes: int
    acked: dict[bytes, bytes] = field(default_factory=dict)
    named: set[bytes] = field(default_factory=set)


async def life(files: FaultyFiles, index: Path, witness: Witness, chance: random.Random) -> None:
    """Opens, looks at all that was acked, and puts more until something gives way."""
    now_s = [0.0]
    artifacts = ArtifactStore.open(HOME / "artifacts", files, index_path=index, now_s=lambda: now_s[0])
    artifacts.pack_file_max_bytes = PACK_BYTES
    artifacts.start(asyncio.get_running_loop(), quota_bytes=lambda: witness.quota_bytes, thread=False)
    try:
        for digest, content in witness.acked.items():
            if artifacts.find(digest) is not None:
                assert await whole(artifacts.read(digest)) == content
            else:
                assert digest not in witness.named
                assert witness.quota_bytes == TIGHT_BYTES
        artifacts.named([("files", 1, digest) for digest in witness.named])
        for _ in range(12):
            size_bytes = chance.choice((10, 3_000, 20_000, ARTIFACT_PACKED_MAX_BYTES + chance.randint(1, 5_000)))
            content = content_of(size_bytes, chance.randint(0, 5))
            try:
                kept = await put(artifacts, content, at_once=chance.random() < 0.5)
            except Overloaded:  # all there is was in somebody's hands a moment ago
                now_s[0] += 2 * ARTIFACT_LEASE_S
                continue
            witness.acked[kept.digest] = content
            if chance.random() < 0.1 and len(witness.named) < 3:
                artifacts.named([("files", 1, kept.digest)])
                artifacts.write_names()
                witness.named.add(kept.digest)
            now_s[0] += chance.choice((1.0, 2 * ARTIFACT_LEASE_S))
    finally:
        await artifacts.close()


async def put(artifacts: ArtifactStore, content: bytes, *, at_once: bool) -> ArtifactKept:
    """By the short way, where it is open, or by the general one."""
    written = artifacts.keep_at_once(content) if at_once and len(content) <= ARTIFACT_PACKED_MAX_BYTES else None
    if written is not None:
        return await written
    incoming = await artifacts.begin(len(content))
    incoming.write(content[: len(content) // 2])
    incoming.write(content[len(content) // 2 :])
    return await artifacts.keep(incoming)


def through(index: Path, seed: int, *, lose_index: bool) -> int:
    """Some lives with an end each; returns how many were cut short."""
    chance = random.Random(seed)
    files, witness, cut = FaultyFiles(), Witness(TIGHT_BYTES if seed % 2 else 2**40), 0
    files.make_directory(HOME)
    files.sync_directory(HOME.parent)
    for _ in range(6):
        files.cut_power_after(chance.randint(1, 120))
        try:
            asyncio.run(life(files, index, witness, chance))
        except Error:
            cut += 1
        files = files.crash(chance.randint(0, 2**32)) if chance.random() < 0.7 else files.kill()
        if lose_index and chance.random() < 0.5:
            index.unlink(missing_ok=True)
            witness.named &= set()  # the home names them again, of which this test has none
    asyncio.run(life(files, index, witness, chance))
    return cut


@pytest.mark.parametrize("lose_index", [False, True], ids=["with its index", "without"])
def test_what_was_acked_survives_power_cuts_and_kills_anywhere(tmp_path: Path, lose_index: bool) -> None:
    cut = 0
    for seed in range(12):
        folder = tmp_path / str(seed)
        folder.mkdir()
        cut += through(folder / "index.db", seed, lose_index=lose_index)
        shutil.rmtree(folder)
    assert cut > 20
