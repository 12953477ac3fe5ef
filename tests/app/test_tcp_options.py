"""What `linkd serve` is told of TCP goes together, or is refused before anything is begun."""

from __future__ import annotations

from pathlib import Path

import pytest

from linkd.app.tcp_options import tcp_port
from linkd.core.listening import ListenAddress
from linkd.errors import UsageFault
from linkd.faces.tcp import TcpPort
from linkd.faces.tls import TlsFiles

CERTIFICATE, KEY, CA = Path("home.pem"), Path("home.key"), Path("ca.pem")


def test_what_goes_together_is_a_port_and_nothing_said_is_none() -> None:
    assert tcp_port(None, None, None, None, insecure=False) is None
    assert tcp_port("127.0.0.1:0", None, None, None, insecure=False) == TcpPort(ListenAddress("127.0.0.1", 0))
    everywhere = ListenAddress("0.0.0.0", 32010)
    assert tcp_port("0.0.0.0:32010", None, None, None, insecure=True) == TcpPort(everywhere)
    assert tcp_port("0.0.0.0:32010", CERTIFICATE, KEY, CA, insecure=False) == TcpPort(everywhere, TlsFiles(CERTIFICATE, KEY, CA))


@pytest.mark.parametrize(
    ("listen", "certificate", "key", "client_ca", "insecure", "said"),
    [
        (None, CERTIFICATE, KEY, None, False, "are about --listen HOST:PORT, which is not given"),
        (None, None, None, None, True, "are about --listen"),
        ("127.0.0.1:0", CERTIFICATE, None, None, False, "give both --tls-cert and --tls-key"),
        ("127.0.0.1:0", None, None, CA, False, "takes --tls-cert and --tls-key of linkd's own"),
        ("0.0.0.0:0", None, None, None, False, "reaches beyond this machine"),
        ("somewhere", None, None, None, False, "write HOST:PORT"),
    ],
)
def test_what_does_not_is_refused_with_what_to_give(
    listen: str | None, certificate: Path | None, key: Path | None, client_ca: Path | None, insecure: bool, said: str
) -> None:
    with pytest.raises(UsageFault, match=said):
        tcp_port(listen, certificate, key, client_ca, insecure=insecure)
