"""Everything that a checkpoint says survives its way through bytes unchanged."""

from __future__ import annotations

import dataclasses
import types
import typing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from thoroughness import examples

from linkd.errors import InvalidArgument, StateDamaged, StateForeign
from linkd.model import kept as model
from linkd.wire import checkpoints
from linkd.wire.store_v1 import frame_pb2 as pb

_PLAIN: dict[typing.Any, st.SearchStrategy[typing.Any]] = {
    int: st.integers(0, 2**63 - 1),
    str: st.text(max_size=8),
    bytes: st.binary(max_size=16),
    bool: st.booleans(),
}


def of(hint: typing.Any) -> st.SearchStrategy[typing.Any]:
    """Any value of a type, made from type hints and nothing else."""
    if hint in _PLAIN:
        return _PLAIN[hint]
    if dataclasses.is_dataclass(hint):
        hints = typing.get_type_hints(hint)
        return st.builds(typing.cast("type", hint), **{field.name: of(hints[field.name]) for field in dataclasses.fields(hint)})
    inner = typing.get_args(hint)
    if isinstance(hint, types.UnionType):
        return st.one_of(*(st.none() if one is types.NoneType else of(one) for one in inner))
    if typing.get_origin(hint) is tuple:
        if inner[-1] is Ellipsis:
            return st.lists(of(inner[0]), max_size=2).map(tuple)
        return st.tuples(*map(of, inner))
    return st.dictionaries(of(inner[0]), of(inner[1]), max_size=2)


_KINDS = typing.get_args(model.Kept)


@pytest.mark.parametrize("kind", _KINDS, ids=lambda kind: kind.__name__)
def test_every_kind_has_a_place_in_a_piece(kind: type[typing.Any]) -> None:
    @given(st.lists(of(kind), max_size=3))
    @settings(max_examples=examples(15))
    def check(kept: list[model.Kept]) -> None:
        assert checkpoints.decode_piece(checkpoints.encode_piece(kept)) == tuple(kept)

    check()


@given(of(model.Held))
def test_what_the_store_holds_is_read_back(held: model.Held) -> None:
    assert checkpoints.decode_held(checkpoints.encode_held(held)) == held


def test_what_a_later_version_says_is_refused() -> None:
    with pytest.raises(StateForeign, match="a later version wrote it"):
        checkpoints.decode_piece(pb.CheckpointPiece(kept=[pb.Kept()]).SerializeToString())


def test_bytes_that_are_no_piece_are_damage() -> None:
    with pytest.raises(StateDamaged, match="cannot be read"):
        checkpoints.decode_piece(b"\xff\xff\xff\xff")
    with pytest.raises(StateDamaged, match="cannot be read"):
        checkpoints.decode_held(b"\xff\xff\xff\xff")


def test_a_number_outside_its_range_is_the_callers_fault() -> None:
    with pytest.raises(InvalidArgument, match="LinkKept cannot be encoded"):
        checkpoints.encode_piece([model.LinkKept("a", -1, 1, 1, 1, 1)])
