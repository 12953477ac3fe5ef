"""A directory with files, and what linkd reads from them and writes to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pytest
from linkd_adapters.file import ADAPTER

from linkd.plugin.contract import CsvDialect, LinkOptions, SinkResult, Source, SourceBatch, Survey
from linkd.testing.adapter_conformance import read_all

DEFAULT_DIALECT = CsvDialect()


@dataclass(frozen=True)
class Desk:
    """A directory that a pipeline file would lie in."""

    base: Path

    def file(self, name: str, content: bytes | str) -> Path:
        path = self.base / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def options(
        self,
        name: str,
        *,
        link: str = "flights",
        format: str | None = None,  # noqa: A002  # the key of the pipeline file
        nulls: tuple[str, ...] = (),
        schema: Mapping[str, str] | None = None,
        on_bad_row: str = "stop",
        dialect: CsvDialect = DEFAULT_DIALECT,
    ) -> LinkOptions:
        return LinkOptions(link, name, self.base, format, nulls, schema, on_bad_row, dialect)

    def source(self, options: LinkOptions) -> Source:
        return ADAPTER.source(options)

    async def survey(self, options: LinkOptions) -> Survey:
        return await self.source(options).survey()

    async def batches(self, options: LinkOptions) -> list[SourceBatch]:
        source = self.source(options)
        return await read_all(source, await source.survey())

    async def rows(self, options: LinkOptions) -> list[dict[str, object]]:
        return [row for batch in await self.batches(options) for row in batch.data.to_pylist()]

    async def rejects(self, options: LinkOptions) -> list[dict[str, object]]:
        return [row for batch in await self.batches(options) if batch.rejects for row in batch.rejects.to_pylist()]

    async def write(self, name: str, *batches: pa.RecordBatch) -> SinkResult:
        sink = ADAPTER.sink(self.options(name, link="totals"))
        await sink.begin(batches[0].schema)
        for batch in batches:
            await sink.write(batch)
        return await sink.finish()

    @property
    def hidden(self) -> list[str]:
        """What no user put there."""
        return sorted(path.name for path in self.base.iterdir() if path.name.startswith("."))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)
