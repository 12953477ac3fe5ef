"""Where a home listens for programs on other machines, and when that may be without encryption. Pure."""

from __future__ import annotations

import ipaddress
import re

from linkd.errors import UsageFault
from linkd.model.frozen import frozen

_LISTEN = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9._-]+)):(?P<port>[0-9]{1,5})")
_PORT_MAX = 65_535


@frozen()
class ListenAddress:
    """A host, which is an address of this machine or a name of one, and a port; 0 is a free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether nobody else's machine gets there. Of names only `localhost` is known to be so."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


def listen_address(text: str) -> ListenAddress:
    """The address that `HOST:PORT` or `[IPv6]:PORT` says. Raises UsageFault."""
    found = _LISTEN.fullmatch(text)
    if found is None or int(found["port"]) > _PORT_MAX:
        raise UsageFault(f"--listen {text}: write HOST:PORT, e.g. 127.0.0.1:32010, or [::]:32010; port 0 is a free one")
    return ListenAddress(found["six"] or found["host"], int(found["port"]))


def check_encryption(address: ListenAddress, *, has_certificate: bool, insecure: bool) -> None:
    """Raises UsageFault where tokens and rows would cross a network as they are, and nobody said that they may."""
    if has_certificate and insecure:
        raise UsageFault("--insecure says that there is no encryption, and --tls-cert that there is: give one of them")
    if not has_certificate and not insecure and not address.is_loopback:
        raise UsageFault(
            f"--listen {address} reaches beyond this machine, where tokens and rows would travel unencrypted: give --tls-cert and --tls-key, "
            "or --insecure if something else protects that network"
        )
