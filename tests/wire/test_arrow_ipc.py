"""Arrow IPC messages taken apart and stamped without pyarrow; pyarrow and polars are the judges."""

from __future__ import annotations

import io
import random
import struct

import polars
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkd.errors import InvalidArgument
from linkd.wire import arrow_ipc

_COLUMNS = st.lists(
    st.one_of(
        st.tuples(st.just(pa.int64()), st.integers(-(2**63), 2**63 - 1)),
        st.tuples(st.just(pa.float64()), st.floats(allow_nan=False)),
        st.tuples(st.just(pa.string()), st.text(max_size=20)),
        st.tuples(st.just(pa.bool_()), st.booleans()),
        st.tuples(st.just(pa.list_(pa.int32())), st.lists(st.integers(0, 9), max_size=3)),
        st.tuples(st.just(pa.struct([("a", pa.int8()), ("b", pa.string())])), st.just({"a": 1, "b": "x"})),
    ),
    min_size=1,
    max_size=6,
)


@st.composite
def batches(draw: st.DrawFn) -> pa.RecordBatch:
    columns, rows = draw(_COLUMNS), draw(st.integers(0, 20))
    nulls = draw(st.lists(st.booleans(), min_size=rows, max_size=rows))
    arrays = [pa.array([None if null else value for null in nulls], kind) for kind, value in columns]
    return pa.RecordBatch.from_arrays(arrays, names=[f"c{index}" for index in range(len(arrays))])


def stream(*sent: pa.RecordBatch, options: pa.ipc.IpcWriteOptions | None = None) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, sent[0].schema, options=options) as writer:
        for batch in sent:
            writer.write_batch(batch)
    return sink.getvalue()


def restamped(schema: bytes, batch: arrow_ipc.BatchMessage, metadata: bytes) -> bytes:
    return schema + arrow_ipc.prefix(len(metadata)) + metadata + bytes(batch.body) + arrow_ipc.EOS


SMALL = pa.RecordBatch.from_pydict({"a": [1, 2, 3], "b": ["x", None, "z"]})


@given(st.lists(batches(), min_size=1, max_size=1), st.integers(1, 3))
def test_a_stream_is_split_into_its_messages(found: list[pa.RecordBatch], times: int) -> None:
    data = stream(*found * times)
    schema, messages = arrow_ipc.read_stream(data)
    assert schema + b"".join(bytes(message.message) for message in messages) + arrow_ipc.EOS == data
    assert [message.rows for message in messages] == [found[0].num_rows] * times
    for message in messages:
        parsed = pa.ipc.read_record_batch(pa.py_buffer(message.message), found[0].schema)
        assert parsed.equals(found[0])
        assert bytes(message.message) == arrow_ipc.prefix(len(message.metadata)) + message.metadata + bytes(message.body)


@given(batches(), st.dictionaries(st.text(max_size=30), st.text(max_size=200), max_size=5), st.integers(0, 40))
def test_a_stamped_batch_reads_the_same_and_carries_the_stamp(batch: pa.RecordBatch, custom: dict[str, str], room: int) -> None:
    schema, (message,) = arrow_ipc.read_stream(stream(batch))
    needed = len(arrow_ipc.stamp(message.metadata, custom))
    stamped = arrow_ipc.stamp(message.metadata, custom, padded_to=needed + 8 * room)
    assert len(stamped) == needed + 8 * room
    assert arrow_ipc.unstamp(stamped, len(message.metadata)) == message.metadata
    assert arrow_ipc.custom_metadata(stamped) == custom
    assert arrow_ipc.check_batch(stamped, len(message.body)).rows == batch.num_rows
    data = restamped(schema, message, stamped)
    read, read_custom = pa.ipc.open_stream(data).read_next_batch_with_custom_metadata()
    read.validate(full=True)
    assert read.equals(batch)
    assert {key.decode(): value.decode() for key, value in dict(read_custom or {}).items()} == custom


def test_polars_reads_a_stamped_stream() -> None:
    schema, (message,) = arrow_ipc.read_stream(stream(SMALL))
    data = restamped(schema, message, arrow_ipc.stamp(message.metadata, {"linkd.envelope": '{"a":1}'}, padded_to=2048))
    assert polars.read_ipc_stream(io.BytesIO(data)).to_dicts() == SMALL.to_pylist()


def test_metadata_of_the_producer_is_kept_unless_the_stamp_has_the_same_key() -> None:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, SMALL.schema) as writer:
        writer.write_batch(SMALL, custom_metadata={"mine": "kept", "linkd.envelope": "forged"})
    schema, (message,) = arrow_ipc.read_stream(sink.getvalue())
    stamped = arrow_ipc.stamp(message.metadata, {"linkd.envelope": "true"})
    _, custom = pa.ipc.open_stream(restamped(schema, message, stamped)).read_next_batch_with_custom_metadata()
    assert dict(custom) == {b"mine": b"kept", b"linkd.envelope": b"true"}


def test_a_stamp_that_does_not_fit_is_refused() -> None:
    _, (message,) = arrow_ipc.read_stream(stream(SMALL))
    with pytest.raises(InvalidArgument, match="the stamp needs"):
        arrow_ipc.stamp(message.metadata, {"k": "v" * 100}, padded_to=len(message.metadata) + 64)


def test_the_end_mark_may_be_missing() -> None:
    _, messages = arrow_ipc.read_stream(stream(SMALL)[: -len(arrow_ipc.EOS)])
    assert len(messages) == 1


def test_bytes_behind_the_end_mark_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="follow the end mark"):
        arrow_ipc.read_stream(stream(SMALL) + stream(SMALL))


def test_dictionary_columns_are_refused_with_the_remedy() -> None:
    batch = pa.RecordBatch.from_arrays([pa.array(["a", "b"]).dictionary_encode()], names=["d"])
    with pytest.raises(InvalidArgument, match="dictionary_decode"):
        arrow_ipc.read_stream(stream(batch))


def test_compressed_buffers_are_refused_with_the_remedy() -> None:
    batch = pa.RecordBatch.from_pydict({"a": list(range(1000))})
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    with pytest.raises(InvalidArgument, match="uncompressed"):
        arrow_ipc.read_stream(stream(batch, options=options))


def test_the_file_format_and_the_old_framing_are_refused() -> None:
    sink = io.BytesIO()
    with pa.ipc.new_file(sink, SMALL.schema) as writer:
        writer.write_batch(SMALL)
    with pytest.raises(InvalidArgument, match="stream format"):
        arrow_ipc.read_stream(sink.getvalue())
    with pytest.raises(InvalidArgument, match="stream format"):
        arrow_ipc.read_stream(stream(SMALL, options=pa.ipc.IpcWriteOptions(use_legacy_format=True)))


def test_a_stream_begins_with_its_schema() -> None:
    schema, (message,) = arrow_ipc.read_stream(stream(SMALL))
    with pytest.raises(InvalidArgument, match="begins with its schema"):
        arrow_ipc.read_stream(bytes(message.message))
    with pytest.raises(InvalidArgument, match="empty"):
        arrow_ipc.read_stream(b"")
    with pytest.raises(InvalidArgument, match="expected an Arrow IPC record batch, got a schema"):
        arrow_ipc.read_message(schema)


def test_one_message_is_read_alone() -> None:
    _, (message,) = arrow_ipc.read_stream(stream(SMALL))
    again = arrow_ipc.read_message(bytes(message.message))
    assert (again.rows, bytes(again.body)) == (3, bytes(message.body))
    with pytest.raises(InvalidArgument, match="nothing behind it"):
        arrow_ipc.read_message(bytes(message.message) + bytes(8))


def test_a_buffer_outside_the_body_is_refused() -> None:
    _, (message,) = arrow_ipc.read_stream(stream(SMALL))
    # The first buffer with bytes in it: the 24 bytes of column a.
    at = message.metadata.index(struct.pack("<qq", 0, 24))
    for offset, length, words in ((0, 2**62, "outside its body"), (2**63 - 8, 16, "outside"), (-8, 8, "outside"), (4, 24, "multiple of 8")):
        damaged = bytearray(message.metadata)
        struct.pack_into("<qq", damaged, at, offset, length)
        with pytest.raises(InvalidArgument, match=words):
            arrow_ipc.check_batch(bytes(damaged), len(message.body))


OF_ALL_KINDS = {
    "number": pa.array([1, None, 3]),
    "text": pa.array(["a", "bb", None]),
    "view": pa.array(["a", "b" * 40, None], pa.string_view()),
    "nothing": pa.nulls(3),
    "list": pa.array([[["a"]], None, [[None, "b"]]]),
    "fixed list": pa.array([[1, 2], [3, 4], None], pa.list_(pa.int32(), 2)),
    "struct": pa.array([{"x": True, "y": "q"}, None, {"x": None, "y": None}]),
    "map": pa.array([[("k", 1)], None, []], pa.map_(pa.string(), pa.int64())),
    "decimal": pa.array([1, 2, None], pa.decimal128(10, 2)),
    "binary": pa.array([b"ab", b"cd", None], pa.binary(2)),
}


@pytest.mark.parametrize("kind", OF_ALL_KINDS)
def test_a_filler_made_of_a_batch_is_passed_over_by_every_reader(kind: str) -> None:
    batch = pa.RecordBatch.from_pydict({kind: OF_ALL_KINDS[kind], "id": [7, 8, 9]})
    schema, (message,) = arrow_ipc.read_stream(stream(batch))
    filler = arrow_ipc.filler(arrow_ipc.without_rows(message.metadata), {"linkd.filler": "nothing"}, 4_096)
    data = schema + bytes(message.message) + filler + b"\x55" * (4_096 - len(filler)) + bytes(message.message) + arrow_ipc.EOS
    for found in pa.ipc.open_stream(data):
        found.validate(full=True)
    assert pa.ipc.open_stream(data).read_all().equals(pa.Table.from_batches([batch, batch]))
    assert polars.read_ipc_stream(io.BytesIO(data))["id"].to_list() == [7, 8, 9] * 2


def test_the_schema_id_is_that_of_the_schema_message() -> None:
    schema, _ = arrow_ipc.read_stream(stream(SMALL))
    other, _ = arrow_ipc.read_stream(stream(SMALL.rename_columns(["a", "c"])))
    assert len(arrow_ipc.schema_id(schema)) == 16
    assert arrow_ipc.schema_id(schema) == arrow_ipc.schema_id(bytes(schema)) != arrow_ipc.schema_id(other)


@pytest.mark.parametrize("seed", range(8))
def test_hostile_bytes_are_refused_and_never_crash(seed: int) -> None:
    chance = random.Random(seed)
    original = stream(SMALL, SMALL)
    for _ in range(400):
        data = bytearray(original)
        for _ in range(chance.randint(1, 6)):
            data[chance.randrange(len(data))] = chance.choice((0, 1, 4, 8, 0x7F, 0x80, 0xFF, chance.randrange(256)))
        cut = data[: chance.randrange(len(data))] if chance.random() < 0.3 else data
        try:
            _, messages = arrow_ipc.read_stream(cut)
            for message in messages:
                arrow_ipc.custom_metadata(arrow_ipc.stamp(message.metadata, {"k": "v"}))
                empty = arrow_ipc.without_rows(message.metadata)
                assert arrow_ipc.check_batch(empty, 0).rows == 0
                arrow_ipc.filler(empty, {"k": "v"}, 1_024)
        except InvalidArgument:
            pass


@given(st.binary(max_size=200))
def test_any_metadata_is_read_or_refused(data: bytes) -> None:
    with pytest.raises(InvalidArgument):
        arrow_ipc.check_batch(data, 8)


def dictionary_of(**options: object) -> tuple[bytes, bytes]:
    """The metadata and the body of a dictionary message."""
    sink = pa.BufferOutputStream()
    batch = pa.RecordBatch.from_arrays([pa.array(["a" * 100, "b"]).dictionary_encode()], names=["d"])
    with pa.ipc.new_stream(sink, batch.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_batch(batch)
    messages = list(pa.ipc.MessageReader.open_stream(sink.getvalue()))
    [found] = [message for message in messages if message.type == "dictionary"]
    return found.metadata.to_pybytes(), found.body.to_pybytes()


def test_a_dictionary_is_checked_as_a_batch_is_and_has_a_number() -> None:
    metadata, body = dictionary_of()
    assert arrow_ipc.check_dictionary(metadata, len(body)) == 0
    with pytest.raises(InvalidArgument, match="another size than it says"):
        arrow_ipc.check_dictionary(metadata, len(body) - 8)
    compressed, short = dictionary_of(compression="zstd")
    with pytest.raises(InvalidArgument, match="compressed"):
        arrow_ipc.check_dictionary(compressed, len(short))
    batch = pa.record_batch({"n": [1]}).serialize().to_pybytes()
    assert arrow_ipc.check_dictionary(batch[arrow_ipc.PREFIX_BYTES :], 64) is None
