"""The certificate that a TCP port shows. Files that change hold for the connections that come behind: nothing is started anew for them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc

from linkd.errors import InvalidArgument
from linkd.model.frozen import frozen

Tell = Callable[[Path, str], None]
"""Told of a certificate that was read again, with what is wrong with it or "". Called in a thread of gRPC's."""


@frozen()
class TlsFiles:
    """PEM files: the chain of the home's certificate, its key, and who signs the certificates that every client then has to show."""

    certificate: Path
    key: Path
    client_ca: Path | None = None


def server_credentials(files: TlsFiles, tell: Tell) -> grpc.ServerCredentials:
    """What gRPC shows to whom. Raises InvalidArgument for files that do not fit; those that come later and do not fit are told of, and not shown."""
    shown = _Shown(files, tell)
    renewed: Any = shown.renewed  # the types of gRPC do not know that it may give None, its documentation does
    return grpc.dynamic_ssl_server_credentials(shown.first, renewed, files.client_ca is not None)


class _Shown:
    """gRPC asks for what is `renewed` before each handshake."""

    def __init__(self, files: TlsFiles, tell: Tell) -> None:
        self._files = files
        self._tell = tell
        self._stamps = _stamps(files)
        self.first = _configuration(files)

    def renewed(self) -> grpc.ServerCertificateConfiguration | None:
        stamps = _stamps(self._files)
        if stamps == self._stamps:
            return None
        self._stamps = stamps
        try:
            renewed = _configuration(self._files)
        except InvalidArgument as error:  # also between the two files of a pair: the next connection looks again
            self._tell(self._files.certificate, error.message)
            return None
        self._tell(self._files.certificate, "")
        return renewed


def _stamps(files: TlsFiles) -> list[tuple[int, int, int] | None]:
    """What tells that a file was replaced, or written to."""
    stamps: list[tuple[int, int, int] | None] = []
    for path in (files.certificate, files.key, files.client_ca):
        try:
            found = path.stat() if path is not None else None
        except OSError:
            found = None
        stamps.append((found.st_ino, found.st_mtime_ns, found.st_size) if found is not None else None)
    return stamps


def _configuration(files: TlsFiles) -> grpc.ServerCertificateConfiguration:
    import ssl  # a MiB that a home on a socket does not need

    pair = _content(files.key, "the key"), _content(files.certificate, "the certificate")
    authority = _content(files.client_ca, "the certificate of who signs clients") if files.client_ca is not None else None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(files.certificate, files.key, password=_no_password)
    except (ssl.SSLError, OSError, ValueError) as error:
        raise InvalidArgument(f"{files.certificate} and {files.key} are not a certificate and its key in PEM: {_reason(error)}") from None
    if authority is not None:
        try:
            context.load_verify_locations(files.client_ca)
        except (ssl.SSLError, OSError) as error:
            raise InvalidArgument(f"{files.client_ca} has no certificate in PEM: {_reason(error)}") from None
    return grpc.ssl_server_certificate_configuration([pair], authority)


def _no_password() -> str:
    raise ValueError("the key is encrypted: give one without a password, readable by linkd alone")


def _content(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidArgument(f"{path}, {what}, cannot be read: {error.strerror}") from None


def _reason(error: Exception) -> str:
    return getattr(error, "reason", None) or str(error)
