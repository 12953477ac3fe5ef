"""Every record survives its way through the journal's bytes unchanged."""

from __future__ import annotations

import dataclasses
import types
import typing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from thoroughness import examples

from linkd.errors import InvalidArgument, StateDamaged, StateForeign
from linkd.model import records as model
from linkd.model.values import Envelope, Parent, Place, PlaceKind, Position, Producer
from linkd.wire import frames
from linkd.wire.store_v1 import frame_pb2 as pb

_COUNT = st.integers(0, 2**63 - 1)
_HASH = st.integers(0, 2**64 - 1)
_TEXT = st.text(max_size=20)
_ATTRIBUTES = st.dictionaries(_TEXT, _TEXT, max_size=4)
_SPECIAL = {
    "payload_xxh3": _HASH,
    "request_xxh3": _HASH,
    "fingerprint": _ATTRIBUTES,
    "attributes": _ATTRIBUTES,
    "inputs": st.dictionaries(_TEXT, _COUNT, max_size=3),
    "outputs": st.dictionaries(_TEXT, _COUNT, max_size=3),
    "extents": st.dictionaries(_TEXT, _COUNT, max_size=3),
    **dict.fromkeys(("tasks", "weak_links"), st.lists(_TEXT, max_size=3).map(tuple)),
    "settled": st.lists(st.tuples(_COUNT, _COUNT), max_size=3).map(tuple),
    "ahead": st.lists(st.tuples(_COUNT, _COUNT), max_size=3).map(tuple),
}
_PLAIN = {int: _COUNT, str: _TEXT, bytes: st.binary(max_size=40), bool: st.booleans()}


def of(record: type[typing.Any]) -> st.SearchStrategy[typing.Any]:
    """Any instance of a record class, made from its type hints and nothing else."""
    hints = typing.get_type_hints(record)
    fields = {field.name: _field(field.name, hints[field.name]) for field in dataclasses.fields(record)}
    return st.builds(record, **fields)


def _field(name: str, hint: typing.Any) -> st.SearchStrategy[typing.Any]:
    if typing.get_origin(hint) is tuple and dataclasses.is_dataclass(item := typing.get_args(hint)[0]):
        return st.lists(of(typing.cast("type", item)), max_size=3).map(tuple)
    if name in _SPECIAL:
        return _SPECIAL[name]
    if hint in (PlaceKind, model.GenerationEnd):
        return st.sampled_from(list(hint))
    if typing.get_origin(hint) is types.UnionType:
        [some] = (item for item in typing.get_args(hint) if item is not types.NoneType)
        return st.none() | _field(name, some)
    if dataclasses.is_dataclass(hint):
        return of(typing.cast("type", hint))
    return _PLAIN[hint]


_KINDS = typing.get_args(model.Record)
ENVELOPE = Envelope(bytes(16), "flown", Position(1, 42), 1, 10, 100, bytes(16), 7, 1, producer=Producer())


@given(st.lists(st.one_of(*(of(kind) for kind in _KINDS)), max_size=6))
def test_a_frame_decodes_to_the_records_it_was_made_of(records: list[model.Record]) -> None:
    assert frames.decode_frame(frames.encode_frame(records)) == tuple(records)


@pytest.mark.parametrize("kind", _KINDS, ids=lambda kind: kind.__name__)
def test_every_kind_of_record_has_a_place_in_the_frame(kind: type[typing.Any]) -> None:
    @given(of(kind))
    @settings(max_examples=examples(5))
    def check(record: model.Record) -> None:
        assert frames.decode_frame(frames.encode_frame([record])) == (record,)

    check()


def test_equal_frames_are_equal_bytes() -> None:
    def began(fingerprint: dict[str, str]) -> model.RunBegan:
        return model.RunBegan(1, "r", 2, False, fingerprint)

    one = frames.encode_frame([began({"a": "1", "b": "2"})])
    assert one == frames.encode_frame([began({"b": "2", "a": "1"})])


def test_an_envelope_encoded_before_is_taken_as_it_is() -> None:
    value = model.ValueStored(ENVELOPE, Place(PlaceKind.JOURNAL, 0, 0, 100))
    envelope = frames.encode_envelope(ENVELOPE)
    assert frames.encode_frame([value], [envelope]) == frames.encode_frame([value])
    assert frames.decode_envelope(envelope) == ENVELOPE


def test_a_place_in_the_journal_is_told_where_its_frame_lies() -> None:
    inline = model.ValueStored(ENVELOPE, Place(PlaceKind.JOURNAL, 0, 24, 100))
    bulk = model.ValueStored(ENVELOPE, Place(PlaceKind.SEGMENT, 3, 4096, 100, 64, 36))
    first, second = frames.decode_frame(frames.encode_frame([inline, bulk]), journal_file=9, payload_offset=8192)
    assert isinstance(first, model.ValueStored)
    assert first.place == Place(PlaceKind.JOURNAL, 9, 8216, 100)
    assert second == bulk


def test_parents_keep_their_order() -> None:
    parents = (Parent("b", 1, 1, 5, 6), Parent("a", 1, 2, 1, 9))
    envelope = dataclasses.replace(ENVELOPE, parents=parents)
    assert frames.decode_envelope(frames.encode_envelope(envelope)).parents == parents


def test_a_record_of_a_later_version_is_refused() -> None:
    later = pb.Frame(records=[pb.Record()]).SerializeToString()
    with pytest.raises(StateForeign, match="a later version wrote it"):
        frames.decode_frame(later)
    place = pb.Place(kind=typing.cast("typing.Any", 7))
    value = pb.ValueStored(envelope=frames.encode_envelope(ENVELOPE), place=place)
    with pytest.raises(StateForeign, match="kind of place"):
        frames.decode_frame(pb.Frame(records=[pb.Record(value_stored=value)]).SerializeToString())


def test_bytes_that_are_no_frame_are_damage() -> None:
    with pytest.raises(StateDamaged, match="cannot be read"):
        frames.decode_frame(b"\xff\xff\xff\xff")
    with pytest.raises(StateDamaged, match="cannot be read"):
        frames.decode_envelope(b"\x0a\xff")


def test_a_number_outside_its_range_is_the_callers_fault() -> None:
    with pytest.raises(InvalidArgument, match="TaskEnded cannot be encoded"):
        frames.encode_frame([model.TaskEnded("clean", -1)])
    with pytest.raises(InvalidArgument, match="flown@42"):
        frames.encode_envelope(dataclasses.replace(ENVELOPE, payload_xxh3=2**64))
