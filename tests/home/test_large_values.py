"""Values that are too large for one: their large cells are artifacts, and whoever reads them has them whole."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import flight

import linkd
import linkd.aio
from linkd.core.artifact_references import attribute_of, cell_text, cells_of
from linkd.core.artifacts import digest_of
from linkd.errors import InvalidArgument
from linkd.limits import VALUE_SIZE_MAX_BYTES
from linkd.model.artifacts import ArtifactReference
from linkd.testing.home import running_home

LARGE = bytes(range(256)) * (VALUE_SIZE_MAX_BYTES // 256) + b"and more"


async def test_bytes_of_any_size_are_a_value_and_come_whole_however_they_are_asked_for(tmp_path: Path) -> None:
    async with running_home(tmp_path / "home") as home, linkd.aio.connect(home.endpoint, timeout_s=20) as client:
        await client.publish("blobs", b"small")
        await client.publish("blobs", LARGE, attributes={"by": "me"})
        async with client.publisher("blobs") as flow:
            await flow.send(b"third")
            await flow.send(LARGE)
        small, large, *rest = [value async for value in client.read("blobs")]
        assert small.bytes() == b"small"
        assert (large.envelope.attributes["by"], large.envelope.rows) == ("me", 1)
        assert large.envelope.size_bytes < 1_000
        with pytest.raises(InvalidArgument) as refused:
            large.bytes()
        assert str(refused.value) == (
            f"blobs@2 has large cells, of {len(LARGE):,} bytes, which are not here yet: `await value.load()` first, or save() them"
        )
        assert (await large.load()).bytes() == LARGE
        assert [len(row["bytes"]) for value in rest for row in (await value.load()).rows()] == [5, len(LARGE)]
        assert (await small.save(tmp_path / "small")).read_bytes() == b"small"
        async for value in client.subscribe("blobs", "group", start=2):
            async with value:
                assert (await value.save(tmp_path / "large")).read_bytes() == LARGE
                break


async def test_a_large_cell_goes_by_itself_and_comes_back_in_its_row(tmp_path: Path) -> None:
    text = "ö" * (VALUE_SIZE_MAX_BYTES // 2)
    rows = pa.table({"name": ["a", "b", "c"], "text": ["x", text, None], "note": ["n", "m" * 10, "o"]})
    async with running_home(tmp_path / "home") as home, linkd.aio.connect(home.endpoint, timeout_s=20) as client:
        await client.publish("pages", rows.to_reader())
        [value] = [value async for value in client.read("pages")]
        [cell] = cells_of(value.envelope.attributes)
        assert (cell.column, cell.size_bytes) == ("text", VALUE_SIZE_MAX_BYTES)
        assert value.first_rows(2)[1]["text"] == cell_text(cell)
        assert await client.read("pages").to_table() == rows


async def named(client: linkd.aio.Client, link: str, content: bytes, column: str, rows: list[dict[str, Any]]) -> str:
    """Publishes rows of which `column` may hold, as an artifact, content that would fit: what stands in its place. It costs less than 64 MiB."""
    artifact = await client.put_artifact(content)
    reference = ArtifactReference(digest_of(artifact.digest), artifact.size_bytes, column=column)
    text = cell_text(reference)
    for row in rows:
        row[column] = text if row[column] is None else row[column]
    await client.publish(link, rows, attributes=attribute_of([reference]))
    return text


async def test_every_reader_of_rows_has_whole_cells(tmp_path: Path) -> None:
    content = "content ö" * 10
    whole = [{"n": 1, "text": content}, {"n": 2, "text": "short"}, {"n": 3, "text": content}]
    async with running_home(tmp_path / "home") as home, linkd.aio.connect(home.endpoint, timeout_s=10) as client:
        await named(client, "pages", content.encode(), "text", [{"n": 1, "text": None}, {"n": 2, "text": "short"}, {"n": 3, "text": None}])
        assert await client.read("pages").rows() == whole
        reader = await client.read("pages").to_reader()
        assert [batch.to_pylist() async for batch in reader] == [whole]
        assert await client.query("SELECT n, text FROM pages ORDER BY n").rows() == whole

        def use() -> None:
            with linkd.connect(home.endpoint, timeout_s=20) as threads:
                [value] = threads.read("pages")
                assert value.rows() == whole
                assert threads.read("pages").to_reader().read_all().to_pylist() == whole
                for value in threads.subscribe("pages", "group"):
                    with value:
                        assert value.to_table().to_pylist() == whole
                        break
                address = home.endpoint.replace("unix:", "grpc+unix://")
                with flight.FlightClient(address) as plain, pytest.raises(pa.ArrowInvalid) as refused:
                    plain.do_get(flight.Ticket(b"pages")).read_all()
                assert (
                    f"pages@1 has a cell of {len(content.encode())} bytes in column `text`, and a batch has at most 67,108,864: ask for it by SQL"
                ) in str(refused.value)

        await asyncio.to_thread(use)


async def test_a_text_that_only_looks_like_one_is_a_text(tmp_path: Path) -> None:
    async with running_home(tmp_path / "home") as home, linkd.aio.connect(home.endpoint, timeout_s=10) as client:
        text = await named(client, "secrets", b"secret", "text", [{"text": None}])
        await client.publish("texts", [{"text": text}])
        await named(client, "texts", b"other", "text", [{"text": None, "note": text}, {"text": text, "note": ""}])
        rows = await client.read("texts").rows()
        assert [row["text"] for row in rows] == [text, "other", text]
        assert rows[1]["note"] == text


async def test_what_rows_cannot_hold_is_refused_with_what_to_do(tmp_path: Path) -> None:
    """Many cells that are one artifact: no reader takes more than a column holds."""
    async with running_home(tmp_path / "home") as home, linkd.aio.connect(home.endpoint, timeout_s=10) as client:
        await named(client, "bombs", bytes(1_000_000), "text", [{"text": None}] * 3_000)
        with pytest.raises(linkd.ValueTooLarge) as refused:
            await client.read("bombs").rows()
    assert str(refused.value) == (
        "bombs@1 holds cells of 3,000,000,000 bytes together, and as rows a value has at most 2,146,435,072 in a column: save bytes to a file, "
        "`value.save(path)`, or take `format: raw`"
    )
