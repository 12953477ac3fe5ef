"""What is an object store's own: conditions, ranges, generations of parts, and what is said of everything that can be wrong with one."""

from __future__ import annotations

import io
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest
from linkd_adapters.objects import ObjectAdapter
from linkd_adapters.objects.location import Address, locate
from linkd_adapters.objects.patterns import fixed_directory, matches
from linkd_adapters.objects.refusals import refused
from obstore.exceptions import GenericError

from linkd.errors import Conflict, InvalidArgument, PlaceAway, SourceChanged, StorageFailed
from linkd.limits import OBJECT_PUT_MAX_BYTES
from linkd.plugin.contract import NO_RECORD, CsvDialect, LinkOptions, Role, SinkValue, SourceBatch
from linkd.testing.adapter_conformance import read_all

pytestmark = pytest.mark.xdist_group("object store")

ROWS = pa.record_batch({"n": [1, 2, 3]})
LARGE = pa.table({"n": range(1_000_000)})


async def rows_of(adapter: ObjectAdapter, options: LinkOptions) -> list[dict[str, object]]:
    source = adapter.source(options)
    return [row for batch in await read_all(source, await source.survey()) for row in batch.data.to_pylist()]


async def put(adapter: ObjectAdapter, options: LinkOptions, batch: pa.RecordBatch = ROWS, last=NO_RECORD):
    sink = adapter.sink(options)
    await sink.begin(batch.schema)
    await sink.write(batch)
    try:
        return await sink.finish(last)
    finally:
        await sink.abort()


@pytest.mark.parametrize(
    ("pattern", "key", "meant"),
    [
        ("2013-*.csv.gz", "2013-01.csv.gz", True),
        ("2013-*.csv.gz", "old/2013-01.csv.gz", False),
        ("*/2013.csv", "old/2013.csv", True),
        ("*/2013.csv", "a/b/2013.csv", False),
        ("data/**/x.csv", "data/x.csv", True),
        ("data/**/x.csv", "data/a/b/x.csv", True),
        ("data/**", "data/a/b.csv", True),
        ("data/[ab].csv", "data/b.csv", True),
        ("*.csv", ".hidden.csv", False),
        (".*.csv", ".hidden.csv", True),
        ("data/**", "data/.tmp/b.csv", False),
    ],
)
def test_a_pattern_means_keys_as_a_shell_has_it(pattern: str, key: str, meant: bool) -> None:
    assert matches(pattern, key) is meant


def test_only_the_directory_that_a_pattern_can_mean_is_listed() -> None:
    assert [fixed_directory(pattern) for pattern in ("a/b/*.csv", "a/*/c/*.csv", "*.csv", "a/b.csv")] == ["a/b", "a", "", "a"]


async def test_objects_are_read_by_pattern_and_by_directory(box) -> None:
    for name in ("2013-01", "2013-02", "2014-01"):
        box.put(f"flights/{name}.csv", f"name\n{name}\n".encode())
    box.put("flights/deeper/2013-03.csv", b"name\n2013-03\n")
    assert await rows_of(box.adapter, box.options("flights/2013-*.csv")) == [{"name": "2013-01"}, {"name": "2013-02"}]
    assert [row["name"] for row in await rows_of(box.adapter, box.options("flights/"))] == ["2013-01", "2013-02", "2014-01"]
    assert len(await rows_of(box.adapter, box.options("flights/**/*.csv"))) == 4


async def test_of_a_parquet_object_only_what_is_needed_is_asked_for(box) -> None:
    out = io.BytesIO()
    pq.write_table(LARGE, out, compression="none", use_dictionary=False)
    box.put("large.parquet", out.getvalue())
    box.server.requests.clear()
    survey = await box.adapter.source(box.options("large.parquet")).survey()
    assert survey.rows == LARGE.num_rows
    assert len(out.getvalue()) > 7_000_000
    assert len(box.server.requests) <= 3, "a look, and the footer"


async def test_an_arrow_object_is_read_in_ranges(box) -> None:
    out = io.BytesIO()
    feather.write_feather(LARGE.slice(0, 200_000), out, chunksize=30_000)
    box.put("a.arrow", out.getvalue())
    rows = await rows_of(box.adapter, box.options("a.arrow"))
    assert rows[-1] == {"n": 199_999}


async def test_an_object_that_changes_while_it_is_read_is_told_so_and_not_mixed(box) -> None:
    lines = "".join(f"{row},{'x' * 90}\n" for row in range(200_000))
    box.put("a.csv", f"n,text\n{lines}".encode())
    source = box.adapter.source(box.options("a.csv"))
    survey = await source.survey()
    with pytest.raises(SourceChanged, match=r"^s3://box-\d+/a.csv changed while it was read; nothing of it is complete"):
        async with aclosing(source.read(survey, None)) as batches:
            async for _ in batches:
                box.put("a.csv", f"n,text\n{lines.replace('x', 'y')}".encode())


async def test_a_store_that_goes_away_in_the_middle_is_waited_for_and_read_on_behind_what_was_read(box) -> None:
    lines = "".join(f"{row},{'x' * 90}\n" for row in range(200_000))
    box.put("a.csv", f"n,text\n{lines}".encode())
    source = box.adapter.source(box.options("a.csv"))
    survey = await source.survey()
    read: list[SourceBatch] = []
    box.server.answers = lambda request: not read
    with pytest.raises(PlaceAway, match=rf"^s3://{box.name}/a.csv cannot be read: http://127.0.0.1:\d+ does not answer"):
        async with aclosing(source.read(survey, None)) as batches:
            async for batch in batches:
                read.append(batch)  # noqa: PERF401  # what was read before it raised
    box.server.answers = lambda request: True
    rest = await read_all(source, survey, read[-1].position)
    assert sum(batch.data.num_rows for batch in (*read, *rest)) == 200_000


async def test_of_two_writers_at_the_same_moment_the_second_is_refused(box) -> None:
    options = box.options("out.csv", mode="replace")
    path = box.server.data / box.name / "out.csv"  # the server may know of what is written there a moment later only
    theirs: list[bytes] = []

    def somebody_is_faster(request: str) -> bool:
        if request == f"PUT /{box.name}/out.csv":
            theirs.append(b"theirs\n" * (len(theirs) + 1))
            path.write_bytes(theirs[-1])
        return True

    box.server.answers = somebody_is_faster
    for _ in ("nothing stands there", "something does"):
        with pytest.raises(Conflict, match=r"out.csv was written by somebody else at the same moment, and is theirs now: let only one"):
            await put(box.adapter, options)
        assert path.read_bytes() == theirs[-1]


async def test_what_somebody_else_put_there_is_kept(box) -> None:
    options = box.options("out.csv")
    last = (await put(box.adapter, options)).record
    await box.adapter.sink(options).check(last)
    box.put("out.csv", b"theirs\n")
    with pytest.raises(Conflict, match=r"out.csv was changed by somebody else since linkd wrote it \(8 bytes then, 7 now\)"):
        await put(box.adapter, options, last=last)
    assert box.get("out.csv") == b"theirs\n"
    await put(box.adapter, replace(options, overwrite=True), last=last)
    assert box.get("out.csv") == b"n\n1\n2\n3\n"


async def test_a_worker_that_was_killed_before_the_home_had_recorded_it_knows_its_object_again(box) -> None:
    options = box.options("out.csv")
    last = (await put(box.adapter, options)).record
    await put(box.adapter, options, pa.record_batch({"n": [4]}), last)
    await box.adapter.sink(options).check(last)
    assert (await put(box.adapter, options, pa.record_batch({"n": [4]}), last)).record["etag"] != last["etag"]


async def test_an_object_of_many_parts_arrives_whole(box) -> None:
    options = box.options("large.arrows")
    batch = pa.record_batch({"n": pa.array(range(1_000_000))})
    sink = box.adapter.sink(options)
    await sink.begin(batch.schema)
    for _ in range(9):
        await sink.write(batch)
    made = await sink.finish()
    await sink.check(made.record)
    with pa.ipc.open_stream(box.get("large.arrows")) as stream:
        assert stream.read_all().num_rows == 9_000_000
    assert made.size_bytes > OBJECT_PUT_MAX_BYTES
    assert f"POST /{box.name}/large.arrows" in box.server.requests


async def test_parts_are_shown_by_generations(box) -> None:
    options = box.options("totals/", format="csv", mode="parts", link="totals")

    async def write(generation: int, sequence: int, last) -> dict[str, str]:
        batch = pa.record_batch({"n": [generation * 100 + sequence]})
        return (await box.adapter.value_sink(options).write(SinkValue(generation, sequence, batch), last)).record

    last = await write(1, 1, NO_RECORD)
    last = await write(1, 2, last)
    read = box.options("totals/")
    assert await rows_of(box.adapter, read) == [{"n": 101}, {"n": 102}]
    last = await write(2, 3, last)
    assert await rows_of(box.adapter, read) == [{"n": 101}, {"n": 102}], "the new generation is not complete"
    await box.adapter.value_sink(options).caught_up(2)
    assert await rows_of(box.adapter, read) == [{"n": 203}]
    last = await write(3, 4, last)
    await box.adapter.value_sink(options).caught_up(3)
    assert box.keys == ["totals/_current", "totals/gen-000002/part-000002-0000000003.csv", "totals/gen-000003/part-000003-0000000004.csv"]


async def test_parts_are_not_put_beside_what_somebody_else_has_there(box) -> None:
    box.put("totals/mine.csv", b"n\n1\n")
    options = box.options("totals/", format="csv", mode="parts", link="totals")
    with pytest.raises(Conflict, match=r"totals/ holds totals/mine.csv, which linkd did not make: name a directory of its own"):
        await box.adapter.value_sink(options).check(NO_RECORD)


async def test_what_cannot_be_gathered_here_is_said_with_the_place(box, tmp_path: Path) -> None:
    adapter = ObjectAdapter({**box.environ, "TMPDIR": str(tmp_path / "nowhere")})
    with pytest.raises(StorageFailed, match=r"out.csv cannot be written: it is gathered in .*/nowhere first, and there No such file"):
        await adapter.sink(box.options("out.csv")).begin(ROWS.schema)


class TestMessages:
    async def test_an_object_that_is_not_there_has_a_neighbour(self, box) -> None:
        box.put("data/flights.csv", b"n\n1\n")
        with pytest.raises(
            InvalidArgument, match=r"^s3://box-\d+/data/flihgts.csv does not exist; did you mean s3://box-\d+/data/flights.csv\?$"
        ):
            await box.adapter.source(box.options("data/flihgts.csv")).stat()
        with pytest.raises(InvalidArgument, match=r"data/2013-\*.csv matches no object; did you mean data/flights.csv\?$"):
            await box.adapter.source(box.options("data/2013-*.csv")).stat()
        with pytest.raises(InvalidArgument, match=r"^s3://box-\d+/empty/ has no object whose name ends in"):
            await box.adapter.source(box.options("empty/")).stat()

    async def test_there_is_no_such_bucket(self, box) -> None:
        missing = r"^s3://nowhere/a.csv does not exist: there is no bucket nowhere at http://127.0.0.1:\d+; make it, or name another$"
        with pytest.raises(InvalidArgument, match=missing):
            await box.adapter.source(box.options("s3://nowhere/a.csv")).stat()
        with pytest.raises(InvalidArgument, match=missing):
            await put(box.adapter, box.options("s3://nowhere/a.csv"))
        with pytest.raises(InvalidArgument, match="there is no bucket nowhere"):
            await box.adapter.source(box.options("s3://nowhere/*.csv")).stat()

    async def test_credentials_that_the_store_does_not_know(self, box) -> None:
        adapter = ObjectAdapter({**box.environ, "AWS_SECRET_ACCESS_KEY": "wr0ng"})
        box.put("a.csv", b"n\n1\n")
        with pytest.raises(
            InvalidArgument, match=r"a.csv may not be read with these credentials \(status 403\), or does not exist: have the right"
        ):
            await adapter.source(box.options("a.csv")).stat()
        with pytest.raises(InvalidArgument, match=r"does not know these credentials \(SignatureDoesNotMatch\); set AWS_ACCESS_KEY_ID"):
            await adapter.source(box.options("*.csv")).stat()

    async def test_a_server_that_is_not_there(self, box) -> None:
        adapter = ObjectAdapter({**box.environ, "AWS_ENDPOINT_URL": "http://127.0.0.1:1"})
        with pytest.raises(
            PlaceAway, match=r"a.csv cannot be read: http://127.0.0.1:1 does not answer, after some attempts; see that it runs, and"
        ):
            await adapter.source(box.options("a.csv")).stat()

    def test_nothing_that_is_wrong_with_an_address_is_left_for_the_run(self, tmp_path: Path) -> None:
        adapter = ObjectAdapter({})

        def problems(location: str, role: Role = Role.SOURCE, **more) -> list[str]:
            return adapter.check(LinkOptions("f", location, tmp_path, **more), role)

        assert problems("s3://data/a.csv") == []
        assert problems("gs://data/a.parquet") == []
        assert problems("az://data/a.jsonl?account=me", Role.SINK) == []
        assert problems("s3://data") == ["links.f: s3://data names no object; write s3://BUCKET/KEY, such as s3://data/2013.csv.gz"]
        assert problems("s3://data/a.csv?endpiont=x") == [
            "links.f: `endpiont` behind the `?` of s3:// is no setting; did you mean `endpoint`?"
        ]
        assert problems("s3://data/a.xlsx") == [
            "s3://data/a.xlsx is a spreadsheet, which linkd does not read; save the sheet as CSV (UTF-8) and name that"
        ]
        assert problems("s3://data/a.csv", Role.SINK, mode="append") == [
            "links.f.mode: nothing can be appended to an object; say mode: parts to have an object for each value, or mode: replace"
        ]
        assert problems("s3://data/*.csv", Role.SINK) == ["links.f.to: s3://data/*.csv is a pattern, and a sink is one object; name it"]
        assert problems("s3://data/out/", Role.SINK, format="csv") == [
            "links.f.to: s3://data/out/ names a directory; name an object in it, or say mode: parts to have one for each value in it"
        ]
        assert problems("s3://data/a.parquet", dialect=CsvDialect(separator=";")) == [
            "links.f.separator: this is for CSV, and s3://data/a.parquet is Parquet; remove it"
        ]

    def test_a_secret_that_everybody_can_read_is_refused_and_one_that_is_one_is_never_shown(self, tmp_path: Path) -> None:
        written = "s3://data/a.csv?access_key=${secret.KEY}&secret_key=${secret.SECRET}&endpoint=http://localhost:9000"
        location = written.replace("${secret.KEY}", "AKIA").replace("${secret.SECRET}", "a+b/c=&d")
        found = locate(LinkOptions("f", location, tmp_path, written=written), {"AWS_SESSION_TOKEN": "of somebody else"})
        assert dict(found.address.settings) == {"access_key": "AKIA", "secret_key": "a+b/c=&d", "endpoint": "http://localhost:9000"}
        assert "a+b" not in repr(found)
        open_ = "s3://data/a.csv?secret_key=abc"
        [problem] = ObjectAdapter({}).check(LinkOptions("f", open_, tmp_path, written=open_), Role.SOURCE)
        assert problem.startswith(
            "links.f: its address has a secret in it (`secret_key`), which whoever looks at the pipeline would see; write"
        )
        assert "abc" not in problem

    @pytest.mark.parametrize(
        ("answer", "said"),
        [
            (
                "status code: 301: <Code>PermanentRedirect</Code>",
                "bucket data is in another region than `eu-west-1`; write ?region=NAME behind it",
            ),
            ("status code: 400: <Code>AuthorizationHeaderMalformed</Code>", "bucket data is in another region than `eu-west-1`; write"),
            ("status code: 403: <Code>RequestTimeTooSkewed</Code>", "the clock of this machine is wrong (RequestTimeTooSkewed); set it"),
            ("status code: 404: <Code>NoSuchBucket</Code>", "there is no bucket data at Amazon S3; make it, or name another"),
            (
                "status code: 403: <Code>ExpiredToken</Code>",
                "Amazon S3 does not know these credentials (ExpiredToken); set AWS_ACCESS_KEY_ID",
            ),
            (
                "status code: 403: <Code>AccessDenied</Code>",
                "may not be written with these credentials (AccessDenied), or does not exist: have the",
            ),
            (
                "status code: 507: <Code>InsufficientStorage</Code>",
                "Amazon S3 has no room (InsufficientStorage); make some, then run again",
            ),
            (
                "status code: 503: <Code>SlowDown</Code>",
                "Amazon S3 does not answer (SlowDown), after some attempts; see that it runs, and that the",
            ),
            ("status code: 400: <Code>MalformedXML</Code>", "Amazon S3 refuses (MalformedXML); see that the address is right"),
            (
                "error sending request for http://169.254.169.254/latest/api/token",
                "there are no credentials for Amazon S3; set AWS_ACCESS_KEY_ID",
            ),
        ],
    )
    def test_what_a_store_has_against_it_is_said_with_what_to_do(self, answer: str, said: str) -> None:
        address = Address("s3", "data", {"region": "eu-west-1", "secret_key": "s3cret"})
        error = refused(GenericError(f"Generic S3 error: Server returned non-2xx {answer}"), address, "s3://data/a.csv", "written")
        assert str(error).startswith("s3://data/a.csv ")
        assert said in str(error)
        assert "s3cret" not in str(error)

    @pytest.mark.parametrize(
        "location",
        [
            "gs://data/a.csv?endpoint=http://127.0.0.1:1&anonymous=true",
            "az://data/a.csv?account=me&endpoint=http://127.0.0.1:1&anonymous=true",
        ],
    )
    async def test_other_stores_go_the_same_way(self, location: str, tmp_path: Path) -> None:
        with pytest.raises(PlaceAway, match=r"^..://data/a.csv cannot be read: http://127.0.0.1:1 does not answer"):
            await ObjectAdapter({}).source(LinkOptions("f", location, tmp_path)).stat()
