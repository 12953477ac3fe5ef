"""What a checkpoint says <-> bytes. The format is the second part of `proto/linkd/store/v1/frame.proto`; this file only translates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf.message import DecodeError

from linkd.errors import InvalidArgument, StateDamaged, StateForeign
from linkd.model import kept as model
from linkd.model import records
from linkd.model.kept import Held, Kept
from linkd.wire.frames import LAYOUTS, MAP, PARENTS, RANGES, Codec, Layout
from linkd.wire.store_v1 import frame_pb2 as pb


def encode_piece(kept: Sequence[Kept]) -> bytes:
    """The bytes of a piece of a checkpoint. Raises `InvalidArgument` for a field outside its range."""
    piece = pb.CheckpointPiece()
    for one in kept:
        layout = _LAYOUTS[type(one)]
        try:
            piece.kept.add(**{layout.kind: layout.fields(one)})
        except (ValueError, TypeError) as problem:
            raise InvalidArgument(f"a {type(one).__name__} cannot be encoded: {problem}") from problem
    return piece.SerializeToString(deterministic=True)


def decode_piece(data: bytes) -> tuple[Kept, ...]:
    """What `encode_piece` took. Raises `StateDamaged`, and `StateForeign` if it holds what this version does not know."""
    piece = pb.CheckpointPiece()
    try:
        piece.ParseFromString(data)
    except DecodeError as problem:
        raise StateDamaged(f"a piece of a checkpoint of {len(data)} bytes cannot be read: {problem}") from problem
    found: list[Kept] = []
    for one in piece.kept:
        kind = one.WhichOneof("kind")
        if kind is None:
            raise StateForeign("the checkpoint holds what this version of linkd does not know: a later version wrote it. Use that version")
        found.append(_LAYOUT_OF_KIND[kind].decode(getattr(one, kind)))
    return tuple(found)


def encode_held(held: Held) -> bytes:
    """What the store holds, as bytes."""
    return _HELD.encode(held).SerializeToString(deterministic=True)


def decode_held(data: bytes) -> Held:
    """What `encode_held` took. Raises `StateDamaged`."""
    message = pb.Held()
    try:
        message.ParseFromString(data)
    except DecodeError as problem:
        raise StateDamaged(f"what a checkpoint says of the store cannot be read: {problem}") from problem
    held: Held = _HELD.decode(message)
    return held


def _one(layout: Layout) -> Codec:
    """A field that is a message of its own."""
    return layout.fields, layout.decode


def _many(layout: Layout) -> Codec:
    """A field of any number of messages."""
    return (lambda items: list(map(layout.fields, items)), lambda messages: tuple(map(layout.decode, messages)))


_TUPLE: Codec = (list, tuple)
_NAMED: Codec = (
    lambda pairs: [{"name": name, "number": number} for name, number in pairs],
    lambda messages: tuple((message.name, message.number) for message in messages),
)
_INCARNATION = Layout("incarnation", model.IncarnationKept, pb.IncarnationKept)
_GONE = Layout("gone", model.GoneKept, pb.GoneKept)
_DROPPED = Layout("dropped", model.DroppedKept, pb.DroppedKept)
_STRETCH = Layout("stretch", model.StretchKept, pb.StretchKept, parents=MAP)
_ACCOUNT = Layout("account", model.AccountKept, pb.AccountKept, stretches=_many(_STRETCH))
_CURSOR = Layout("cursor", model.CursorKept, pb.CursorKept, ahead=RANGES)
_FILE = Layout("file", model.SegmentFileHeld, pb.SegmentFileHeld)
_PART = Layout("part", model.PartDropped, pb.PartDropped)
_LINK = Layout("link", model.LinkHeld, pb.LinkHeld, files=_many(_FILE), generations=MAP, dropped=MAP, gone=RANGES, parts=_many(_PART))
_ANSWER = Layout("answer", model.AnswerKept, pb.AnswerKept)
_HELD = Layout("held", Held, pb.Held, links=_many(_LINK))

_LAYOUT_OF_KIND: Mapping[str, Layout] = {
    layout.kind: layout
    for layout in (
        Layout("home", model.HomeKept, pb.HomeKept, run=_one(LAYOUTS[records.RunBegan]), executions=_NAMED, weak_links=_TUPLE),
        Layout("schema", model.SchemaMessage, pb.SchemaMessage),
        Layout("link", model.LinkKept, pb.LinkKept, gone=_many(_GONE), incarnations=_many(_INCARNATION), dropped=_many(_DROPPED)),
        Layout(
            "generation",
            model.GenerationKept,
            pb.GenerationKept,
            inputs=PARENTS,
            schema_ids=_TUPLE,
            source=_one(LAYOUTS[records.SourceMoved]),
            account=_one(_ACCOUNT),
            past=_many(_STRETCH),
        ),
        Layout("hold", records.HoldPlaced, pb.HoldPlaced),
        Layout("remembered", model.RememberedKept, pb.RememberedKept, inputs=PARENTS),
        Layout(
            "task",
            model.TaskKept,
            pb.TaskKept,
            inputs=MAP,
            outputs=MAP,
            extents=MAP,
            cursors=_many(_CURSOR),
            open=_many(LAYOUTS[records.SnapshotLeased]),
            committed=_many(LAYOUTS[records.SnapshotCommitted]),
            done_rows=MAP,
            recorded=MAP,
            failed=_many(LAYOUTS[records.SnapshotFailed]),
        ),
        Layout("group", model.GroupKept, pb.GroupKept, ahead=RANGES, leases=_many(LAYOUTS[records.GroupLeased]), acked=_TUPLE),
        Layout("producer", model.ProducerKept, pb.ProducerKept, answers=_many(_ANSWER)),
    )
}
_LAYOUTS: Mapping[type[Any], Layout] = {layout.record: layout for layout in _LAYOUT_OF_KIND.values()}
