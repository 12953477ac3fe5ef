"""A tool that is killed at any of its writes leaves nothing that passes for whole, and does its work when it is run again."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from linkd.core.checkpoint import keep as keep_ledger
from linkd.core.ledger import Ledger
from linkd.errors import StateForeign
from linkd.model.records import GenerationBegan, LinkOpened, Record
from linkd.store.directory import read_format
from linkd.store.files import Bytes, File, LocalFiles
from linkd.store.offline.backup import back_up, restore
from linkd.store.offline.repair_plan import plan_repair
from linkd.store.offline.repairing import carry_out, free_name
from linkd.store.offline.verification import verify
from linkd.store.store import Store
from linkd.store.store_limits import StoreLimits
from linkd.testing.sample_values import sample_value

LIMITS = StoreLimits(
    inline_payload_max_bytes=1_000,
    group_max_bytes=8_000,
    journal_file_max_bytes=32 * 1024,
    preallocate_bytes=8 * 1024,
    journal_files_kept=1,
)
VALUES = 20
STEP = 3
"""Every third write is enough: what is before and behind each of them is the same."""


class Killed(BaseException):
    """The process ends here."""


class KilledFiles(LocalFiles):
    """The files of a process that is killed at its `steps`-th change."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def step(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Killed

    def create(self, path: Path) -> File:
        self.step()
        return KilledFile(self, super().create(path))

    def open(self, path: Path, *, writable: bool = False) -> File:
        return KilledFile(self, super().open(path, writable=writable))

    def rename(self, source: Path, target: Path) -> None:
        self.step()
        super().rename(source, target)

    def unlink(self, path: Path) -> None:
        self.step()
        super().unlink(path)

    def make_directory(self, path: Path) -> None:
        self.step()
        super().make_directory(path)


class KilledFile:
    def __init__(self, files: KilledFiles, file: File) -> None:
        self.files = files
        self.file = file

    def pwrite(self, data: Bytes, offset: int) -> None:
        self.files.step()
        self.file.pwrite(data, offset)

    def pwritev(self, parts: Sequence[Bytes], offset: int) -> None:
        self.files.step()
        self.file.pwritev(parts, offset)

    def truncate(self, length: int) -> None:
        self.files.step()
        self.file.truncate(length)

    def pread(self, length: int, offset: int) -> bytes:
        return self.file.pread(length, offset)

    def reserve(self, size_bytes: int) -> None:
        self.files.step()
        self.file.reserve(size_bytes)

    def begin_sync(self, start: int, size_bytes: int) -> None:
        self.file.begin_sync(start, size_bytes)

    def datasync(self) -> None:
        self.file.datasync()

    def size(self) -> int:
        return self.file.size()

    def close(self) -> None:
        self.file.close()


async def make(directory: Path) -> None:
    store, ledger = Store.open(directory, limits=LIMITS), Ledger({})
    list(store.replay())
    store.start(asyncio.get_running_loop(), keep=lambda: keep_ledger(ledger))

    async def admit(records: Sequence[Record], payloads: Sequence[bytes] = ()) -> None:
        ledger.apply(records)
        await store.append(records, payloads)
        ledger.durable(records)

    await admit([LinkOpened("flown", 1, 1, 1), GenerationBegan("flown", 1, 1, 1, "clean", "1")])
    for number in range(1, VALUES + 1):
        value = sample_value("flown", number, 300 if number % 4 == 0 else 10)
        await admit([value.schema_kept, value.stored], [value.payload])
    await store.close(0.0)


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("state") / "s"
    asyncio.run(make(directory))
    return directory


def killed_at_every_step(
    attempt: Callable[[KilledFiles, Path], object], begin: Callable[[int], Path], check: Callable[[Path], None]
) -> int:
    """Attempts it, killed ever later, on what `begin` makes each time; `check` sees what a kill left. Returns how many kills there were."""
    for number in range(10_000):
        directory = begin(number)
        if not _is_killed(attempt, KilledFiles(number * STEP), directory):
            return number
        check(directory)
        shutil.rmtree(directory, ignore_errors=True)
    raise AssertionError("it never ends")


def _is_killed(attempt: Callable[[KilledFiles, Path], object], files: KilledFiles, directory: Path) -> bool:
    """What the attempt has open is closed with its frames, before anybody looks: an index that is closed later removes the log of the next one."""
    try:
        attempt(files, directory)
    except Killed:
        return True
    return False


def sequences(directory: Path) -> list[int]:
    store = Store.open(directory, limits=LIMITS)
    list(store.replay())
    found = [envelope.position.sequence for envelope, _ in store.values("flown")]
    asyncio.run(store.close())
    return found


def test_half_a_backup_is_none(state: Path, tmp_path: Path) -> None:
    def refused(directory: Path) -> None:
        with pytest.raises(StateForeign, match="is no backup, or one that was not finished"):
            restore(LocalFiles(), directory, tmp_path / "again")
        assert not (tmp_path / "again").exists()

    kills = killed_at_every_step(lambda files, target: back_up(files, state, target), lambda number: tmp_path / str(number), refused)
    assert kills > 5
    restore(LocalFiles(), tmp_path / str(kills), tmp_path / "again")
    assert sequences(tmp_path / "again") == list(range(1, VALUES + 1))


def test_half_a_restore_is_no_state_and_is_done_again(state: Path, tmp_path: Path) -> None:
    backup = tmp_path / "backup"
    back_up(LocalFiles(), state, backup)

    def again(directory: Path) -> None:
        if directory.exists():
            with pytest.raises(StateForeign):
                read_format(LocalFiles(), directory)
        restore(LocalFiles(), backup, directory)
        assert not verify(LocalFiles(), directory).damage
        assert sequences(directory) == list(range(1, VALUES + 1))

    kills = killed_at_every_step(lambda files, target: restore(files, backup, target), lambda number: tmp_path / str(number), again)
    assert kills > 5


def test_half_a_repair_is_done_again_and_loses_no_more(state: Path, tmp_path: Path) -> None:
    def damaged(number: int) -> Path:
        directory = Path(shutil.copytree(state, tmp_path / str(number)))
        path = sorted((directory / "segments" / "flown").iterdir())[0]
        content = bytearray(path.read_bytes())
        content[2_000] ^= 1
        path.write_bytes(content)
        return directory

    def mend(files: LocalFiles, directory: Path) -> None:
        carry_out(files, directory, plan_repair(files, directory), free_name(directory, "now"), 5)

    def again(directory: Path) -> None:
        mend(LocalFiles(), directory)
        assert not verify(LocalFiles(), directory).damage
        assert len(sequences(directory)) >= VALUES - 1

    assert killed_at_every_step(mend, damaged, again) > 5
