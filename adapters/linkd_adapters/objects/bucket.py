"""A bucket as linkd uses it: look, list, read a range, put on a condition, delete. Its methods block, and raise errors of ours alone.

A request that fails on its way, or is told to slow down, is repeated by the library for `OBJECT_RETRY_TIMEOUT_S`, later and later; what is
still not answered then is `PlaceAway`: whoever drives the source or sink waits, says so, and asks again.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, BinaryIO

import obstore
from blake3 import blake3
from obstore.exceptions import BaseError
from obstore.store import AzureStore, GCSStore, S3Store

from linkd.errors import InvalidArgument
from linkd.limits import (
    OBJECT_CONNECT_TIMEOUT_S,
    OBJECT_PART_MIN_BYTES,
    OBJECT_PARTS_AT_ONCE,
    OBJECT_PARTS_MAX,
    OBJECT_REQUEST_TIMEOUT_S,
    OBJECT_RETRIES_MAX,
    OBJECT_RETRY_TIMEOUT_S,
    OBJECTS_LOOKED_AT_MAX,
    OBJECTS_NEAR_MAX,
)
from linkd.plugin.contract import SourceStat
from linkd_adapters.objects.location import Address
from linkd_adapters.objects.refusals import no_bucket, refused, told

if TYPE_CHECKING:
    from obstore import GetOptions, ObjectMeta, PutMode
    from obstore.store import ClientConfig, ObjectStore, RetryConfig

_LISTED_AT_ONCE = 1_000


class Unmet(Exception):
    """The condition of a request does not hold: another object stands there, or one at all, or none."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """An object as it is: another content has another one. `etag` is without its quotes, which some servers leave out of a listing."""

    key: str
    size_bytes: int
    etag: str
    modified_s: int

    @property
    def stat(self) -> SourceStat:
        """`inode` are the first 8 bytes of the BLAKE3 of the etag, big-endian, without the highest bit. The time of the last change, which
        servers tell a listing and a look in different ways, only counts where there is no etag."""
        number = int.from_bytes(blake3(self.etag.encode()).digest()[:8], "big") >> 1
        return SourceStat(self.size_bytes, 0 if self.etag else self.modified_s * 1_000_000_000, number)

    @property
    def digest(self) -> str:
        """Stands for that of the content, which nobody has to read for it: BLAKE3 of the JSON list [etag, size]; of a server that gives no
        etags [null, size, seconds of its last change]."""
        known = [self.etag, self.size_bytes] if self.etag else [None, self.size_bytes, self.modified_s]
        return str(blake3(json.dumps(known, separators=(",", ":")).encode()).hexdigest())


class Bucket:
    """See the module. Made without a request."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._store = _store(address)

    def look(self, key: str) -> Stamp | None:
        """The object as it is now, or `None`. Raises `InvalidArgument` if there is no such bucket, or no right to look."""
        try:
            return _stamp(obstore.head(self._store, key))
        except (BaseError, OSError, ValueError) as error:
            if told(error).is_missing and not told(error).is_no_bucket:
                return None
            raise refused(error, self.address, self.address.url(key), "read") from error

    def marks(self, key: str) -> Mapping[str, str]:
        """What was said of the object when it was put, empty if there is none."""
        try:
            found = obstore.get(self._store, key, options={"head": True}).attributes
        except (BaseError, OSError, ValueError) as error:
            if told(error).is_missing:
                return {}
            raise refused(error, self.address, self.address.url(key), "read") from error
        return {str(name): str(text) for name, text in found.items()}

    def below(self, directory: str) -> Iterator[Stamp]:
        """All objects in the directory and below it, by their keys. Raises `InvalidArgument` if they are more than `OBJECTS_LOOKED_AT_MAX`."""
        count = 0
        with self._translated(directory, "read"):
            for some in obstore.list(self._store, directory or None, chunk_size=_LISTED_AT_ONCE):
                count += len(some)
                if count > OBJECTS_LOOKED_AT_MAX:
                    remedy = "name a directory with fewer, or put them together"
                    raise InvalidArgument(
                        f"{self.address.url(directory)} has more than {OBJECTS_LOOKED_AT_MAX:,} objects below it; {remedy}"
                    )
                yield from map(_stamp, some)

    def missing(self, key: str) -> InvalidArgument:
        """The error for an object that is not there, with what may be meant."""
        shown, directory = self.address.url(key), key.rpartition("/")[0]
        try:
            some = next(iter(obstore.list(self._store, directory or None, chunk_size=OBJECTS_NEAR_MAX)), [])
        except (BaseError, OSError, ValueError) as error:
            return no_bucket(self.address, shown) if told(error).is_missing else InvalidArgument(f"{shown} does not exist")
        near = difflib.get_close_matches(key, [one["path"] for one in some], n=1)
        meant = f"; did you mean {self.address.url(near[0])}?" if near else f" at {self.address.server}"
        return InvalidArgument(f"{shown} does not exist{meant}")

    def read(self, stamp: Stamp, start: int, end: int) -> bytes:
        """The bytes [start, end) of the object, as it was stamped. Raises `Unmet` if it is another one now, or gone."""
        if start >= end:
            return b""
        try:
            with self._translated(stamp.key, "read"):
                options: GetOptions = {"range": (start, end)}
                if stamp.etag:
                    options["if_match"] = f'"{stamp.etag}"'
                found = obstore.get(self._store, stamp.key, options=options)
                if stamp.etag and found.meta["e_tag"] and _bare(found.meta["e_tag"]) != stamp.etag:
                    raise Unmet
                return found.bytes().to_bytes()
        except FileNotFoundError as error:
            raise Unmet from error

    def put(self, key: str, content: bytes, marks: Mapping[str, str], before: Stamp | None) -> Stamp:
        """Put an object there, if `before` is what stands there (`None`: nothing). Raises `Unmet` if not."""
        mode: PutMode = "create" if before is None else {"e_tag": f'"{before.etag}"'} if before.etag else "overwrite"
        with self._translated(key, "written"):
            made = obstore.put(self._store, key, content, attributes=dict(marks), mode=mode, use_multipart=False)
        return Stamp(key, len(content), _bare(made["e_tag"] or ""), 0)

    def put_in_parts(self, key: str, file: BinaryIO, size_bytes: int, marks: Mapping[str, str]) -> None:
        """Put an object of any size there: all of it, or nothing. Without a condition, which the library has not for parts."""
        part_bytes = max(OBJECT_PART_MIN_BYTES, -(-size_bytes // OBJECT_PARTS_MAX))
        with self._translated(key, "written"):
            obstore.put(
                self._store,
                key,
                file,
                attributes=dict(marks),
                use_multipart=True,
                chunk_size=part_bytes,
                max_concurrency=OBJECT_PARTS_AT_ONCE,
            )

    def write(self, key: str, content: bytes) -> None:
        """Put a small object there, whatever stands there."""
        with self._translated(key, "written"):
            obstore.put(self._store, key, content, use_multipart=False)

    def delete(self, keys: Sequence[str]) -> None:
        """Those that are not there are no error."""
        with self._translated(keys[0] if keys else "", "written"):
            for start in range(0, len(keys), _LISTED_AT_ONCE):
                obstore.delete(self._store, keys[start : start + _LISTED_AT_ONCE])

    @contextmanager
    def _translated(self, key: str, doing: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            if doing == "read" and not told(error).is_no_bucket:
                raise
            raise no_bucket(self.address, self.address.url(key)) from error
        except (BaseError, OSError, ValueError) as error:
            if told(error).is_precondition:
                raise Unmet from error
            raise refused(error, self.address, self.address.url(key), doing) from error


def _stamp(meta: ObjectMeta) -> Stamp:
    return Stamp(meta["path"], meta["size"], _bare(meta["e_tag"] or ""), int(meta["last_modified"].timestamp()))


def _bare(etag: str) -> str:
    return etag.strip('"')


def _store(address: Address) -> ObjectStore:
    """Raises `InvalidArgument` for settings that the library refuses."""
    said, client, retry = address.settings, _client(address), _retry()
    anonymous = said.get("anonymous", "").lower() in ("true", "1", "yes")
    try:
        match address.scheme:
            case "gs":
                names = {"endpoint": "base_url", "service_account": "service_account"}
                found = {names[name]: text for name, text in said.items() if name in names}
                return GCSStore(address.bucket, client_options=client, retry_config=retry, skip_signature=anonymous, **found)  # type: ignore[arg-type]
            case "az":
                names = {"endpoint": "endpoint", "account": "account_name", "key": "account_key"}
                found = {names[name]: text for name, text in said.items() if name in names}
                return AzureStore(address.bucket, client_options=client, retry_config=retry, skip_signature=anonymous, **found)  # type: ignore[arg-type]
        names = {"access_key": "access_key_id", "secret_key": "secret_access_key"}
        found = {names.get(name, name): text for name, text in said.items() if name != "anonymous"}
        return S3Store(address.bucket, client_options=client, retry_config=retry, skip_signature=anonymous, **found)  # type: ignore[arg-type]
    except (BaseError, OSError, ValueError) as error:
        raise InvalidArgument(f"{address.url('')} cannot be used: what it says behind the `?`, or the environment, is refused") from error


def _client(address: Address) -> ClientConfig:
    return {
        "allow_http": address.settings.get("endpoint", "").startswith("http://"),
        "timeout": timedelta(seconds=OBJECT_REQUEST_TIMEOUT_S),
        "connect_timeout": timedelta(seconds=OBJECT_CONNECT_TIMEOUT_S),
        "user_agent": "linkd",
    }


def _retry() -> RetryConfig:
    return {"max_retries": OBJECT_RETRIES_MAX, "retry_timeout": timedelta(seconds=OBJECT_RETRY_TIMEOUT_S)}
