"""Putting an object in the place of another, and telling whose it is that stands there.

An object that is recorded must still be what was recorded, by its etag, as files have to by their bytes (`file.ownership`): anything else is
somebody's work, and is overwritten only under `overwrite: true`. What linkd puts carries two marks (user metadata), by which a worker that comes
after a kill knows what was put in its place and not recorded any more:

    linkddigest     BLAKE3 of the content, hexadecimal
    linkdafter      the etag of the object that it was put in the place of, "-" if there was none

The put itself is on the condition that what was looked at still stands there (If-Match, If-None-Match): of two writers the second is refused.
Larger objects go in parts (`OBJECT_PUT_MAX_BYTES`), for which the library has no condition: what stands there is
looked at right before and right behind.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from linkd.errors import Conflict
from linkd.limits import OBJECT_PUT_MAX_BYTES
from linkd.plugin.contract import SinkResult
from linkd_adapters.file.ownership import Place, changed_by_somebody
from linkd_adapters.objects.bucket import Bucket, Stamp, Unmet
from linkd_adapters.objects.spool import Spool

_DIGEST = "linkddigest"
_AFTER = "linkdafter"
_NOTHING = "-"


def require_ours(bucket: Bucket, key: str, link: str, overwrite: bool, last: Mapping[str, str]) -> Stamp | None:
    """What stands there. Raises `Conflict` if it is recorded in `last` and was changed by somebody else."""
    stamp, url = bucket.look(key), bucket.address.url(key)
    if stamp is None or overwrite or last.get("path") != url or stamp.etag == last.get("etag"):
        return stamp
    marks = bucket.marks(key)
    if marks.get(_AFTER) == (last.get("etag") or _NOTHING) or marks.get(_DIGEST) == last.get("digest"):
        return stamp  # put there by a worker that was killed before the home had recorded it, or copied there and back
    raise changed_by_somebody(
        Place(link, url, Path(key), overwrite), "wrote it", last.get("size_bytes"), stamp.size_bytes, "to have it replaced"
    )


def put(bucket: Bucket, key: str, spool: Spool, before: Stamp | None) -> Stamp:
    """What was gathered, in the place of `before`. Raises `Conflict` if something else stands there by now."""
    marks = {_DIGEST: spool.digest, _AFTER: (before.etag if before is not None else "") or _NOTHING}
    try:
        if spool.size_bytes <= OBJECT_PUT_MAX_BYTES:
            return bucket.put(key, spool.content().read(), marks, before)
        bucket.put_in_parts(key, spool.content(), spool.size_bytes, marks)
    except Unmet as error:
        # A put that was repeated on its way may have met itself.
        return _ours(bucket, key, spool.size_bytes, marks, error)
    return _ours(bucket, key, spool.size_bytes, marks, None)


def result(bucket: Bucket, stamp: Stamp, spool: Spool, rows: int, more: Mapping[str, str]) -> SinkResult:
    """What is recorded of the object."""
    return SinkResult(
        path=bucket.address.url(stamp.key),
        rows=rows,
        size_bytes=stamp.size_bytes,
        digest=spool.digest,
        mtime_ns=stamp.stat.mtime_ns,
        attributes={"etag": stamp.etag, **more},
    )


def _ours(bucket: Bucket, key: str, size_bytes: int, marks: Mapping[str, str], cause: Unmet | None) -> Stamp:
    """The object that stands there, which has to be the one that was put."""
    stamp, found = bucket.look(key), bucket.marks(key)
    if stamp is None or stamp.size_bytes != size_bytes or any(found.get(name) != text for name, text in marks.items()):
        raise _at_once(bucket, key) from cause
    return stamp


def _at_once(bucket: Bucket, key: str) -> Conflict:
    return Conflict(
        f"{bucket.address.url(key)} was written by somebody else at the same moment, and is theirs now: "
        "let only one pipeline write it, or name another place, then run again"
    )
