"""Where a home may listen, and where only with encryption."""

from __future__ import annotations

import pytest

from linkd.core.listening import ListenAddress, check_encryption, listen_address
from linkd.errors import UsageFault


@pytest.mark.parametrize(
    ("text", "host", "port", "is_loopback"),
    [
        ("127.0.0.1:32010", "127.0.0.1", 32010, True),
        ("127.9.9.9:0", "127.9.9.9", 0, True),
        ("localhost:1", "localhost", 1, True),
        ("[::1]:65535", "::1", 65535, True),
        ("0.0.0.0:80", "0.0.0.0", 80, False),
        ("[::]:80", "::", 80, False),
        ("linkd.example:80", "linkd.example", 80, False),
    ],
)
def test_an_address_is_read_as_it_is_shown(text: str, host: str, port: int, is_loopback: bool) -> None:
    address = listen_address(text)
    assert (address.host, address.port, address.is_loopback, str(address)) == (host, port, is_loopback, text)


@pytest.mark.parametrize("text", ["", "32010", "host", ":1", "host:", "host:65536", "::1:80", "grpc://host:1", "ho st:1", "host:-1"])
def test_what_is_no_address_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageFault, match=r"write HOST:PORT, e\.g\. 127.0.0.1:32010"):
        listen_address(text)


def test_without_a_certificate_it_stays_on_this_machine_unless_that_is_said() -> None:
    here, everywhere = ListenAddress("::1", 0), ListenAddress("0.0.0.0", 0)
    for address, has_certificate, insecure in (
        (here, False, False),
        (here, False, True),
        (everywhere, True, False),
        (everywhere, False, True),
    ):
        check_encryption(address, has_certificate=has_certificate, insecure=insecure)
    with pytest.raises(UsageFault, match="reaches beyond this machine, where tokens and rows would travel unencrypted: give --tls-cert"):
        check_encryption(everywhere, has_certificate=False, insecure=False)
    with pytest.raises(UsageFault, match="give one of them"):
        check_encryption(everywhere, has_certificate=True, insecure=True)
