from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkd.errors import InvalidArgument
from linkd.limits import FLIGHT_ASKED_MAX_BYTES
from linkd.wire.flight_tickets import LinkAsked, descriptor_in, link_asked, link_described, ticket_of
from linkd.wire.v1 import flight_pb2 as pb

NUMBERS = st.integers(0, 2**63 - 1)


@given(st.from_regex(r"[a-z][a-z0-9_]{0,39}(\.dead)?", fullmatch=True), NUMBERS, NUMBERS, NUMBERS)
def test_a_ticket_asks_for_what_it_was_made_for(link: str, generation: int, since: int, until: int) -> None:
    asked = LinkAsked(link, generation, since, until)
    assert link_asked(ticket_of(asked)) == asked
    assert asked.is_whole == (not since and not until)


def test_a_name_alone_asks_for_the_link_as_readers_see_it() -> None:
    assert link_asked(b"flown") == LinkAsked("flown")
    assert link_described(pb.FlightDescriptor(type=pb.FlightDescriptor.PATH, path=["flown"])) == LinkAsked("flown")
    assert link_described(pb.FlightDescriptor(type=pb.FlightDescriptor.CMD, cmd=b'{"link":"flown","since":3}')) == LinkAsked(
        "flown", since=3
    )


def test_a_command_says_how_it_writes() -> None:
    assert link_asked(b'{"link": "flown", "mode": "replace"}').replace
    assert link_asked(b'{"link": "flown", "mode": "replace", "rows": 0}').rows == 0
    assert not link_asked(b'{"link": "flown", "mode": "append"}').replace


REFUSED = {
    "nothing": b"",
    "no text": b"\xff\xfe",
    "half of it": b'{"link": ',
    "no link": b"{}",
    "a link that is a number": b'{"link": 3}',
    "a word that means nothing": b'{"link": "flown", "generations": 3}',
    "a number that is text": b'{"link": "flown", "since": "3"}',
    "a number that is a truth": b'{"link": "flown", "since": true}',
    "a number below all": b'{"link": "flown", "since": -1}',
    "a number above all": b'{"link": "flown", "until": 9223372036854775808}',
    "another mode": b'{"link": "flown", "mode": "upsert"}',
    "brackets without an end": b'{"link":' + b"[" * (FLIGHT_ASKED_MAX_BYTES - 10),
    "pages": b"f" * (FLIGHT_ASKED_MAX_BYTES + 1),
}


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED)
def test_what_means_nothing_is_refused_saying_what_to_write(data: bytes) -> None:
    with pytest.raises(InvalidArgument, match=r"a link's name, or JSON|`mode`"):
        link_asked(data)


def test_a_path_is_one_name() -> None:
    for path in ([], ["a", "b"]):
        with pytest.raises(InvalidArgument, match="the name of a link"):
            link_described(pb.FlightDescriptor(type=pb.FlightDescriptor.PATH, path=path))


def test_an_upload_begins_with_a_descriptor() -> None:
    for data in (b"", b"\xff"):
        with pytest.raises(InvalidArgument, match="descriptor"):
            descriptor_in(data)
