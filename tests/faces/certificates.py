"""Certificates for tests, made by the `openssl` of the machine: an authority, and pairs that it has signed."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, as files."""

    certificate: Path
    key: Path


def authority(directory: Path) -> Pair:
    """One that signs others."""
    pair = Pair(directory / "ca.pem", directory / "ca.key")
    _openssl("req", "-x509", *_new_key(pair.key), "-subj", "/CN=authority", "-days", "2", "-out", pair.certificate)
    return pair


def signed(directory: Path, name: str, by: Pair) -> Pair:
    """One of this name, good for 127.0.0.1 and localhost."""
    pair = Pair(directory / f"{name}.pem", directory / f"{name}.key")
    extension = "subjectAltName=DNS:localhost,IP:127.0.0.1"
    signing = ("-CA", by.certificate, "-CAkey", by.key, "-addext", extension, "-addext", "basicConstraints=critical,CA:FALSE")
    _openssl("req", "-x509", *_new_key(pair.key), "-subj", f"/CN={name}", "-days", "2", "-out", pair.certificate, *signing)
    return pair


def _new_key(path: Path) -> tuple[object, ...]:
    return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", path)


def _openssl(*words: object) -> None:
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)
