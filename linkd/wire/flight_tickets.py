"""What a Flight client asks for when it asks for a link: tickets and descriptors, read and made. Their format is that of flight.proto."""

from __future__ import annotations

import json
from typing import Any

from google.protobuf.message import DecodeError

from linkd.errors import InvalidArgument
from linkd.limits import FLIGHT_ASKED_MAX_BYTES
from linkd.model.frozen import frozen
from linkd.wire.v1 import flight_pb2 as pb

REPLACE = "replace"
_MODES = ("append", REPLACE)
_SEQUENCE_MAX = 2**63 - 1
_FORMS = 'a link\'s name, or JSON such as {"link": "flown", "generation": 3, "since": 40, "until": 50}'


@frozen()
class LinkAsked:
    """A link, or a part of it: a generation (0: the one that readers see), and a range of sequences (0: to that end).

    For DoPut: whether what comes takes the place of what there is, and how many rows that must be, if that is said.
    """

    link: str
    generation: int = 0
    since: int = 0
    until: int = 0
    replace: bool = False
    rows: int | None = None

    @property
    def is_whole(self) -> bool:
        return not (self.since or self.until)


def ticket_of(asked: LinkAsked) -> bytes:
    """The ticket that asks for it."""
    said = {"link": asked.link, "generation": asked.generation, "since": asked.since, "until": asked.until}
    return json.dumps({name: value for name, value in said.items() if value}, separators=(",", ":")).encode()


def link_asked(data: bytes) -> LinkAsked:
    """What a ticket, or the `cmd` of a descriptor, asks for. Raises InvalidArgument."""
    text = _text(data)
    if not text.startswith("{"):
        return LinkAsked(_name(text))
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidArgument(f"a ticket or command of Flight begins like JSON and is none; write {_FORMS}") from None
    unknown = sorted(set(said) - {"link", "generation", "since", "until", "mode", "rows"})
    if unknown:
        raise InvalidArgument(f"a ticket or command of Flight has {unknown[0][:40]!r}, which means nothing; write {_FORMS}")
    mode = said.get("mode", _MODES[0])
    if mode not in _MODES:
        raise InvalidArgument("the `mode` of a command of Flight is neither `append` nor `replace`")
    generation, since, until = (_number(said, name) for name in ("generation", "since", "until"))
    rows = _number(said, "rows") if "rows" in said else None
    return LinkAsked(_name(said.get("link")), generation, since, until, mode == REPLACE, rows)


def link_described(descriptor: pb.FlightDescriptor) -> LinkAsked:
    """What a descriptor asks for. Raises InvalidArgument."""
    if descriptor.type == pb.FlightDescriptor.CMD:
        return link_asked(descriptor.cmd)
    if len(descriptor.path) != 1:
        raise InvalidArgument(f"a descriptor of Flight with a path of {len(descriptor.path)} elements; it is one, the name of a link")
    return LinkAsked(_name(descriptor.path[0]))


def descriptor_of(link: str) -> pb.FlightDescriptor:
    """The descriptor that asks for a link as readers see it."""
    return pb.FlightDescriptor(type=pb.FlightDescriptor.PATH, path=[link])


def descriptor_in(data: bytes) -> pb.FlightDescriptor:
    """The descriptor with which a DoPut begins. Raises InvalidArgument."""
    if not data:
        raise InvalidArgument("a DoPut begins with the descriptor of what it is for: a path of one element, the name of a link")
    try:
        return pb.FlightDescriptor.FromString(data)
    except DecodeError:
        raise InvalidArgument("the descriptor of a DoPut is damaged") from None


def _text(data: bytes) -> str:
    if len(data) > FLIGHT_ASKED_MAX_BYTES:
        raise InvalidArgument(f"a ticket or command of Flight has {len(data):,} bytes; write {_FORMS}")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise InvalidArgument(f"a ticket or command of Flight is neither text nor a command of Flight SQL; write {_FORMS}") from None


def _name(said: object) -> str:
    if not isinstance(said, str) or not said:
        raise InvalidArgument(f"a ticket or command of Flight names no link; write {_FORMS}")
    return said


def _number(said: dict[str, Any], name: str) -> int:
    number = said.get(name, 0)
    if type(number) is not int or not 0 <= number <= _SEQUENCE_MAX:
        raise InvalidArgument(f"the `{name}` of a ticket or command of Flight is no whole number; write {_FORMS}")
    return int(number)
