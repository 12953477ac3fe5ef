"""What a control group allows: files as systems have them, and no control group at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from linkd.app.cgroup import memory_budget_bytes, memory_limit_bytes
from linkd.limits import GIB, MEMORY_BUDGET_BYTES, MIB

V2 = "31 23 0:28 / /sys/fs/cgroup rw,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
V1 = (
    "31 23 0:28 / /sys/fs/cgroup ro - tmpfs tmpfs rw,mode=755\n"
    "32 31 0:29 {root} /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
    "35 31 0:32 {root} /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
)


def files(content: Mapping[str, str]) -> Callable[[str], str | None]:
    return content.get


@pytest.mark.parametrize(
    ("content", "limit_bytes"),
    [
        ({}, None),
        ({"/proc/self/cgroup": "0::/\n"}, None),
        ({"/proc/self/cgroup": "0::/\n", "/proc/self/mountinfo": V2, "/sys/fs/cgroup/memory.max": f"{GIB}\n"}, GIB),
        ({"/proc/self/cgroup": "0::/\n", "/proc/self/mountinfo": V2, "/sys/fs/cgroup/memory.max": "max\n"}, None),
        (
            {"/proc/self/cgroup": "0::/a.slice/b.scope\n", "/proc/self/mountinfo": V2, "/sys/fs/cgroup/a.slice/memory.max": f"{MIB}\n"},
            MIB,
        ),
        (
            {
                "/proc/self/cgroup": "0::/a/b\n",
                "/proc/self/mountinfo": V2,
                "/sys/fs/cgroup/a/b/memory.max": f"{2 * GIB}\n",
                "/sys/fs/cgroup/a/memory.max": f"{GIB}\n",
            },
            GIB,
        ),
        (
            {
                "/proc/self/cgroup": "9:name=systemd:/\n4:memory:/user\n1:cpu:/\n",
                "/proc/self/mountinfo": V1.format(root="/"),
                "/sys/fs/cgroup/memory/user/memory.limit_in_bytes": f"{512 * MIB}\n",
                "/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
            },
            512 * MIB,
        ),
        (
            {  # a container of version 1 sees its own group as the root of the mount
                "/proc/self/cgroup": "4:cpuset,memory:/docker/0ac9\n",
                "/proc/self/mountinfo": V1.format(root="/docker/0ac9"),
                "/sys/fs/cgroup/memory/memory.limit_in_bytes": f"{256 * MIB}\n",
            },
            256 * MIB,
        ),
        ({"/proc/self/cgroup": "not:a\n\n:\n", "/proc/self/mountinfo": "x - cgroup2\n - \n"}, None),
    ],
)
def test_the_least_limit_of_the_group_and_those_above_it_holds(content: Mapping[str, str], limit_bytes: int | None) -> None:
    assert memory_limit_bytes(files(content)) == limit_bytes


@pytest.mark.parametrize(("limit", "budget_bytes"), [("max", MEMORY_BUDGET_BYTES), (64 * GIB, MEMORY_BUDGET_BYTES), (512 * MIB, 128 * MIB)])
def test_a_quarter_of_the_limit_is_taken_and_never_more_than_the_default(limit: object, budget_bytes: int) -> None:
    content = {"/proc/self/cgroup": "0::/\n", "/proc/self/mountinfo": V2, "/sys/fs/cgroup/memory.max": f"{limit}\n"}
    assert memory_budget_bytes(files(content)) == budget_bytes


def test_this_machine_gives_an_answer() -> None:
    assert 0 < memory_budget_bytes() <= MEMORY_BUDGET_BYTES
