"""Objects as a source: complete when they are read. A store tells nobody of a change, so in a run that follows it is asked every `every:`."""

from __future__ import annotations

import asyncio

from linkd.limits import FOLLOW_SCAN_SHARE
from linkd.plugin.contract import LinkOptions, SourceStat
from linkd_adapters.file.source import StoredSource
from linkd_adapters.objects.bucket import Bucket
from linkd_adapters.objects.location import ObjectLocation
from linkd_adapters.objects.reading import ObjectFiles


class ObjectSource(StoredSource):
    """See the module."""

    def __init__(self, options: LinkOptions, location: ObjectLocation) -> None:
        super().__init__(options, location.files, ObjectFiles(Bucket(location.address)))

    async def changed(self, stat: SourceStat, digest: str) -> str:
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            if await self._is_other(stat, digest):
                return f"{self._location.shown} changed"
            await asyncio.sleep(max(self._options.every_s, (loop.time() - began) / FOLLOW_SCAN_SHARE))
