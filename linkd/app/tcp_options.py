"""What `linkd serve` was told of TCP, checked before anything is begun."""

from __future__ import annotations

from pathlib import Path

from linkd.core.listening import check_encryption, listen_address
from linkd.errors import UsageFault
from linkd.faces.tcp import TcpPort
from linkd.faces.tls import TlsFiles


def tcp_port(listen: str | None, certificate: Path | None, key: Path | None, client_ca: Path | None, *, insecure: bool) -> TcpPort | None:
    """The port to listen on, if there is to be one. Raises UsageFault for what does not go together."""
    if listen is None:
        if certificate or key or client_ca or insecure:
            raise UsageFault("--tls-cert, --tls-key, --tls-client-ca and --insecure are about --listen HOST:PORT, which is not given")
        return None
    if (certificate is None) != (key is None):
        raise UsageFault("a certificate and its key go together: give both --tls-cert and --tls-key")
    if client_ca is not None and certificate is None:
        raise UsageFault("--tls-client-ca asks clients for a certificate, which takes --tls-cert and --tls-key of linkd's own")
    address = listen_address(listen)
    check_encryption(address, has_certificate=certificate is not None, insecure=insecure)
    tls = TlsFiles(certificate, key, client_ca) if certificate is not None and key is not None else None
    return TcpPort(address, tls)
