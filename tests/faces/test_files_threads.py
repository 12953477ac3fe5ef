"""Work on the files of a run is over when whoever asked for it goes on, even cancelled: the files are used again then."""

from __future__ import annotations

import asyncio
import threading

import pytest

from linkd.faces.files.threads import in_thread


async def test_who_is_cancelled_goes_on_when_the_work_is_done() -> None:
    begun, may_end, done = threading.Event(), threading.Event(), []

    def work() -> None:
        begun.set()
        may_end.wait(10)
        done.append(True)

    asking = asyncio.create_task(in_thread(work))
    await asyncio.to_thread(begun.wait, 10)
    for _ in range(2):
        asking.cancel()
        await asyncio.wait((asking,), timeout=0)
    assert not asking.done()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert done == [True]
