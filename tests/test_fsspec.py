"""`linkd://` for the libraries that people have: pandas, polars, pyarrow, DuckDB, and fsspec itself, on a home in this process."""

from __future__ import annotations

import asyncio
import gzip
import threading
from collections.abc import Iterator
from pathlib import Path

import duckdb
import fsspec
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import linkd
from linkd.core.layout import Layout
from linkd.core.link_files import LinkDirectory, LinkFile, parse_link_path
from linkd.core.links import LinkShape
from linkd.core.tasks import TaskShape
from linkd.fsspec import LinkFileSystem
from linkd.model.records import TaskKind
from linkd.testing.home import running_home

PIPELINE = Layout(
    "flights",
    {"flights": LinkShape("flights", ""), "events": LinkShape("events", ""), "totals": LinkShape("totals", "sum_up")},
    {"sum_up": TaskShape("sum_up", TaskKind.RUN, (("flights", "whole"),), ("totals",))},
    frozenset({"flights", "events"}),
)


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A home on a loop of its own, as it is for programs; `flights` holds two values of two rows."""
    directory = tmp_path_factory.mktemp("home")
    loop, over, ready = asyncio.new_event_loop(), asyncio.Event(), threading.Event()
    found: list[str] = []

    async def serve() -> None:
        async with running_home(directory, layout=PIPELINE, supervised=False) as home:
            found.append(home.endpoint)
            ready.set()
            await over.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), name="home")
    thread.start()
    assert ready.wait(30)
    with linkd.connect(found[0]) as client:
        client.publish("flights", {"n": [1, 2], "carrier": ["UA", None]})
        client.publish("flights", {"n": [3, 4], "carrier": ["AA", "DL"]})
    yield found[0]
    loop.call_soon_threadsafe(over.set)
    thread.join()
    loop.close()


@pytest.fixture
def links(endpoint: str) -> Iterator[LinkFileSystem]:
    links = fsspec.filesystem("linkd", pipeline=endpoint, skip_instance_cache=True)
    yield links
    links.close()


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("", LinkDirectory()),
        ("flown", LinkDirectory("flown")),
        ("flown/", LinkDirectory("flown")),
        ("flown.csv", LinkFile("flown", "csv")),
        ("flown/data.csv.gz", LinkFile("flown", "csv.gz")),
        ("orders.dead.jsonl", LinkFile("orders.dead", "jsonl")),
        ("flown/generation-3.parquet", LinkFile("flown", "parquet", 3)),
        ("flown/42.csv", LinkFile("flown", "csv", None, "flown@42", "flown@42")),
        ("flown/3..17.csv", LinkFile("flown", "csv", None, "flown@3", "flown@17")),
        ("flown/3...csv", LinkFile("flown", "csv", None, "flown@3", "")),
        ("flown/last.arrow", LinkFile("flown", "arrow", None, "flown@last", "flown@last")),
    ],
)
def test_a_path_means_a_link_or_some_of_it(path: str, meant: object) -> None:
    assert parse_link_path(path) == meant


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("Flown.csv", "`Flown` is no name of a link"),
        ("../etc/passwd.csv", "`..` is no name of a link"),
        ("flown/data.xlsx", "a name ends in its format, one of .csv, .csv.gz"),
        ("flown/some.csv", "`some` names no values"),
    ],
)
def test_a_path_that_means_nothing_says_what_does(path: str, why: str) -> None:
    with pytest.raises(linkd.InvalidArgument) as refused:
        parse_link_path(path)
    assert str(refused.value).startswith(f"linkd://{path}: {why}")
    assert str(refused.value).endswith("write linkd://LINK.csv, linkd://LINK/generation-3.parquet or linkd://LINK/3..17.jsonl")


def test_pandas_polars_pyarrow_and_duckdb_read_links(endpoint: str, links: LinkFileSystem) -> None:
    options = {"pipeline": endpoint}
    assert pd.read_csv("linkd://flights/data.csv", storage_options=options)["n"].tolist() == [1, 2, 3, 4]
    assert pd.read_parquet("linkd://flights.parquet", storage_options=options)["carrier"].tolist()[2:] == ["AA", "DL"]
    assert pd.read_json("linkd://flights/2.jsonl", lines=True, storage_options=options)["n"].tolist() == [3, 4]
    with fsspec.open("linkd://flights/1.csv", **options) as file:
        assert pl.read_csv(file)["n"].to_list() == [1, 2]
    with fsspec.open("linkd://flights.parquet", **options) as file:
        assert pl.read_parquet(file).height == 4
    assert pq.read_table("flights.parquet", filesystem=links, columns=["n"]).num_rows == 4
    with links.open("flights.arrow") as file:
        assert pa.ipc.open_file(file).read_all().num_rows == 4
    with duckdb.connect() as session:
        session.register_filesystem(links)
        assert session.sql("SELECT sum(n) FROM read_parquet('linkd://flights.parquet')").fetchall() == [(10,)]
        assert session.sql("SELECT count(carrier) FROM read_csv('linkd://flights.csv')").fetchall() == [(3,)]
    with fsspec.open("linkd://flights.csv.gz", "rb", **options) as file:
        assert gzip.decompress(file.read()) == b"n,carrier\n1,UA\n2,\n3,AA\n4,DL\n"
    for client in list(LinkFileSystem._cache.values()):
        client.close()


def test_links_are_listed_and_a_file_tells_its_size(links: LinkFileSystem) -> None:
    assert sorted(links.ls("", detail=False)) == ["events", "flights", "totals"]
    assert links.ls("linkd://flights", detail=False) == ["flights/data.parquet", "flights/generation-1.parquet"]
    assert links.isdir("flights")
    assert links.info("flights.csv") == {"name": "flights.csv", "type": "file", "size": 28, "rows": 4, "link": "flights"}
    assert len(links.cat_file("flights.csv")) == links.size("flights.csv") == 28
    assert links.cat_file("flights/generation-1.csv") == links.cat_file("flights.csv")
    assert links.exists("flights/1.csv")
    assert not links.exists("nothing.csv")
    with pytest.raises(FileNotFoundError, match="nothing"):
        links.info("nothing.csv")
    with pytest.raises(FileNotFoundError) as missing:
        links.cat_file("flights/99.csv")
    assert isinstance(missing.value.__cause__, linkd.LinkNotFound)


def test_a_file_that_was_opened_holds_still(endpoint: str, links: LinkFileSystem) -> None:
    with links.open("events.jsonl", "wb") as file:
        file.write(b'{"at": 1}\n')
    with links.open("events.jsonl") as file, linkd.connect(endpoint) as client:
        client.publish("events", [{"at": 2}])
        assert file.read() == b'{"at":1}\n'
    assert links.cat_file("events.jsonl") == b'{"at":1}\n{"at":2}\n'


def written(links: LinkFileSystem) -> int:
    return int(links.info("flights.csv")["rows"])


def test_what_is_written_is_published_when_the_file_is_closed_all_or_nothing(endpoint: str, links: LinkFileSystem, tmp_path: Path) -> None:
    before = written(links)
    pd.DataFrame({"n": [5], "carrier": ["B6"]}).to_csv("linkd://flights.csv", index=False, storage_options={"pipeline": endpoint})
    pd.DataFrame({"n": [6], "carrier": ["B6"]}).to_parquet("linkd://flights.parquet", storage_options={"pipeline": endpoint})
    assert written(links) == before + 2
    with pytest.raises(linkd.BadRow, match=r"^linkd://flights.csv:3: column n: 'seven' is not int64; nothing was published: correct"):
        links.pipe_file("flights.csv", b"n,carrier\n6,UA\nseven,UA\n")
    with pytest.raises(ZeroDivisionError), links.open("flights.csv", "wb") as file:
        file.write(b"n,carrier\n7,UA\n")
        raise ZeroDivisionError
    with pytest.raises(ZeroDivisionError), fsspec.open("linkd://flights.csv", "w", pipeline=endpoint) as text:
        text.write("n,carrier\n7,UA\n")
        raise ZeroDivisionError
    forgotten = links.open("flights.csv", "wb")
    forgotten.write(b"n,carrier\n8,UA\n")
    del forgotten
    with pytest.raises(ZeroDivisionError), links.transaction:
        links.pipe_file("flights.csv", b"n,carrier\n9,UA\n")
        raise ZeroDivisionError
    assert written(links) == before + 2
    with links.transaction:
        links.pipe_file("flights.csv", b"n,carrier\n9,UA\n")
    try:
        raise ZeroDivisionError
    except ZeroDivisionError:
        with links.open("flights.csv", "wb") as file:
            file.write(b"n,carrier\n10,UA\n")
    links.cp_file("flights/last.csv", "flights.csv")
    assert written(links) == before + 5
    for client in list(LinkFileSystem._cache.values()):
        client.close()


def test_a_link_that_one_may_not_write_says_so_before_anything_is_written(links: LinkFileSystem) -> None:
    with pytest.raises(PermissionError, match=r"^linkd://totals.csv can only be read: .*totals"):
        links.open("totals.csv", "wb")
    with pytest.raises(PermissionError, match=r"values and generations are as they are; add to the link with linkd://flights.csv"):
        links.open("flights/1.csv", "wb")
    with pytest.raises(PermissionError, match="cannot be removed"):
        links.rm("flights.csv")
    with pytest.raises(linkd.NotSupported, match=r"cannot be opened with mode 'r\+b'"):
        links.open("flights.csv", "r+b")
    with pytest.raises(
        linkd.InvalidArgument, match=r"linkd://flights is a directory; a file has its format behind its name: linkd://flights.csv"
    ):
        links.open("flights")
