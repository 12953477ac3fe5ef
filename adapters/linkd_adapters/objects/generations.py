"""How the parts of a link lie below a directory of a bucket, and which of them readers are to see.

    totals/gen-000003/part-000003-0000000042.parquet        the value 42, in generation 3
    totals/_current                                         one line: `gen-000003`, the generation that readers see

An object store renames nothing: there is no moment at which one set of objects becomes another. So a generation has a directory of its own, and
`_current`, which is replaced at once, names the one that is complete; the generation before stays for those who read it, older ones are
removed. Who reads the directory through linkd (`from: s3://data/totals/`) is given the parts of the generation that `_current` names.
"""

from __future__ import annotations

from linkd_adapters.objects.bucket import Bucket, Unmet

_CURRENT = "_current"
_GENERATION = "gen-"
_NAME_MAX_BYTES = 64


def generation_name(generation: int) -> str:
    return f"{_GENERATION}{generation:06}"


def current_generation(bucket: Bucket, directory: str) -> str | None:
    """The name of the generation that readers see, `None` if nothing says so."""
    stamp = bucket.look(f"{directory}/{_CURRENT}")
    if stamp is None:
        return None
    try:
        name = bucket.read(stamp, 0, min(stamp.size_bytes, _NAME_MAX_BYTES)).decode(errors="replace").strip()
    except Unmet:  # replaced at this very moment
        return current_generation(bucket, directory)
    return name if name.startswith(_GENERATION) and "/" not in name else None


def shown_directory(bucket: Bucket, directory: str) -> str:
    """Where what readers see lies: the directory itself, if it holds no generations."""
    name = current_generation(bucket, directory)
    return f"{directory}/{name}" if name is not None else directory


def show(bucket: Bucket, directory: str, generation: int) -> None:
    """Make readers see this generation, and remove those that nobody can be in any more."""
    before, name = current_generation(bucket, directory), generation_name(generation)
    if before == name:
        return
    bucket.write(f"{directory}/{_CURRENT}", f"{name}\n".encode())
    old = [stamp.key for stamp in bucket.below(directory) if _generation_of(directory, stamp.key) not in ("", name, before)]
    bucket.delete(old)


def stranger(bucket: Bucket, directory: str) -> str | None:
    """The key of an object in the directory that no sink of parts put there, or `None`."""
    return next((stamp.key for stamp in bucket.below(directory) if not _is_ours(directory, stamp.key)), None)


def _is_ours(directory: str, key: str) -> bool:
    return key == f"{directory}/{_CURRENT}" or bool(_generation_of(directory, key))


def _generation_of(directory: str, key: str) -> str:
    """The name of the generation that the object is a part of, or ""."""
    name, _, part = key.removeprefix(f"{directory}/").partition("/")
    return name if part and name.startswith(_GENERATION) else ""
