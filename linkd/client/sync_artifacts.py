"""The synchronous face of artifacts: see `client.sync`."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import overload

from linkd.client import session
from linkd.client.artifact_sources import Content
from linkd.client.artifacts import Artifact, Target
from linkd.client.loop_thread import LOOP_THREAD
from linkd.client.values import Value


class ArtifactCalls:
    """What a client does with artifacts."""

    _inner: session.Client

    def put_artifact(self, content: Content, *, name: str = "", media_type: str = "") -> Artifact:
        """Keeps content under its digest, durably: bytes, a file or directory by its path, or an open binary file from where it stands.

        The same content is stored once. What no value names yet stays for ten minutes at least, and then as long as there is room; publish it:
        `client.publish("photos", artifact)`. Of any size, in bounded memory; goes on where it stood when linkd is restarted. Raises NotAllowed for
        who may not publish anything, Overloaded where there is no room, SourceChanged for a file that somebody writes to.
        """
        return LOOP_THREAD.run(self._inner.put_artifact, content, name=name, media_type=media_type)

    def put_artifacts(self, contents: Iterable[Content]) -> list[Artifact]:
        """As `put_artifact` of each, many at once: small ones are made durable together, thousands in a second."""
        return LOOP_THREAD.run(self._inner.put_artifacts, contents)

    @overload
    def get_artifact(self, artifact: Artifact | str, to: None = None, *, start: int = 0, end: int | None = None) -> bytes: ...

    @overload
    def get_artifact(self, artifact: Artifact | str, to: Target, *, start: int = 0, end: int | None = None) -> int: ...

    def get_artifact(self, artifact: Artifact | str, to: Target | None = None, *, start: int = 0, end: int | None = None) -> bytes | int:
        """The content of an artifact, or of its digest: in memory, or written to a path or an open binary file; then how many bytes were.

        `start` and `end` (not included) ask for a part of it. Nothing is given that is not what was put; a file has its name when all of it is
        there. Of a directory this is the list of its files: see `save`. Raises LinkNotFound, InvalidArgument for bytes it does not have,
        StateDamaged.
        """
        if to is None:
            return LOOP_THREAD.run(self._inner.get_artifact, artifact, None, start=start, end=end)
        return LOOP_THREAD.run(self._inner.get_artifact, artifact, to, start=start, end=end)

    def artifacts_there(self, digests: Iterable[str]) -> list[str]:
        """Those of these digests that linkd has; they stay for ten minutes at least."""
        return LOOP_THREAD.run(self._inner.artifacts_there, digests)

    def save(self, artifact: Artifact | Value, path: str | os.PathLike[str]) -> Path:
        """Writes an artifact, or a value that is a file, to `path`: a file, or a directory that is not there yet. Returns the path."""
        return LOOP_THREAD.run(self._inner.save, artifact, path)
