from __future__ import annotations

import json
from pathlib import Path

import pytest

from linkd.app.supervised_home import parse
from linkd.errors import InvalidArgument


def test_the_supervisor_says_where_state_and_pipeline_are() -> None:
    options = parse(
        json.dumps(
            {"directory": "/a/.linkd/p", "pipeline": "/a/p.yaml", "lock_fd": 7, "epoch": 4, "drain_timeout_s": 3, "log": "/a/home.log"}
        ).encode()
    )
    assert (options.directory, options.pipeline) == (Path("/a/.linkd/p"), Path("/a/p.yaml"))
    assert (options.supervised, options.lock_fd, options.http_port, options.log) == (True, 7, None, Path("/a/home.log"))
    assert (options.epoch, options.drain_timeout_s) == (4, 3.0)


@pytest.mark.parametrize("line", [b"", b"{}", b"[1]", b"no json"])
def test_a_home_that_is_started_by_hand_says_what_to_use_instead(line: bytes) -> None:
    with pytest.raises(InvalidArgument, match="linkd serve"):
        parse(line)
