"""How a value names artifacts: the attribute `linkd.artifacts` of its envelope (proto/linkd/v1/artifacts.proto specifies it for clients).

The attribute is a JSON list without white space; each element is an object with these keys, of which those that are empty are left out:

    digest       64 hexadecimal digits, the BLAKE3 of the content; of a directory that of its list (`core.file_lists`)
    size         bytes: of the content; of a directory those of all its files
    name         of a file or directory that is the value; never a path
    type         its media type
    directory    true for a directory
    column       of content that a cell is: the column, of text or bytes, in which `cell_text` of it stands for the content

A key that a reader does not know means nothing to it.

A value is a file (or a directory) if its list has one element, which has a name. Its payload is then one row that says the same to who reads links
as tables (`FILE_COLUMNS`); what counts is the attribute. As long as the value is kept, so are the artifacts that it names.

A cell that is too large for a value is an artifact: in its place the payload has `linkd:artifact:DIGEST:SIZE`. That means something only in the
column for which the attribute of this very value names that artifact; everywhere else it is a text like any other.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from linkd.core.artifacts import digest_of
from linkd.errors import InvalidArgument, ValueTooLarge
from linkd.limits import ARTIFACT_NAME_MAX_BYTES, ARTIFACT_REFERENCES_MAX
from linkd.model.artifacts import ArtifactReference

ATTRIBUTE = "linkd.artifacts"
CELL_PREFIX = "linkd:artifact:"
FILE_COLUMNS = ("name", "size_bytes", "media_type", "digest", "is_directory")


def references_of(attributes: Mapping[str, str]) -> tuple[ArtifactReference, ...]:
    """The artifacts that a value with these attributes names. Raises InvalidArgument for what is no such list."""
    text = attributes.get(ATTRIBUTE)
    if not text:
        return ()
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as problem:
        raise InvalidArgument(f"the attribute {ATTRIBUTE} cannot be read: {problem}") from None
    if not isinstance(found, list) or not 0 < len(found) <= ARTIFACT_REFERENCES_MAX:
        raise InvalidArgument(f"the attribute {ATTRIBUTE} is a list of 1 to {ARTIFACT_REFERENCES_MAX} artifacts")
    return tuple(_reference(one) for one in found)


def attribute_of(references: Iterable[ArtifactReference]) -> dict[str, str]:
    """The attribute of a value that names these. Raises ValueTooLarge for too many, InvalidArgument for what cannot be a name."""
    said = [_said(one) for one in references]
    if len(said) > ARTIFACT_REFERENCES_MAX:
        raise ValueTooLarge(
            f"a value names {ARTIFACT_REFERENCES_MAX} artifacts at most, and this one {len(said):,}: publish it as several values"
        )
    return {ATTRIBUTE: json.dumps(said, separators=(",", ":"), ensure_ascii=False)}


def file_of(attributes: Mapping[str, str]) -> ArtifactReference | None:
    """The file or directory that a value with these attributes is; None for a value that is none."""
    references = references_of(attributes)
    return references[0] if len(references) == 1 and references[0].name else None


def cells_of(attributes: Mapping[str, str]) -> tuple[ArtifactReference, ...]:
    """The artifacts that cells of a value with these attributes are; none for nearly every value."""
    if ATTRIBUTE not in attributes:
        return ()
    return tuple(one for one in references_of(attributes) if one.column)


def cell_text(reference: ArtifactReference) -> str:
    """What stands in a cell that is this artifact."""
    return f"{CELL_PREFIX}{reference.digest.hex()}:{reference.size_bytes}"


def check_file_name(name: str) -> str:
    """The name itself. Raises InvalidArgument for one that is no name of a file: empty, a path, `.` or `..`, with control characters, or too long."""
    size_bytes = len(name.encode(errors="surrogatepass"))
    if not name or name in (".", "..") or "/" in name or "\\" in name or any(ord(char) < 0x20 for char in name):
        raise InvalidArgument(
            f"{name[:80]!r} cannot be the name of a file: it has no `/`, no `\\` and no control characters, and is not `..`"
        )
    if size_bytes > ARTIFACT_NAME_MAX_BYTES:
        raise InvalidArgument(f"the name of a file has {ARTIFACT_NAME_MAX_BYTES:,} bytes at most, and {name[:40]!r}... has {size_bytes:,}")
    return name


def _said(one: ArtifactReference) -> dict[str, Any]:
    said: dict[str, Any] = {"digest": one.digest.hex(), "size": one.size_bytes}
    if one.name:
        said["name"] = check_file_name(one.name)
    if one.media_type:
        said["type"] = one.media_type
    if one.is_directory:
        said["directory"] = True
    if one.column:
        said["column"] = one.column
    return said


def _reference(said: Any) -> ArtifactReference:
    try:
        digest, size_bytes = digest_of(said["digest"]), said["size"]
        name, media_type, column = said.get("name", ""), said.get("type", ""), said.get("column", "")
    except (KeyError, TypeError, AttributeError):
        raise InvalidArgument(f"the attribute {ATTRIBUTE} names an artifact without its digest and size") from None
    is_size = isinstance(size_bytes, int) and not isinstance(size_bytes, bool) and 0 <= size_bytes < 2**63
    if not is_size or not all(isinstance(text, str) for text in (name, media_type, column)):
        raise InvalidArgument(f"the attribute {ATTRIBUTE} names an artifact by something else than texts and a size")
    return ArtifactReference(digest, size_bytes, check_file_name(name) if name else "", media_type, said.get("directory") is True, column)
