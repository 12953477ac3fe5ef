"""A TCP port of the gRPC server, beside its socket: plain, or with TLS, which may ask clients for a certificate."""

from __future__ import annotations

from pathlib import Path

import grpc
import grpc.aio

from linkd.core.listening import ListenAddress
from linkd.errors import InvalidArgument
from linkd.model.frozen import frozen


@frozen()
class TlsFiles:
    """PEM files: the chain of the home's certificate, its key, and who signs the certificates that every client then has to show."""

    certificate: Path
    key: Path
    client_ca: Path | None = None


@frozen()
class TcpPort:
    """Where, and how. Files are read when it is bound."""

    address: ListenAddress
    tls: TlsFiles | None = None

    def bind(self, server: grpc.aio.Server) -> ListenAddress:
        """The address with the port that it got. Raises InvalidArgument for an address that cannot be had, or files that do not fit."""
        try:
            if self.tls is None:
                port = server.add_insecure_port(str(self.address))
            else:
                port = server.add_secure_port(str(self.address), _credentials(self.tls))
        except RuntimeError:
            raise InvalidArgument(
                f"cannot listen on {self.address}: it is no address of this machine, or another process has the port"
            ) from None
        return ListenAddress(self.address.host, port)


def _credentials(files: TlsFiles) -> grpc.ServerCredentials:
    import ssl  # a MiB that a home on a socket does not need

    pair = _content(files.key, "the key"), _content(files.certificate, "the certificate")
    authority = _content(files.client_ca, "the certificate of who signs clients") if files.client_ca is not None else None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(files.certificate, files.key, password=_no_password)
    except (ssl.SSLError, ValueError) as error:
        raise InvalidArgument(f"{files.certificate} and {files.key} are not a certificate and its key in PEM: {_reason(error)}") from None
    if authority is not None:
        try:
            context.load_verify_locations(files.client_ca)
        except ssl.SSLError as error:
            raise InvalidArgument(f"{files.client_ca} has no certificate in PEM: {_reason(error)}") from None
    return grpc.ssl_server_credentials([pair], authority, require_client_auth=authority is not None)


def _no_password() -> str:
    raise ValueError("the key is encrypted: give one without a password, readable by linkd alone")


def _content(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidArgument(f"{path}, {what}, cannot be read: {error.strerror}") from None


def _reason(error: Exception) -> str:
    return getattr(error, "reason", None) or str(error)
