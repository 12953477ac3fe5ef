"""Which tests one worker runs together, under `--dist loadgroup`: those of a group, and of the others those of a file.

What a module makes for all of its tests is made once then, and not by each worker. In the folders of APART each test takes as long as a whole
file elsewhere, and goes by itself. Units are begun in the order in which they were collected: what takes seconds is first.
"""

from __future__ import annotations

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadGroupScheduling

APART = ("tests/e2e/", "tests/simulation/")


class Distribution(LoadGroupScheduling):
    """The scheduler of a run."""

    def __init__(self, config: pytest.Config, log: Producer) -> None:
        config.option.loadscopereorder = False
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        """The unit that the test is of."""
        unit = super()._split_scope(nodeid)
        return unit if unit != nodeid or nodeid.startswith(APART) else nodeid.partition("::")[0]
