"""The method `Files` of the lane: descriptors go out, and the client says what it lets go of (proto/linkd/v1/lane.proto)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from linkd.errors import LinkNotFound
from linkd.faces.call import call_of, translated
from linkd.faces.lane import LaneContext
from linkd.faces.lane_session import LaneSession, LaneSessions
from linkd.home.home import Home
from linkd.model.frozen import frozen
from linkd.wire.v1 import lane_pb2 as pb


@frozen()
class FilesService:
    home: Home
    sessions: LaneSessions

    async def files(self, requests: AsyncIterator[pb.FilesRequest], context: LaneContext) -> None:
        """A session lasts as long as this call."""
        async with translated(context):
            session = self.sessions.open(context.session_id, call_of(self.home, context).who)
            try:
                await context.write(pb.FilesResponse())  # it is open: other calls may name it
                async with asyncio.TaskGroup() as group:
                    showing = group.create_task(_show(session, context), name="linkd lane files: show")
                    async for request in requests:
                        if request.released:
                            session.released(request.file, request.released)
                    showing.cancel()
            finally:
                self.sessions.close(context.session_id)


async def _show(session: LaneSession, context: LaneContext) -> None:
    while True:
        message = await session.shows.get()
        if message.HasField("shown"):
            shown = message.shown
            try:
                descriptor = session.store.shared.descriptor(shown.file, writable=shown.writable)
            except LinkNotFound:  # the client was slow to read, and nobody needs the file by now: that it has gone is told next
                continue
            await context.write_with_descriptor(message, descriptor)
        else:
            await context.write(message)
