"""What came whole becomes an artifact: found, or submitted to be written; what comes twice at a time is written once. Belongs to one event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from linkd.core.file_lists import FileList, file_list
from linkd.errors import LinkNotFound, ValueTooLarge
from linkd.limits import DIRECTORY_LIST_MAX_BYTES
from linkd.model.artifacts import ArtifactKept
from linkd.store.artifacts.checksums import digest_of_content
from linkd.store.artifacts.committer import ArtifactCommitter, ArtifactDraft
from linkd.store.artifacts.incoming import IncomingArtifact
from linkd.store.artifacts.index import ArtifactIndex

_FOUND_AT_ONCE = 64
"""Digests looked up before others have their turn: about a millisecond."""

Blocking = Callable[[Callable[[], Any]], Coroutine[Any, Any, Any]]
"""Does what takes long somewhere else than in the event loop."""


class Keeping:
    """`touch` is called with the digest of what somebody has in hand, and gives the number of its use."""

    def __init__(
        self, committer: ArtifactCommitter, index: ArtifactIndex, touch: Callable[[bytes], None], next_use: Callable[[], int]
    ) -> None:
        self._committer = committer
        self._index = index
        self._touch = touch
        self._next_use = next_use
        self._under_way: dict[bytes, asyncio.Future[Any]] = {}

    def keep_at_once(self, content: bytes) -> asyncio.Future[ArtifactKept] | None:
        """Keeps a small one before the next await; the future is done when it is durable, and is not to be cancelled.

        None, and nothing is done, where that takes waiting. Raises StorageFailed, StorageFull, Draining.
        """
        if not self._committer.has_room:
            return None
        digest = digest_of_content(content)
        if digest in self._under_way:
            return None
        entry = self._index.find(digest)
        if entry is not None:
            self._touch(digest)
            found: asyncio.Future[ArtifactKept] = asyncio.get_running_loop().create_future()
            found.set_result(entry.kept)
            return found
        written = self._committer.submit(ArtifactDraft(ArtifactKept(digest, len(content), False), content, self._next_use()))
        self._under_way[digest] = written
        written.add_done_callback(partial(self._is_kept, digest))
        return written

    async def keep(
        self, incoming: IncomingArtifact, digest: bytes, sums: bytes | None, blocking: Blocking, *, is_directory: bool
    ) -> asyncio.Future[ArtifactKept]:
        """Keeps what is complete and has this digest, behind another one of the same content. The future is as above.

        Raises LinkNotFound for the list of a directory whose files are not there, ValueTooLarge and InvalidArgument for what is no such list.
        """
        while (first := self._under_way.get(digest)) is not None:
            await asyncio.wait([first])
        entry = self._index.find(digest)
        loop = asyncio.get_running_loop()
        if entry is not None and (entry.kept.is_directory or not is_directory):
            self._touch(digest)
            found: asyncio.Future[ArtifactKept] = loop.create_future()
            found.set_result(entry.kept)
            return found
        mine = self._under_way[digest] = loop.create_future()
        try:
            written = await self._submitted(incoming, digest, sums, blocking, is_directory=is_directory)
        except BaseException:
            self._is_kept(digest, mine)
            raise
        if entry is not None:
            self._index.replaces(entry)
        written.add_done_callback(lambda _: self._is_kept(digest, mine))
        return written

    def _is_kept(self, digest: bytes, mine: asyncio.Future[Any]) -> None:
        """Or it was not: who has the same may try."""
        del self._under_way[digest]
        mine.cancel()

    async def _submitted(
        self, incoming: IncomingArtifact, digest: bytes, sums: bytes | None, blocking: Blocking, *, is_directory: bool
    ) -> asyncio.Future[ArtifactKept]:
        kept = ArtifactKept(digest, incoming.held_bytes, is_directory)
        named = await self._named_by(incoming, blocking) if is_directory else ()
        content = None if incoming.is_whole else incoming.content()
        if content is None:
            await blocking(lambda: incoming.sync(digest))
        await self._committer.room()
        return self._committer.submit(ArtifactDraft(kept, content, self._next_use(), sums, named))

    async def _named_by(self, incoming: IncomingArtifact, blocking: Blocking) -> tuple[bytes, ...]:
        """The files that the list of a directory names, all of which are there."""
        if incoming.held_bytes > DIRECTORY_LIST_MAX_BYTES:
            raise ValueTooLarge(
                f"the list of a directory has {DIRECTORY_LIST_MAX_BYTES:,} bytes at most, and this one {incoming.held_bytes:,}"
            )
        listed: FileList = await blocking(lambda: file_list(incoming.read_all()))
        for number, one in enumerate(listed.files):
            entry = self._index.find(one.digest)
            if entry is None or entry.kept.size_bytes != one.size_bytes:
                raise LinkNotFound(
                    f"{one.path} of the directory, {one.digest.hex()}, is not there: put the files of a directory before its list"
                )
            self._touch(one.digest)
            if number % _FOUND_AT_ONCE == 0:
                await asyncio.sleep(0)
        return tuple(dict.fromkeys(one.digest for one in listed.files))
