"""What a directory lies on, as far as that decides what an ack is worth.

    solid      what is synced stays; as far as linkd knows
    volatile   gone with the power, or with the machine, however often it is synced: tmpfs, ramfs, an overlay that is mounted `volatile`,
               and what is called a disk but syncs faster than any (`tried`). linkd works there, and acks say `memory`
    network    locks and syncs are another machine's promise: a journal does not lie there

Linux says what is mounted where in /proc/self/mountinfo (its names tell `fuse.sshfs` from other FUSE, and have the options; the numbers of
statfs do neither), macOS in statfs. Elsewhere it is not known, and taken for solid.
"""

from __future__ import annotations

import enum
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from linkd.durability import sync_data
from linkd.errors import StateForeign
from linkd.limits import OPENING_SYNCS, PAGE_BYTES, PROBE_SYNCS, SYNC_HONEST_S

MOUNTS = Path("/proc/self/mountinfo")
_VOLATILE = frozenset({"tmpfs", "ramfs", "devtmpfs"})
_NETWORK = frozenset(
    {
        "9p",
        "afpfs",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "coda",
        "glusterfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs3",
        "nfs4",
        "smb3",
        "smbfs",
        "webdav",
    }
    | {f"fuse.{kind}" for kind in ("ceph", "cephfs", "davfs2", "gcsfuse", "glusterfs", "rclone", "s3fs", "smbnetfs", "sshfs")}
    | {"davfs", "macfuse", "osxfuse"}
)
_OVERLAYS = frozenset({"overlay", "overlayfs"})
_OVERLAY_VOLATILE = frozenset({"volatile", "fsync=volatile"})


class Nature(enum.StrEnum):
    """See the head of the file."""

    SOLID = "solid"
    VOLATILE = "volatile"
    NETWORK = "network"


@dataclass(frozen=True, slots=True)
class Mounted:
    """A file system as it is mounted: its kind, as the system calls it ("": not known), and its options."""

    kind: str
    options: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Device:
    """What a directory lies on. `why` says for people what is the matter with it, "" if nothing is."""

    kind: str
    nature: Nature
    why: str = ""


@dataclass(frozen=True, slots=True)
class Probed:
    """A device that was tried: `sync_s` is the median of some syncs of 4 KiB. `honest`: they take effect; None where that cannot be told."""

    device: Device
    sync_s: float
    honest: bool | None


SOLID = Device("", Nature.SOLID)
"""A device about which nothing is the matter."""


def device_of(directory: Path, mounted: Callable[[Path], Mounted] | None = None) -> Device:
    """What `directory` lies on, or will lie on when it is made. `mounted` stands in for the system's answer."""
    found = (mounted or mounted_at)(directory)
    if found.kind in _NETWORK:
        return Device(found.kind, Nature.NETWORK, f"{found.kind} is a network file system")
    if found.kind in _VOLATILE:
        return Device(found.kind, Nature.VOLATILE, f"{found.kind} lies in memory: nothing on it survives the power")
    if found.kind in _OVERLAYS and found.options & _OVERLAY_VOLATILE:
        return Device(found.kind, Nature.VOLATILE, f"this {found.kind} is mounted volatile: it ignores syncs")
    return Device(found.kind, Nature.SOLID)


def check_for_journal(directory: Path, device: Device) -> None:
    """Raises StateForeign if no journal can lie there."""
    if device.nature is Nature.NETWORK:
        raise StateForeign(
            f"{directory} lies on {device.kind}, a network file system: its locks and syncs keep no journal safe. Choose a directory on a disk "
            "of this machine; values can be sent to another machine's linkd, or written there by a sink"
        )


def tried(
    directory: Path, mounted: Callable[[Path], Mounted] | None = None, syncs: Callable[[Path], Sequence[float]] | None = None
) -> Device:
    """What `directory`, which must be there, lies on; of a disk a few syncs are tried. Blocks for as long; leaves nothing.

    `mounted` and `syncs` (seconds that each took) stand in for the system's answers.
    """
    device = device_of(directory, mounted)
    if device.nature is not Nature.SOLID:
        return device
    try:
        fastest_s = min((syncs or _opening_syncs)(directory))
    except OSError:  # full, or not to be written to: whoever writes there says so better
        return device
    if fastest_s >= SYNC_HONEST_S:
        return device
    name = device.kind or "disk"
    why = f"a sync of this {name} took {fastest_s * 1e6:.0f} us, which no disk can do: something below it ignores syncs"
    return Device(device.kind, Nature.VOLATILE, why)


def probe(directory: Path) -> Probed:
    """Tries how long a sync takes in `directory`, which must be there. Blocks; leaves nothing. Raises OSError."""
    device, median_s = device_of(directory), sorted(_sync_times(directory, PROBE_SYNCS))[PROBE_SYNCS // 2]
    return Probed(device, median_s, is_honest(device, median_s))


def _opening_syncs(directory: Path) -> Sequence[float]:
    return _sync_times(directory, OPENING_SYNCS)


def _sync_times(directory: Path, count: int) -> Sequence[float]:
    """How long so many syncs of a page took, in seconds. The file has no name, or loses it at once."""
    times_s = []
    with tempfile.TemporaryFile(dir=directory) as file:
        page = bytes(PAGE_BYTES)
        os.pwrite(file.fileno(), page * count, 0)
        sync_data(file.fileno())
        for number in range(count):
            os.pwrite(file.fileno(), bytes([number]) * PAGE_BYTES, number * PAGE_BYTES)
            began_s = time.perf_counter()
            sync_data(file.fileno())
            times_s.append(time.perf_counter() - began_s)
    return times_s


def is_honest(device: Device, sync_s: float) -> bool | None:
    """Whether syncs that take so long take effect: no device writes in less than some microseconds. None: another machine knows."""
    if device.nature is Nature.NETWORK:
        return None
    return device.nature is Nature.SOLID and sync_s >= SYNC_HONEST_S


def mounted_at(path: Path) -> Mounted:
    """What is mounted where `path` is, or would be."""
    path = path.absolute()
    while not path.exists() and path != path.parent:
        path = path.parent
    path = path.resolve()
    if sys.platform == "darwin":
        return _statfs(path)
    try:
        return mounted_of(MOUNTS.read_text("utf-8", "surrogateescape").splitlines(), path)
    except OSError:
        return Mounted("")


def mounted_of(mountinfo: Iterable[str], path: PurePath) -> Mounted:
    """The mount that `path` lies on, by the lines of /proc/self/mountinfo: the deepest, and of several there the last."""
    found, depth = Mounted(""), -1
    for line in mountinfo:
        before, _, behind = line.partition(" - ")
        fields, system = before.split(" "), behind.split(" ")
        if len(fields) < 6 or len(system) < 3:
            continue
        point = PurePath(_OCTAL.sub(lambda code: chr(int(code[1], 8)), fields[4]))
        if len(point.parts) >= depth and path.is_relative_to(point):
            found, depth = Mounted(system[0], frozenset((*fields[5].split(","), *system[2].split(",")))), len(point.parts)
    return found


_OCTAL = re.compile(r"\\([0-7]{3})")
"""Blanks in the names of mountinfo."""


def _statfs(path: Path) -> Mounted:
    """macOS: struct statfs with 64-bit inodes has f_fstypename, 16 bytes, behind 72 bytes of numbers."""
    import ctypes

    buffer = ctypes.create_string_buffer(4_096)
    refused = ctypes.CDLL(None).statfs(os.fsencode(path), buffer)
    return Mounted("" if refused else buffer.raw[72:88].split(b"\x00", 1)[0].decode("ascii", "replace"))
