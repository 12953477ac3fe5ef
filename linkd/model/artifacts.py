"""Artifacts: content that is named by its digest, and how a value names one."""

from __future__ import annotations

from linkd.model.frozen import frozen


@frozen()
class ArtifactKept:
    """What is known of an artifact that is there. `digest` is the BLAKE3 of its bytes; of a directory these are its list (`core.file_lists`)."""

    digest: bytes
    size_bytes: int
    is_directory: bool = False


@frozen()
class ArtifactReference:
    """What a value says of an artifact that it names (`core.artifact_references`).

    Of a file that is a value `name` is set; of content that a cell is to hold `column`. `size_bytes` is that of the content, or of all files
    of a directory.
    """

    digest: bytes
    size_bytes: int
    name: str = ""
    media_type: str = ""
    is_directory: bool = False
    column: str = ""
