"""What a directory lies on, by what the system says is mounted there."""

from __future__ import annotations

import sys
from pathlib import Path, PurePosixPath

import pytest

from linkd.device import SOLID, Device, Mounted, Nature, check_for_journal, device_of, is_honest, mounted_of, probe, tried
from linkd.errors import StateForeign

MOUNTINFO = """\
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
25 24 0:23 / /dev/shm rw,relatime shared:4 - tmpfs tmpfs rw,size=24684096k
40 27 0:40 / /home rw,relatime shared:1 master:2 - nfs4 filer:/home rw,vers=4.2
41 40 254:1 / /home/ann/my\\040disk rw,relatime - xfs /dev/vdb rw
42 27 0:50 / /var/lib rw - overlay overlay rw,lowerdir=/l,upperdir=/u,workdir=/w
43 42 0:51 / /var/lib/fast rw - overlay overlay rw,lowerdir=/l,upperdir=/u,workdir=/w,volatile
44 27 0:52 / /far rw,nosuid - fuse.sshfs ann@far:/ rw,user_id=0
45 44 0:53 / /far rw - btrfs /dev/vdc rw,subvol=/
a line that nobody understands
""".splitlines()


@pytest.mark.parametrize(
    ("directory", "kind", "nature"),
    [
        ("/work/.linkd", "ext4", Nature.SOLID),
        ("/dev/shm/state", "tmpfs", Nature.VOLATILE),
        ("/dev/shmoo", "ext4", Nature.SOLID),
        ("/home/ann/.linkd", "nfs4", Nature.NETWORK),
        ("/home/ann/my disk/.linkd", "xfs", Nature.SOLID),
        ("/var/lib/state", "overlay", Nature.SOLID),
        ("/var/lib/fast/state", "overlay", Nature.VOLATILE),
        ("/far/state", "btrfs", Nature.SOLID),
    ],
)
def test_the_deepest_mount_that_came_last_decides(directory: str, kind: str, nature: Nature) -> None:
    device = device_of(Path(directory), lambda path: mounted_of(MOUNTINFO, PurePosixPath(path)))
    assert (device.kind, device.nature) == (kind, nature)
    assert bool(device.why) == (nature is not Nature.SOLID)


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "smbfs", "fuse.sshfs", "9p", "ceph", "fuse.glusterfs", "webdav"])
def test_no_journal_lies_on_a_network_file_system(kind: str) -> None:
    directory = Path("/home/ann/flights/.linkd")
    with pytest.raises(StateForeign, match=rf"{directory} lies on {kind}, a network file system.*Choose a directory on a disk") as refused:
        check_for_journal(directory, device_of(directory, lambda _: Mounted(kind)))
    assert refused.value.exit_code == 4


def test_elsewhere_one_does() -> None:
    refused = []
    for device in (SOLID, Device("tmpfs", Nature.VOLATILE, "why"), Device("nfs4", Nature.NETWORK, "why")):
        try:
            check_for_journal(Path("/anywhere"), device)
        except StateForeign:
            refused.append(device.kind)
    assert refused == ["nfs4"]


def test_a_system_that_says_nothing_is_taken_for_a_disk() -> None:
    assert device_of(Path("/work"), lambda _: Mounted("")) == SOLID


@pytest.mark.skipif(not Path("/dev/shm").is_dir() or sys.platform == "darwin", reason="there is no /dev/shm")
def test_memory_is_known_for_what_it_is(tmp_path: Path) -> None:
    device = device_of(Path("/dev/shm") / "not" / "there" / "yet")
    assert (device.kind, device.nature) == ("tmpfs", Nature.VOLATILE)
    assert probe(Path("/dev/shm")).honest is False


def test_a_probe_says_how_long_a_sync_takes_and_leaves_nothing(tmp_path: Path) -> None:
    found = probe(tmp_path)
    assert 0 < found.sync_s < 10
    assert found.device == device_of(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_sync_that_takes_no_time_is_a_lie() -> None:
    assert is_honest(SOLID, 0.000_005) is False
    assert is_honest(SOLID, 0.000_1) is True
    assert is_honest(Device("nfs", Nature.NETWORK), 0.001) is None
    assert is_honest(Device("tmpfs", Nature.VOLATILE), 0.001) is False


@pytest.mark.parametrize(
    ("syncs_s", "nature"),
    [
        ((0.000_2, 0.000_1, 0.004), Nature.SOLID),
        ((0.000_003, 0.000_002, 0.000_002), Nature.VOLATILE),
        ((0.000_003, 0.005, 0.000_002), Nature.VOLATILE),  # once it was slow for another reason
    ],
)
def test_a_disk_that_syncs_faster_than_any_is_volatile(syncs_s: tuple[float, ...], nature: Nature) -> None:
    device = tried(Path("/work"), lambda _: Mounted("ext4"), lambda _: syncs_s)
    assert (device.kind, device.nature) == ("ext4", nature)
    assert device.why == (
        "" if nature is Nature.SOLID else "a sync of this ext4 took 2 us, which no disk can do: something below it ignores syncs"
    )


def test_only_a_disk_is_tried_and_one_that_cannot_be_is_taken_for_what_the_system_says() -> None:
    def refused(_: Path) -> tuple[float, ...]:
        raise OSError(28, "No space left on device")

    assert tried(Path("/work"), lambda _: Mounted("tmpfs"), refused).nature is Nature.VOLATILE
    assert tried(Path("/work"), lambda _: Mounted("ext4"), refused) == Device("ext4", Nature.SOLID)


def test_a_try_leaves_nothing(tmp_path: Path) -> None:
    tried(tmp_path)
    assert list(tmp_path.iterdir()) == []
