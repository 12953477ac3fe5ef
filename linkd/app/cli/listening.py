"""Where `linkd serve` listens beside its socket, as its options say it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ListenOption = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT",
        help="Listen on TCP too, for whoever shows a token (the file `token` in the state directory). Port 0 is a free one.",
        show_default=False,
    ),
]
TlsCertOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Encrypt what goes over TCP: the certificate, in PEM.", show_default=False)
]
TlsKeyOption = Annotated[Path | None, typer.Option(metavar="FILE", help="The key of that certificate.", show_default=False)]
TlsClientCaOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Clients over TCP show a certificate that this one has signed.", show_default=False)
]
InsecureOption = Annotated[bool, typer.Option("--insecure", help="Listen beyond this machine without encryption.")]
HttpPortOption = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=65535,
        help="Serve /livez, /readyz and /metrics on it, on this machine only; a free port if not given.",
        show_default=False,
    ),
]
