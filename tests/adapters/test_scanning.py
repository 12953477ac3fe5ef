"""Looking at directories sees what a system that does not tell keeps to itself."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from linkd_adapters.file.scanning import Scan
from linkd_adapters.file.watching import must_scan

INTERVAL_S = 0.02


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    for name in ("log", "b/deep/log"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("first\n")
    return tmp_path


def looking(directories: list[str], *, recursive: bool) -> Scan:
    return Scan(directories, recursive=recursive, interval_s=INTERVAL_S)


def grow(directory: Path) -> None:
    with (directory / "log").open("a") as file:
        file.write("more\n")


def grow_deep(directory: Path) -> None:
    with (directory / "b/deep/log").open("a") as file:
        file.write("more\n")


def replace(directory: Path) -> None:
    (directory / "new").write_text("first\n")
    before = (directory / "log").stat()
    os.utime(directory / "new", ns=(before.st_atime_ns, before.st_mtime_ns))
    (directory / "new").replace(directory / "log")


@pytest.mark.parametrize(
    "change",
    [grow, replace, lambda directory: (directory / "log").unlink(), lambda directory: (directory / "log").rename(directory / "log.1")],
    ids=["grown", "replaced by one of the same size and time", "removed", "renamed"],
)
def test_a_change_is_seen(change: Callable[[Path], object], directory: Path) -> None:
    (directory / "dangling").symlink_to(directory / "nowhere")
    scan = looking([str(directory)], recursive=False)
    change(directory)
    assert scan.wait(threading.Event())
    scan.close()


def test_what_grows_twice_within_a_second_is_seen_twice(directory: Path) -> None:
    scan = looking([str(directory)], recursive=False)
    with (directory / "log").open("a") as file:
        for _ in range(2):
            file.write("more\n")
            file.flush()
            assert scan.wait(threading.Event())


def test_below_a_directory_it_looks_only_if_it_is_to_and_what_was_seen_is_no_news(directory: Path) -> None:
    flat, deep = looking([str(directory)], recursive=False), looking([str(directory)], recursive=True)
    grow_deep(directory)
    assert deep.wait(threading.Event())
    for scan in (flat, deep):
        over = threading.Event()
        threading.Timer(1.5 * INTERVAL_S, over.set).start()
        assert not scan.wait(over)


def test_a_directory_that_goes_and_comes_back_is_seen(directory: Path) -> None:
    scan = looking([str(directory / "b")], recursive=True)
    (directory / "b").rename(directory / "c")
    assert scan.wait(threading.Event())
    (directory / "c").rename(directory / "b")
    assert scan.wait(threading.Event())


def test_a_directory_that_is_not_there_is_refused(directory: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Scan([str(directory / "gone")], recursive=False)


@pytest.mark.parametrize(
    ("platform", "polling", "recursive", "scans"),
    [
        ("linux", "", False, False),
        ("linux", "1", False, True),
        ("linux", "true", True, True),
        ("darwin", "", False, True),
        ("darwin", "", True, False),
        ("darwin", "0", True, False),
    ],
)
def test_it_looks_where_the_system_does_not_tell(platform: str, polling: str, recursive: bool, scans: bool) -> None:
    assert must_scan(platform, polling, recursive=recursive) is scans
