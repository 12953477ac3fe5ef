"""What a snapshot has published until its commit: staged at linkd, and kept here, to be staged again.

A home that was restarted has nothing of what was staged, and a connection that broke takes the end of it with it. The work of the program is
not lost with that as long as the snapshot's token is the newest: what was published is sent again over the next connection. Above
`STAGED_KEPT_MAX_BYTES` nothing is kept, and the snapshot comes again instead.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from linkd.client.calls import Connection, Patience
from linkd.client.payloads import Publish
from linkd.client.publish_stream import PublishStream
from linkd.errors import ConnectionFailed, ConnectionFault, Error, LeaseLost
from linkd.limits import MIB, STAGED_KEPT_MAX_BYTES


@dataclass(slots=True)
class _Output:
    """`kept` is None where it was not kept, `answer` where it is to be sent again; `epoch` is the channel that it was sent over."""

    kept: Publish | None
    answer: asyncio.Future[Any] | None = None
    epoch: int = 0
    staged_xxh3: tuple[int, ...] = ()


class StagedOutputs:
    """The outputs of one snapshot; `of` names it in messages."""

    def __init__(self, stream: PublishStream, connection: Connection, of: str) -> None:
        self._stream = stream
        self._connection = connection
        self._of = of
        self._outputs: list[_Output] = []
        self._kept_bytes = 0

    async def add(self, publish: Publish) -> None:
        """Sends one output. Waits while too much is on its way, and while linkd is away. Raises what an earlier one was refused with, LeaseLost."""
        broken = self._raise_if_refused()
        if broken is not None:
            await self._send_again(broken)
        output = _Output(publish)
        self._outputs.append(output)
        self._kept_bytes += publish.size_bytes
        try:
            await self._send(output, publish)
        except ConnectionFault as error:
            await self._send_again(error)
        if self._kept_bytes > STAGED_KEPT_MAX_BYTES:
            for each in self._outputs:
                each.kept = None

    async def named(self) -> list[Any]:
        """What the commit names (`Staged` messages), when all of it is staged. Raises what one of them was refused with, LeaseLost."""
        while True:
            try:
                answers = [await self._answer(output) for output in self._outputs]
            except ConnectionFault as error:
                await self._send_again(error)
            else:
                return [staged for answer in answers for staged in answer.staged]

    async def lost(self) -> None:
        """linkd has none of it any more: sends all of it again. Raises LeaseLost where it was not kept."""
        for output in self._outputs:
            output.answer = None
        await self._send_again(ConnectionFailed("linkd was restarted"), away=False)

    def clear(self) -> None:
        """The snapshot is settled."""
        self._outputs.clear()
        self._kept_bytes = 0

    async def _answer(self, output: _Output) -> Any:
        """Raises LeaseLost if what was sent again is not what had been staged: the program has changed its data in place."""
        if output.answer is None:
            raise ConnectionFailed("it was not sent")
        response = await output.answer
        staged_xxh3 = tuple(staged.payload_xxh3 for staged in response.staged)
        if output.staged_xxh3 not in ((), staged_xxh3):
            raise LeaseLost(
                f"{self._of}: linkd was restarted, and what was published was to be staged again, but is not the same any more; nothing was "
                "taken, and the snapshot will be handed out again: change no data in place that was published"
            )
        output.staged_xxh3 = staged_xxh3
        return response

    async def _send(self, output: _Output, publish: Publish) -> None:
        output.answer, output.epoch = None, self._connection.epoch
        output.answer = await self._stream.send(publish)

    async def _send_again(self, error: Error, *, away: bool = True) -> None:
        """Sends what was not staged over the next connection; unless linkd is `away` that is the present one."""
        patience = Patience(self._connection.flow_timeout_s)
        while True:
            missing = [output for output in self._outputs if _is_missing(output)]
            if any(output.kept is None for output in missing):
                raise LeaseLost(
                    f"{self._of}: linkd went away while outputs were staged, and more than {STAGED_KEPT_MAX_BYTES // MIB} MiB of them are not "
                    f"kept to be sent again; nothing was taken, and the snapshot will be handed out again ({error})"
                ) from error
            if away:
                await self._recover(patience, max(output.epoch for output in missing), error)
            try:
                for output in missing:
                    if output.kept is not None:
                        await self._send(output, output.kept)
            except ConnectionFault as failure:
                error, away = failure, True
            else:
                return

    async def _recover(self, patience: Patience, seen: int, error: Error) -> None:
        try:
            await self._connection.recover(patience, seen, error)
        except ConnectionFault as failure:
            raise LeaseLost(
                f"{self._of}: the connection to linkd broke while outputs were staged, and they went with it; "
                f"nothing was taken, and the snapshot will be handed out again ({failure})"
            ) from failure

    def _raise_if_refused(self) -> ConnectionFault | None:
        """What became of earlier ones, as far as it is known: their order is that of the program. Returns how the connection broke, if it did."""
        for output in self._outputs:
            if output.answer is None or not output.answer.done():
                return None
            error = output.answer.exception()
            if isinstance(error, ConnectionFault):
                return error
            if error is not None:
                raise error
        return None


def _is_missing(output: _Output) -> bool:
    """Whether it has to be sent again, as far as it is known."""
    if output.answer is None:
        return True
    return output.answer.done() and isinstance(output.answer.exception(), ConnectionFault)
