"""One object store for all tests of a process, and a bucket of its own for each of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import obstore
import pytest
from linkd_adapters.objects import ObjectAdapter
from obstore.store import S3Store

from linkd.plugin.contract import LinkOptions
from linkd.testing.object_store import ACCESS_KEY, SECRET_KEY, ObjectStoreServer

_NUMBERS = itertools.count(1)


@dataclass(frozen=True)
class Box:
    """A bucket, as others see it, and the adapter that is tested on it."""

    server: ObjectStoreServer
    name: str
    base: Path
    store: S3Store

    @property
    def adapter(self) -> ObjectAdapter:
        return ObjectAdapter(self.environ)

    @property
    def environ(self) -> Mapping[str, str]:
        return {**self.server.environ, "TMPDIR": str(self.base)}

    def url(self, key: str) -> str:
        return f"s3://{self.name}/{key}"

    def options(self, key: str, *, link: str = "flights", **more: Any) -> LinkOptions:
        return LinkOptions(link, key if "://" in key else self.url(key), self.base, **more)

    def put(self, key: str, content: bytes) -> None:
        obstore.put(self.store, key, content)

    def get(self, key: str) -> bytes | None:
        try:
            return obstore.get(self.store, key).bytes().to_bytes()
        except FileNotFoundError:
            return None

    @property
    def keys(self) -> list[str]:
        return sorted(one["path"] for some in obstore.list(self.store) for one in some)


def seen_by_others(server: ObjectStoreServer, bucket: str) -> S3Store:
    return S3Store(
        bucket, endpoint=server.endpoint, access_key_id=ACCESS_KEY, secret_access_key=SECRET_KEY, client_options={"allow_http": True}
    )


@pytest.fixture(scope="session")
def object_server() -> Iterator[ObjectStoreServer]:
    server = ObjectStoreServer.start()
    yield server
    server.stop()


@pytest.fixture
def box(object_server: ObjectStoreServer, tmp_path: Path) -> Iterator[Box]:
    name = f"box-{next(_NUMBERS)}"
    object_server.make_bucket(name)
    object_server.requests.clear()
    yield Box(object_server, name, tmp_path, seen_by_others(object_server, name))
    object_server.answers = lambda request: True
