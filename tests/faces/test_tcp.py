"""A home that listens on TCP: who is answered there, and who is not."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path

import pyarrow as pa
import pytest
from adbc_driver_flightsql import DatabaseOptions, dbapi
from certificates import Pair, authority, signed
from flight_clients import PIPELINE, shown, with_client
from pyarrow import flight

from linkd.aio import connect
from linkd.core.listening import ListenAddress
from linkd.errors import ConnectionFailed, InvalidArgument, NotAllowed
from linkd.faces.tcp import TcpPort
from linkd.faces.tls import TlsFiles
from linkd.limits import GRPC_MESSAGE_MAX_BYTES
from linkd.telemetry.events import CertificateReplaced
from linkd.testing.home import running_home

HERE = ListenAddress("127.0.0.1", 0)
pytestmark = pytest.mark.xdist_group("adbc")


async def test_over_the_network_a_token_is_shown_and_rights_are_those_of_its_bearer(tmp_path: Path) -> None:
    async with running_home(tmp_path / "state", layout=PIPELINE, tcp=TcpPort(HERE)) as home:
        address = str(home.face.tcp)
        outsider, double = home.home.tokens.outsider(), home.token("double")
        async with connect(address, token=outsider, timeout_s=5) as client:
            await client.publish("numbers", [{"n": 1}])
            assert await client.query("SELECT n FROM numbers").rows() == [{"n": 1}]
            with pytest.raises(NotAllowed):
                await client.publish("doubled", [{"n": 2}])
        for token in ("", "0.@outsider.00000000000000000000000000000000"):
            async with connect(address, token=token, timeout_s=5) as client:
                with pytest.raises(NotAllowed, match=r"show a token|not given out by this home"):
                    await client.read("numbers").rows()

        def read(client: flight.FlightClient) -> None:
            ticket = flight.Ticket("numbers")
            assert client.do_get(ticket, shown(double)).read_all().to_pylist() == [{"n": 1}]
            assert [info.descriptor.path for info in client.list_flights(options=shown(double))] == [[b"numbers"]]
            for refused in (
                lambda: client.do_get(ticket).read_all(),
                lambda: list(client.list_flights()),
                lambda: list(client.list_actions()),
            ):
                with pytest.raises(flight.FlightUnauthorizedError, match="over the network linkd answers those who show a token"):
                    refused()
            too_large = flight.FlightDescriptor.for_command(bytes(GRPC_MESSAGE_MAX_BYTES))
            with pytest.raises(pa.ArrowInvalid, match="but for the batches of a DoPut at most"):
                client.get_flight_info(too_large, shown(double))

        await with_client(home, read, f"grpc://{address}")
        async with connect(home.endpoint) as client:  # who can open the socket needs none
            assert await client.read("numbers").rows() == [{"n": 1}]
        with pytest.raises(InvalidArgument, match=rf"cannot listen on {address}: it is no address of this machine, or another process has"):
            await running_home(tmp_path / "other", tcp=TcpPort(listening(address))).__aenter__()


def listening(address: str) -> ListenAddress:
    host, _, port = address.rpartition(":")
    return ListenAddress(host, int(port))


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Pair]:
    directory = tmp_path_factory.mktemp("certificates")
    ca = authority(directory)
    return {"ca": ca, "home": signed(directory, "home", ca), "client": signed(directory, "client", ca)}


async def test_with_tls_clients_trust_the_certificate_and_show_a_token(
    tmp_path: Path, certificates: dict[str, Pair], monkeypatch: pytest.MonkeyPatch
) -> None:
    ca, pair = certificates["ca"].certificate, certificates["home"]
    async with running_home(tmp_path / "state", tcp=TcpPort(HERE, TlsFiles(pair.certificate, pair.key))) as home:
        address, token = str(home.face.tcp), home.home.tokens.outsider()
        monkeypatch.setenv("LINKD_TLS_CA", str(ca))
        async with connect(f"tls:{address}", token=token) as client:
            await client.publish("t", [{"n": 1}])
            async with aclosing(aiter(client.read("t"))) as values:
                assert [value.rows() async for value in values] == [[{"n": 1}]]
        async with connect(f"tls:{address}") as client:
            with pytest.raises(NotAllowed, match="show a token"):
                await client.read("t").rows()
        monkeypatch.delenv("LINKD_TLS_CA")
        with pytest.raises(ConnectionFailed, match="Its certificate may not be one that this program trusts"):
            await connect(f"tls:{address}", token=token, timeout_s=0.2)
        options = {
            DatabaseOptions.AUTHORIZATION_HEADER.value: f"Bearer {token}",
            DatabaseOptions.TLS_ROOT_CERTS.value: ca.read_text(),
        }

        def select() -> list[tuple[int]]:
            with (
                dbapi.connect(f"grpc+tls://{address}", db_kwargs=options, autocommit=True) as connection,
                connection.cursor() as cursor,
            ):
                rows: list[tuple[int]] = cursor.execute("SELECT n + 1 FROM t").fetchall()
                return rows

        assert await asyncio.to_thread(select) == [(2,)]


async def test_where_clients_are_asked_for_certificates_one_is_as_good_as_a_token(
    tmp_path: Path, certificates: dict[str, Pair], monkeypatch: pytest.MonkeyPatch
) -> None:
    ca, pair, own = certificates["ca"].certificate, certificates["home"], certificates["client"]
    async with running_home(tmp_path / "state", tcp=TcpPort(HERE, TlsFiles(pair.certificate, pair.key, ca))) as home:
        address = f"tls:{home.face.tcp}"
        monkeypatch.setenv("LINKD_TLS_CA", str(ca))
        with pytest.raises(ConnectionFailed, match="or it wants to see one"):
            await connect(address, token=home.home.tokens.outsider(), timeout_s=0.2)
        monkeypatch.setenv("LINKD_TLS_CERT", str(own.certificate))
        with pytest.raises(InvalidArgument, match="set both LINKD_TLS_CERT and LINKD_TLS_KEY"):
            await connect(address, timeout_s=0.2)
        monkeypatch.setenv("LINKD_TLS_KEY", str(own.key))
        async with connect(address) as client:
            assert (await client.publish("t", [{"n": 1}])).name == "t@1"


async def test_files_that_are_replaced_hold_for_new_connections_if_they_fit(
    tmp_path: Path, certificates: dict[str, Pair], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = authority(tmp_path)
    pair, another = (signed(tmp_path, name, by) for name, by in (("shown", certificates["ca"]), ("another", other)))
    async with running_home(tmp_path / "state", tcp=TcpPort(HERE, TlsFiles(pair.certificate, pair.key))) as home:
        address, token = f"tls:{home.face.tcp}", home.home.tokens.outsider()

        async def is_trusted(by: Pair) -> bool:
            monkeypatch.setenv("LINKD_TLS_CA", str(by.certificate))
            try:
                async with connect(address, token=token, timeout_s=0.5):
                    return True
            except ConnectionFailed:
                return False

        assert await is_trusted(certificates["ca"])
        pair.certificate.write_bytes(another.certificate.read_bytes())
        assert await is_trusted(certificates["ca"])  # its key is not there yet
        another.key.replace(pair.key)
        assert await is_trusted(other)
        assert not await is_trusted(certificates["ca"])
    told = [event.detail for event in home.events.heard if isinstance(event, CertificateReplaced)]
    assert "are not a certificate and its key in PEM" in told[0]
    assert told[-1] == ""


@pytest.mark.parametrize(
    ("certificate", "key", "client_ca", "message"),
    [
        ("home.pem", "none.key", None, "none.key, the key, cannot be read: No such file or directory"),
        ("home.pem", "client.key", None, "are not a certificate and its key in PEM"),
        ("home.key", "home.key", None, "are not a certificate and its key in PEM"),
        ("home.pem", "home.key", "home.key", "has no certificate in PEM"),
    ],
)
async def test_files_that_do_not_fit_are_named_before_anything_listens(
    tmp_path: Path, certificates: dict[str, Pair], certificate: str, key: str, client_ca: str | None, message: str
) -> None:
    directory = certificates["home"].key.parent
    files = TlsFiles(directory / certificate, directory / key, directory / client_ca if client_ca is not None else None)
    with pytest.raises(InvalidArgument, match=message):
        await running_home(tmp_path / "state", tcp=TcpPort(HERE, files)).__aenter__()
