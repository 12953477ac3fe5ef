"""The operator's verbs on real directories: verify, repair, cat --salvage, backup and restore, upgrade, doctor."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from flown_state import make_flown
from typer.testing import CliRunner, Result

from linkd.app.cgroup import memory_limit_bytes
from linkd.app.examination import Verdict, access, clock, disk, libraries, memory, open_files, socket
from linkd.app.main import command_line
from linkd.app.state import Lock
from linkd.device import Device, Nature, Probed
from linkd.limits import MIB


def linkd(*words: object) -> Result:
    return CliRunner().invoke(command_line(), [str(word) for word in words])


def told(result: Result) -> Any:
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("pristine") / "s"
    asyncio.run(make_flown(directory))
    return directory


@pytest.fixture
def state(pristine: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pristine, tmp_path / "s"))


@pytest.fixture
def damaged(state: Path) -> Path:
    """The second value is not what was published."""
    path = state / "segments" / "flown" / "00000001.arrow"
    content = bytearray(path.read_bytes())
    content[20_000] ^= 1
    path.write_bytes(content)
    return state


def test_verify_says_of_a_whole_directory_that_it_is_and_changes_nothing(state: Path) -> None:
    before = {path: path.read_bytes() for path in state.rglob("*") if path.is_file()}
    result = linkd("verify", state)
    assert result.exit_code == 0
    assert result.stdout.startswith(f"{state}: whole (")
    assert told(linkd("verify", state, "--json"))["values"] == 6
    assert {path: path.read_bytes() for path in state.rglob("*") if path.is_file()} == before


def test_verify_names_file_offset_link_and_sequence_and_what_to_do(damaged: Path) -> None:
    result = linkd("verify", damaged)
    assert result.exit_code == 4
    assert "00000001.arrow, offset 128: the payload of flown@2 is not what was published" in result.stdout
    assert "flown@2 is lost" in result.stdout
    assert f"linkd repair {damaged}" in result.stdout
    [finding] = told(linkd("verify", damaged, "--json"))["findings"]
    assert (finding["link"], finding["first"], finding["offset"]) == ("flown", 2, 128)


def test_verify_beside_whoever_has_the_directory_reads_what_that_is_done_with(state: Path) -> None:
    lock = Lock.take(state / "lock", "linkd serve")
    try:
        result = linkd("verify", state)
        assert result.exit_code == 0
        assert "a home has it open" in result.stdout
        refused = linkd("repair", state, "--yes")
        assert (refused.exit_code, "in use by linkd serve" in refused.stderr) == (4, True)
    finally:
        lock.release()


def test_repair_says_what_is_lost_and_changes_nothing_before_it_is_told_to(damaged: Path) -> None:
    before = {path: path.read_bytes() for path in damaged.rglob("*") if path.is_file()}
    asked = linkd("repair", damaged)
    assert asked.exit_code == 4
    assert "what will be lost:\n  flown@2\n" in asked.stdout
    assert "nothing was changed: --yes does it" in asked.stdout
    assert before == {path: path.read_bytes() for path in before}
    done = linkd("repair", damaged, "--yes", "--json")
    assert done.exit_code == 0
    assert told(done)["lost"] == [{"link": "flown", "first": 2, "last": 2}]
    assert Path(told(done)["quarantine"], "note.json").is_file()
    assert linkd("verify", damaged).exit_code == 0
    assert "nothing is damaged" in linkd("repair", damaged).stdout


def test_repair_writes_again_what_the_directory_is(state: Path) -> None:
    (state / "format.json").write_text("{")
    refused = linkd("verify", state)
    assert (refused.exit_code, "linkd repair" in refused.stderr) == (4, True)
    assert linkd("repair", state, "--yes").exit_code == 0
    assert linkd("verify", state).exit_code == 0


def test_cat_salvages_every_value_that_is_whole_and_names_the_others(damaged: Path) -> None:
    shutil.rmtree(damaged / "checkpoints")
    (damaged / "catalog.db").unlink()
    result = linkd("cat", "flown", "--salvage", "-p", damaged)
    assert result.exit_code == 4
    assert result.stdout.splitlines() == ["n", *(str(n) for n in (1, 3, 4, 5, 6) for _ in range(10 if n % 2 else 10_000))]
    assert "not whole: flown@2" in result.stderr
    assert linkd("cat", "flown@3..5", "--salvage", "-p", damaged).exit_code == 0
    assert linkd("cat", "landed", "--salvage", "-p", damaged).exit_code == 2


def test_a_backup_comes_back_as_it_was(state: Path, tmp_path: Path) -> None:
    made = linkd("backup", tmp_path / "backup", "-p", state, "--json")
    assert made.exit_code == 0
    assert linkd("verify", tmp_path / "backup").exit_code == 0
    restored_ = linkd("restore", tmp_path / "backup", tmp_path / "again", "--json")
    assert restored_.exit_code == 0
    assert told(restored_)["files"] == told(made)["files"]
    assert told(linkd("verify", tmp_path / "again", "--json"))["values"] == 6
    assert linkd("restore", tmp_path / "backup", state).exit_code == 2
    (tmp_path / "backup" / "backup.json").unlink()
    assert linkd("restore", tmp_path / "backup", tmp_path / "more").exit_code == 4
    assert not (tmp_path / "more").exists()


@pytest.mark.parametrize("verb", ["verify", "repair", "upgrade"])
def test_what_is_no_directory_of_linkd_is_named_and_left_alone(tmp_path: Path, verb: str) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").touch()
    result = linkd(verb, tmp_path / "mine")
    assert result.exit_code == 4
    assert "is no directory of linkd's" in result.stderr
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]


def test_upgrade_says_that_there_is_nothing_newer(state: Path) -> None:
    assert linkd("upgrade", state).stdout == f"{state}: already at format 1\n"
    (state / "format.json").write_text(json.dumps({"format": "linkd store", "version": 2, "id": "x", "linkd": "9.9"}))
    result = linkd("upgrade", state)
    assert (result.exit_code, "written by linkd 9.9" in result.stderr) == (4, True)


def test_doctor_looks_at_everything_and_says_what_to_do(state: Path) -> None:
    result = linkd("doctor", state, "--json")
    checks = {check["name"]: check for check in told(result)["checks"]}
    assert checks.keys() >= {
        "versions",
        "libraries",
        "pyarrow",
        "duckdb",
        "state",
        "disk",
        "sync",
        "room",
        "memory",
        "clock",
        "socket",
        "access",
    }
    assert all(check["remedy"] for check in checks.values() if check["verdict"] != "ok")
    assert all(line.startswith(("ok  ", "warn", "fail", "      ")) for line in linkd("doctor", state).stdout.splitlines())


def test_doctor_knows_a_disk_that_lies_one_that_forgets_and_one_that_is_elsewhere(tmp_path: Path) -> None:
    def tried(nature: Nature, sync_s: float, honest: bool | None) -> list[Verdict]:
        return [one.verdict for one in disk(tmp_path, lambda _: Probed(Device("xfs", nature, "why"), sync_s, honest))]

    assert tried(Nature.SOLID, 2e-4, True) == [Verdict.OK, Verdict.OK]
    assert tried(Nature.SOLID, 2e-6, False) == [Verdict.OK, Verdict.WARN]
    assert tried(Nature.SOLID, 0.05, True) == [Verdict.OK, Verdict.WARN]
    assert tried(Nature.VOLATILE, 2e-6, False) == [Verdict.WARN, Verdict.OK]
    assert tried(Nature.NETWORK, 2e-3, None) == [Verdict.FAIL, Verdict.OK]


def test_doctor_knows_when_clock_memory_files_and_users_are_not_as_they_should_be(state: Path) -> None:
    assert clock(0.0, 0.0).verdict is Verdict.FAIL
    assert clock(1_800_000_000.0, 1_900_000_000.0).verdict is Verdict.WARN
    assert memory(300 * MIB, 256 * MIB).verdict is Verdict.WARN
    assert memory(memory_limit_bytes(lambda _: None), 256 * MIB).verdict is Verdict.OK
    assert open_files(256).verdict is Verdict.WARN
    assert access(state, uid=state.stat().st_uid + 1).verdict is Verdict.FAIL
    state.chmod(0o755)
    assert access(state).verdict is Verdict.OK, "what linkd makes is for nobody else to read"
    (state / "journal").chmod(0o755)
    assert access(state).verdict is Verdict.WARN
    assert socket(state).verdict is Verdict.OK

    def absent(name: str) -> object:
        raise ImportError(f"no {name}")

    assert [one.verdict for one in libraries(absent)] == [Verdict.OK, Verdict.WARN, Verdict.WARN]
