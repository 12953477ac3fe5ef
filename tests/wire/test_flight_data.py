from __future__ import annotations

import io
from itertools import pairwise

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from linkd.errors import InvalidArgument
from linkd.limits import FLIGHT_FIELDS_MAX
from linkd.wire.arrow_ipc import PREFIX_BYTES, metadata_length, prefix, read_stream
from linkd.wire.flight import cut, flight_data, put_result
from linkd.wire.v1 import flight_pb2 as pb

BATCH = pa.record_batch({"n": [1, 2, 3], "text": ["a", None, "ccc"]})


def arrow_message() -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, BATCH.schema) as writer:
        writer.write_batch(BATCH)
    return bytes(read_stream(sink.getvalue())[1][0].message)


MESSAGE = arrow_message()


@given(st.sets(st.integers(1, len(MESSAGE) - 1), max_size=6), st.binary(max_size=200))
@example({1}, b"")
@example({PREFIX_BYTES - 1, PREFIX_BYTES + 5}, b"x")
def test_what_goes_is_what_protobuf_would_make_wherever_its_pieces_are_cut(places: set[int], app_metadata: bytes) -> None:
    pieces = [MESSAGE[start:end] for start, end in pairwise(sorted({0, *places, len(MESSAGE)}))]
    body_at = PREFIX_BYTES + metadata_length(MESSAGE[:PREFIX_BYTES])
    expected = pb.FlightData(data_header=MESSAGE[PREFIX_BYTES:body_at], app_metadata=app_metadata, data_body=MESSAGE[body_at:])
    assert flight_data(pieces, app_metadata) == expected.SerializeToString()


def test_a_schema_has_no_body() -> None:
    schema = BATCH.schema.serialize().to_pybytes()
    assert flight_data((schema,)) == pb.FlightData(data_header=schema[PREFIX_BYTES:]).SerializeToString()
    assert cut(flight_data((schema,))).parts() == (schema, b"")


@given(st.binary(max_size=300), st.binary(max_size=300), st.binary(max_size=300), st.text(max_size=10))
@example(b"", b"h" * 127, b"b" * 128, "")
def test_what_comes_is_cut_as_protobuf_reads_it(app_metadata: bytes, header: bytes, body: bytes, name: str) -> None:
    descriptor = pb.FlightDescriptor(type=pb.FlightDescriptor.PATH, path=[name]) if name else None
    came = pb.FlightData(flight_descriptor=descriptor, data_header=header, app_metadata=app_metadata, data_body=body)
    found = cut(came.SerializeToString())
    assert pb.FlightDescriptor.FromString(found.descriptor) == came.flight_descriptor
    assert (found.app_metadata, found.body) == (app_metadata, body)
    assert found.header == header + bytes(-len(header) % 8)


@given(st.binary(max_size=60))
def test_whatever_is_cut_protobuf_reads_as_the_same(data: bytes) -> None:
    try:
        found = cut(data)
    except InvalidArgument:
        return
    try:
        said = pb.FlightData.FromString(data)
    except Exception:  # a descriptor that is none, or a field that nobody looks at: they are read where they are wanted
        return
    assert (found.app_metadata, bytes(found.body)) == (said.app_metadata, said.data_body)


def test_fields_come_in_any_order_and_unknown_ones_are_passed_over() -> None:
    unknown = b"\x28\x05" + b"\x35" + bytes(4) + b"\x39" + bytes(8) + b"\x42\x02zz"  # a varint, 4 bytes, 8 bytes, a string
    found = cut(b"\xc2\x3e\x01B" + unknown + b"\x1a\x01m" + b"\x12\x01h" + b"\xc2\x3e\x01C")
    assert (found.header, found.app_metadata, found.body) == (b"h" + bytes(7), b"m", b"C"), "of two the last one counts"


DAMAGED = {
    "cut in a length": b"\x12\x80",
    "cut in a tag": b"\xc2",
    "longer than it is": b"\x12\x05abc",
    "longer than anything": b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    "a number without an end": b"\x12" + b"\xff" * 11,
    "a number for bytes": b"\x10\x01",
    "a wire type there is not": b"\x17\x01",
    "thousands of fields": b"\x28\x01" * (FLIGHT_FIELDS_MAX + 1),
}


@pytest.mark.parametrize("data", DAMAGED.values(), ids=DAMAGED)
def test_what_is_damaged_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidArgument, match="FlightData"):
        cut(data)


def test_what_is_put_together_is_cut_the_same() -> None:
    found = cut(flight_data((MESSAGE,), b"more"))
    assert b"".join(found.parts()) == MESSAGE
    assert found.parts()[0].startswith(prefix(len(found.header)))
    assert put_result(b"{}") == pb.FlightPutResult(app_metadata=b"{}").SerializeToString()
