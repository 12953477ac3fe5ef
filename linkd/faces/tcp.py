"""A TCP port of the gRPC server, beside its socket: plain, or with TLS, which may ask clients for a certificate."""

from __future__ import annotations

import grpc.aio

from linkd.core.listening import ListenAddress
from linkd.errors import InvalidArgument
from linkd.faces.tls import Tell, TlsFiles, server_credentials
from linkd.model.frozen import frozen


@frozen()
class TcpPort:
    """Where, and how."""

    address: ListenAddress
    tls: TlsFiles | None = None

    def bind(self, server: grpc.aio.Server, tell: Tell) -> ListenAddress:
        """The address with the port that it got; `tell` hears of certificates that were read again.

        Raises InvalidArgument for an address that cannot be had, or files that do not fit.
        """
        try:
            if self.tls is None:
                port = server.add_insecure_port(str(self.address))
            else:
                port = server.add_secure_port(str(self.address), server_credentials(self.tls, tell))
        except RuntimeError:
            raise InvalidArgument(
                f"cannot listen on {self.address}: it is no address of this machine, or another process has the port"
            ) from None
        return ListenAddress(self.address.host, port)
