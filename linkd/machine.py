"""What names the present boot of the machine: what was written before another one, and not synced, may be lost.

    Linux       /proc/sys/kernel/random/boot_id
    macOS       the sysctl kern.bootsessionuuid
    elsewhere   nothing does

Which of them there is is found out by asking. In a container it is the boot of the machine below, whose page cache holds what was written.
"""

from __future__ import annotations

import sys
from pathlib import Path

BOOT_ID_FILE = Path("/proc/sys/kernel/random/boot_id")
_BOOT_SESSION = b"kern.bootsessionuuid"
_BOOT_ID_MAX_BYTES = 64


def boot_id(file: Path = BOOT_ID_FILE) -> str:
    """A text that is another one after each boot; "" where the system has none."""
    try:
        return file.read_text("ascii").strip()[:_BOOT_ID_MAX_BYTES]
    except (OSError, ValueError):
        return _boot_session() if sys.platform == "darwin" else ""


def _boot_session() -> str:
    """What macOS calls it."""
    import ctypes

    system = ctypes.CDLL(None)
    content = ctypes.create_string_buffer(_BOOT_ID_MAX_BYTES)
    length = ctypes.c_size_t(len(content))
    try:
        refused = system.sysctlbyname(_BOOT_SESSION, content, ctypes.byref(length), None, ctypes.c_size_t(0))
    except AttributeError:
        return ""  # this library has no such call
    return "" if refused else content.value.decode("ascii", "replace")
