"""Values that are files, for `linkd cat`: their bytes to standard output or to a file, a directory to a directory."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from linkd.app.wording import size_text
from linkd.client.artifacts import Artifact
from linkd.core.artifact_references import file_of
from linkd.errors import UsageFault

if TYPE_CHECKING:
    from linkd.client.sync import Client
    from linkd.model.values import Envelope

STANDARD_OUTPUT = "-"


def file_in(envelope: Envelope) -> Artifact | None:
    """The file or directory that a value is; None for a value of rows."""
    return Artifact.of(envelope) if file_of(envelope.attributes) is not None else None


def deliver_file(client: Client, shown: str, file: Artifact, output: str | None) -> str:
    """Writes it, and says what was made of it; "" for standard output. Raises UsageFault for what a pipe or a terminal cannot take."""
    if output is not None and output != STANDARD_OUTPUT:
        path = client.save(file, Path(output))
        return f"{size_text(file.size_bytes)} in {path}{os.sep if file.is_directory else ''}"
    if file.is_directory:
        raise UsageFault(f"{shown} is a directory, {file.name}: name the one to make with -o")
    if sys.stdout.isatty():
        raise UsageFault(
            f"{shown} is a file, {file.name} of {size_text(file.size_bytes)}: name a file with -o, or send it on with `>` or `|`"
        )
    sys.stdout.flush()
    client.get_artifact(file, sys.stdout.buffer)
    sys.stdout.buffer.flush()
    return ""
