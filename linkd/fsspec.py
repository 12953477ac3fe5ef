"""`linkd://`: links as files, for everything that opens files through fsspec (pandas, polars, dask, DuckDB, pyarrow).

    pandas.read_csv("linkd://flown/data.csv")
    pandas.read_parquet("linkd://totals.parquet", storage_options={"pipeline": "flights.yaml"})
    frame.to_csv("linkd://events.csv", index=False)

What a path means is said in `linkd.core.link_files`; which pipeline, in `connect`. A file that is read is made when it is opened, of what is durable
then, and holds still: bytes of a format in a file without a name on this machine. What is written is gathered in one, too; closing it looks at all
rows, and publishes them at once, or raises and publishes none. A file that is left by an exception, or forgotten, publishes nothing.

fsspec finds this module by its entry point (`fsspec.specs`); it is no part of what `import linkd` loads.
"""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import aclosing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import pyarrow as pa
from fsspec.spec import AbstractFileSystem

from linkd.client.file_handles import ByteCount, MadeFile, WrittenFile
from linkd.client.loop_thread import LOOP_THREAD
from linkd.client.sync import Client, connect
from linkd.core.link_files import LinkDirectory, LinkFile, parse_link_path
from linkd.core.rights import OUTSIDER, Rights
from linkd.errors import BadRow, InvalidArgument, LinkNotFound, NotAllowed, NotSupported
from linkd.plugin.column_types import declared_words
from linkd.plugin.contract import REJECT, LinkOptions
from linkd.plugin.registry import FILE, installed_adapters

if TYPE_CHECKING:
    from linkd.client.description import LinkDescription
    from linkd.plugin.contract import Source

_LISTED_ENDING = "parquet"
"""Of the files that a listing of a link names: it has all types, and its size."""


class LinkFileSystem(AbstractFileSystem):  # type: ignore[misc]  # fsspec has no types
    """The links of one pipeline.

    `pipeline` is what `linkd.connect` takes for a target; `timeout_s` too. Raises errors of linkd; but for what is not there, or may not be
    written, those that whoever works with file systems asks for: `FileNotFoundError` and `PermissionError`, with linkd's own as their cause.
    """

    protocol = "linkd"
    root_marker = ""

    def __init__(self, pipeline: str | None = None, *, timeout_s: float | None = None, **others: Any) -> None:
        super().__init__(**others)
        self._pipeline = pipeline
        self._timeout_s = timeout_s
        self._client: Client | None = None

    @property
    def client(self) -> Client:
        """The connection, made when it is first needed, and kept to the end of the program or `close`."""
        if self._client is None:
            self._client = connect(self._pipeline, timeout_s=self._timeout_s)
        return self._client

    def close(self) -> None:
        """Lets go of the connection."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def ls(self, path: str, detail: bool = True, **others: Any) -> list[dict[str, Any]] | list[str]:
        """The links; or of a link all that readers see, and its generations. Sizes are not known before a file is made."""
        named = parse_link_path(self._strip_protocol(path))
        if isinstance(named, LinkFile):
            entries = [self.info(path)]
        elif not named.link:
            entries = [_directory(link.name) for link in self.client.describe().links]
        else:
            entries = list(_files_of(self._described(named.link)))
        return entries if detail else [str(entry["name"]) for entry in entries]

    def info(self, path: str, **others: Any) -> dict[str, Any]:
        """Of a file with its size, for which it is made, and rows; the size is that of now."""
        path = self._strip_protocol(path)
        named = parse_link_path(path)
        if isinstance(named, LinkDirectory):
            return _directory(self._described(named.link).name if named.link else "")
        counted = ByteCount()
        rows = self._write_into(named, counted)
        return {"name": path, "type": "file", "size": counted.size_bytes, "rows": rows, "link": named.link}

    def modified(self, path: str) -> datetime:
        """When the newest value of the link was made."""
        named = parse_link_path(self._strip_protocol(path))
        created_ns = self._described(named.link).last_created_at_ns if named.link else 0
        return datetime.fromtimestamp(created_ns / 1e9, UTC)

    def _open(
        self, path: str, mode: str = "rb", block_size: int | None = None, autocommit: bool = True, cache_options: Any = None, **others: Any
    ) -> BinaryIO:
        named = parse_link_path(path)
        if isinstance(named, LinkDirectory):
            raise InvalidArgument(f"linkd://{path} is a directory; a file has its format behind its name: linkd://{path}.csv")
        if mode == "rb":
            with tempfile.TemporaryFile() as made:
                self._write_into(named, cast(io.RawIOBase, made))
                made.flush()
                return cast(BinaryIO, io.BufferedReader(MadeFile(os.dup(made.fileno()))))
        if mode in ("wb", "ab"):
            return cast(BinaryIO, WrittenFile(self._writable(named), lambda content: self._publish(named, content), autocommit=autocommit))
        raise NotSupported(f"linkd://{path} cannot be opened with mode {mode!r}: a link is read, or added to ('rb', 'wb', 'ab')")

    def _rm(self, path: str) -> None:
        raise PermissionError(f"linkd://{path} cannot be removed: what a link holds stays as long as its `retain:` says")

    def cp_file(self, path1: str, path2: str, **others: Any) -> None:
        """Through this process, as any two files."""
        with self.open(path1, "rb") as source, self.open(path2, "wb") as target:
            while part := source.read(1 << 20):
                target.write(part)

    def _described(self, link: str) -> LinkDescription:
        with _as_file_errors():
            return self.client.describe(link).links[0]

    def _write_into(self, named: LinkFile, file: io.RawIOBase) -> int:
        """The rows as bytes of the format; how many there were."""
        with _as_file_errors():
            first, last = (self.client.trace(end, limit=1).value.position.sequence if end else None for end in (named.first, named.last))
            reader = self.client.read(named.link, generation=named.generation, first=first, last=last).to_reader()
        shown = f"{named.link}.{named.ending}"
        writer = installed_adapters().named(FILE).row_writer(LinkOptions(named.link, shown, Path()), reader.schema, file)
        rows = 0
        for batch in reader:
            writer.write(batch)
            rows += batch.num_rows
        writer.end()
        return rows

    def _writable(self, named: LinkFile) -> str:
        """How the file is called in messages. Raises PermissionError before anything is written."""
        shown = f"linkd://{named.link}.{named.ending}"
        if not named.is_whole:
            raise PermissionError(
                f"{shown}: values and generations are as they are; add to the link with linkd://{named.link}.{named.ending}"
            )
        described = self.client.describe()
        info = next((link for link in described.links if link.name == named.link), None)
        if not (described.open or (info is not None and info.open)):
            try:
                Rights({}, frozenset()).publish(OUTSIDER, named.link, source=False)
            except NotAllowed as error:
                raise PermissionError(f"{shown} can only be read: {error}") from error
        return shown

    def _publish(self, named: LinkFile, content: Path) -> None:
        """All rows of the file, at once. Raises `DataFault` for one that does not fit, with its line, and then there are none."""
        info = next((link for link in self.client.describe().links if link.name == named.link), None)
        shown = f"linkd://{named.link}.{named.ending}"
        schema = declared_words(info.schema) if info is not None else None
        options = LinkOptions(named.link, content.name, content.parent, schema=schema, on_bad_row=REJECT, written=shown)
        source = installed_adapters().named(FILE).source(options)
        found, batches = LOOP_THREAD.run(_all_rows, source, shown)
        if any(batch.num_rows for batch in batches):
            self.client.publish(named.link, pa.Table.from_batches(batches, found))


def _directory(name: str) -> dict[str, Any]:
    return {"name": name, "type": "directory", "size": 0}


def _files_of(link: LinkDescription) -> Iterator[dict[str, Any]]:
    """What there is of a link, in the format that has all types."""
    if link.read is not None:
        yield {"name": f"{link.name}/data.{_LISTED_ENDING}", "type": "file", "size": None, "values": link.read.values, "link": link.name}
    shown = {generation.generation: generation for generation in (link.read, link.current) if generation is not None}
    for number, generation in sorted(shown.items()):
        name = f"{link.name}/generation-{number}.{_LISTED_ENDING}"
        yield {"name": name, "type": "file", "size": None, "values": generation.values, "link": link.name}


async def _all_rows(source: Source, shown: str) -> tuple[pa.Schema, Sequence[pa.RecordBatch]]:
    """Raises `BadRow` for the first that does not fit."""
    survey = await source.survey()
    rows: list[pa.RecordBatch] = []
    async with aclosing(source.read(survey, None)) as batches:
        async for batch in batches:
            if batch.rejects is not None:
                bad = batch.rejects.slice(0, 1).to_pylist()[0]
                column = f"column {bad['column']}: " if bad["column"] else ""
                raise BadRow(
                    f"{shown}:{bad['line']}: {column}{bad['reason']}; nothing was published: correct the rows and write them again"
                )
            rows.append(batch.data)
    return survey.schema, rows


@contextmanager
def _as_file_errors() -> Iterator[None]:
    try:
        yield
    except LinkNotFound as error:
        raise FileNotFoundError(str(error)) from error


__all__ = ["LinkFileSystem"]
