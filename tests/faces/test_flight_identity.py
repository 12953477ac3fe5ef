"""Who calls Flight, and what they may do: tokens in every place where a client may put one."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path

import pyarrow as pa
import pytest
import pytest_asyncio
from flight_clients import PIPELINE, get, put, shown, with_client
from pyarrow import flight

from linkd.telemetry.events import CallRefused
from linkd.testing.home import InProcessHome, running_home
from linkd.wire.v1 import flight_pb2 as pb

NUMBERS = pa.table({"n": [1, 2]})
Refused = (flight.FlightUnauthorizedError, OSError)
"""How pyarrow tells PERMISSION_DENIED: the second one while it reads a stream."""


@pytest_asyncio.fixture
async def home(tmp_path: Path) -> AsyncIterator[InProcessHome]:
    async with running_home(tmp_path / "state", layout=PIPELINE) as home:
        yield home


class TokenHandler(flight.ClientAuthHandler):
    """Logs in with a payload, and shows what it was answered."""

    def __init__(self, payload: bytes) -> None:
        super().__init__()
        self.payload = payload
        self.answer = b""

    def authenticate(self, outgoing: object, incoming: object) -> None:
        outgoing.write(self.payload)  # type: ignore[attr-defined]
        self.answer = incoming.read()  # type: ignore[attr-defined]

    def get_token(self) -> bytes:
        return self.answer


async def test_without_a_token_one_is_an_outsider_who_appends_where_that_is_allowed(home: InProcessHome) -> None:
    def work(client: flight.FlightClient) -> None:
        put(client, "numbers", NUMBERS)
        assert get(client, "numbers") == NUMBERS
        assert get(client, "doubled") == pa.table({}), "reading is allowed to all who reach the socket"
        with pytest.raises(Refused, match=r"doubled is written by the pipeline itself; .* write `doubled\*`"):
            put(client, "doubled", NUMBERS)
        with pytest.raises(Refused, match="append to it instead of replacing it"):
            put(client, "numbers", NUMBERS, mode="replace")
        with pytest.raises(Refused, match="linkd itself seals numbers"):
            list(client.do_action(flight.Action("linkd.seal", b"numbers")))

    await with_client(home, work)
    refused = [event for event in home.events.heard if isinstance(event, CallRefused)]
    assert [(event.operation, event.link) for event in refused] == [("publish", "doubled"), ("publish", "numbers"), ("seal", "numbers")]


async def test_a_task_reads_its_inputs_and_nothing_else(home: InProcessHome) -> None:
    double = shown(home.token("double"))

    def work(client: flight.FlightClient) -> None:
        put(client, "numbers", NUMBERS)
        assert get(client, "numbers", double) == NUMBERS
        for ask in (
            lambda: get(client, "others", double),
            lambda: client.get_flight_info(flight.FlightDescriptor.for_path("others"), double),
            lambda: client.get_schema(flight.FlightDescriptor.for_path("others"), double),
        ):
            with pytest.raises(Refused, match=r"double may not read others: its wiring names other inputs \(numbers\)"):
                ask()
        assert client.get_schema(flight.FlightDescriptor.for_path("doubled"), double).schema == pa.schema([]), "it may know its output"
        assert [info.descriptor.path for info in client.list_flights(options=double)] == [[b"numbers"]]
        descriptor = flight.FlightDescriptor.for_path("doubled")
        writer, _ = client.do_put(descriptor, NUMBERS.schema, double)
        with pytest.raises(Refused, match="through its snapshots only"), writer:
            writer.write_table(NUMBERS)

    await with_client(home, work)


async def test_a_token_is_shown_as_bearer_as_password_or_by_a_handshake(home: InProcessHome) -> None:
    token = home.token("double")

    def refused(client: flight.FlightClient, options: flight.FlightCallOptions | None = None) -> None:
        with pytest.raises(Refused, match="double may not read others"):
            get(client, "others", options)

    def work(client: flight.FlightClient) -> None:
        refused(client, shown(token))
        basic = base64.b64encode(f"anybody:{token}".encode()).decode()
        refused(client, flight.FlightCallOptions(headers=[(b"authorization", f"Basic {basic}".encode())]))
        bearer = client.authenticate_basic_token("anybody", token)
        assert bearer == (b"authorization", f"Bearer {token}".encode())
        refused(client, flight.FlightCallOptions(headers=[bearer]))

    await with_client(home, work)
    for payload in (token.encode(), pb.FlightBasicAuth(username="anybody", password=token).SerializeToString()):

        def log_in(client: flight.FlightClient, payload: bytes = payload) -> None:
            handler = TokenHandler(payload)
            client.authenticate(handler)
            assert handler.answer == token.encode()
            refused(client)

        await with_client(home, log_in)


async def test_a_token_that_is_none_or_of_an_earlier_run_opens_nothing(home: InProcessHome) -> None:
    old = home.token("double")

    def work(client: flight.FlightClient) -> None:
        for options in (shown("1.double.0000"), shown("rubbish"), flight.FlightCallOptions(headers=[(b"authorization", b"Basic %%%")])):
            for call in (lambda o=options: get(client, "numbers", o), lambda o=options: list(client.list_flights(options=o))):
                with pytest.raises((*Refused, pa.ArrowInvalid), match=r"not given out by this home|base64 of"):
                    call()
        with pytest.raises(Refused, match="not given out by this home"):
            client.authenticate_basic_token("anybody", "guess")
        with pytest.raises(Refused, match="not given out by this home"):
            client.authenticate(TokenHandler(b"guess"))
        with pytest.raises(pa.ArrowInvalid, match="BasicAuth of a Handshake"):
            client.authenticate(TokenHandler(b"\x12\xff"))

    await with_client(home, work)
    home.home.new_epoch()
    with pytest.raises((*Refused, pa.ArrowInvalid), match="this token is of run 1, and run 2 has begun"):
        await with_client(home, lambda client: get(client, "numbers", shown(old)))
