"""Endpoints with encryption, `tls:HOST:PORT`, and what a program says of certificates by its environment:

LINKD_TLS_CA     a PEM file with those who sign the home's certificate; without it those that gRPC brings along
LINKD_TLS_CERT   the program's own certificate, for a home that asks for one, and LINKD_TLS_KEY its key
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from linkd.errors import InvalidArgument
from linkd.model.frozen import frozen

TLS = "tls:"
_CA, _CERTIFICATE, _KEY = "LINKD_TLS_CA", "LINKD_TLS_CERT", "LINKD_TLS_KEY"


@frozen()
class Certificates:
    """Contents of PEM files; None for what was not named."""

    authority: bytes | None
    certificate: bytes | None
    key: bytes | None


def is_tls(address: str) -> bool:
    return address.startswith(TLS)


def host_port(address: str) -> str:
    return address.removeprefix(TLS)


def tls_hint(address: str) -> str:
    """What else may be wrong where nobody answers, for the end of a message."""
    if not is_tls(address):
        return ""
    return f" Its certificate may not be one that this program trusts ({_CA}), or it wants to see one ({_CERTIFICATE}, {_KEY})."


def tls_files(environ: Mapping[str, str]) -> Certificates:
    """What the environment names. Raises InvalidArgument for a file that cannot be read, or half of a certificate."""
    if bool(environ.get(_CERTIFICATE)) != bool(environ.get(_KEY)):
        raise InvalidArgument(f"a certificate and its key go together: set both {_CERTIFICATE} and {_KEY}")
    return Certificates(*(_content(environ, name) for name in (_CA, _CERTIFICATE, _KEY)))


def _content(environ: Mapping[str, str], name: str) -> bytes | None:
    path = environ.get(name)
    if not path:
        return None
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise InvalidArgument(f"{name}: {path} cannot be read: {error.strerror}") from None
