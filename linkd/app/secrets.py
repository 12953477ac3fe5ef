"""Secrets of a pipeline on a laptop: where they come from, and where they go in.

The secret X (`${secret.X}` in the file) is the environment variable X, else the content of the file that X_FILE names, without the line end
at its end. In a pipeline it stands as written; `reveal` puts it in where an adapter or a program is started, and `Mask` takes it out of all
that is shown or logged.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from linkd.core import substitution
from linkd.errors import InvalidArgument
from linkd.limits import KIB, SECRET_FILE_MAX_BYTES


def secret_problem(name: str, environ: Mapping[str, str]) -> str | None:
    """Why that secret cannot be had, in one line; None if it can."""
    found = _secret(name, environ)
    return str(found) if isinstance(found, InvalidArgument) else None


def read_secrets(names: Collection[str], environ: Mapping[str, str]) -> dict[str, str]:
    """The secrets of these names. Raises InvalidArgument for the first that cannot be had."""
    secrets: dict[str, str] = {}
    for name in names:
        found = _secret(name, environ)
        if isinstance(found, InvalidArgument):
            raise InvalidArgument(f"{found}; set the variable {name}, or name a file that holds it in {name}_FILE")
        secrets[name] = found
    return secrets


def reveal(text: str, environ: Mapping[str, str]) -> str:
    """A text of the pipeline (a source, a sink, a value of `env:`) with its secrets put in. Raises InvalidArgument as `read_secrets`."""
    return substitution.reveal(text, read_secrets(dict.fromkeys(substitution.named_secrets(text)), environ))


def _secret(name: str, environ: Mapping[str, str]) -> str | InvalidArgument:
    if name in environ:
        return environ[name]
    variable = f"{name}_FILE"
    if not environ.get(variable):
        return InvalidArgument(f"the secret `{name}` is not set")
    path = Path(environ[variable])
    try:
        with path.open("rb") as file:
            content = file.read(SECRET_FILE_MAX_BYTES + 1)
        secret = content.decode("utf-8")
    except OSError as error:
        return InvalidArgument(f"the secret `{name}` cannot be read from {path} ({variable}): {error.strerror}")
    except UnicodeDecodeError:
        return InvalidArgument(f"the secret `{name}` in {path} ({variable}) is not UTF-8 text")
    if len(content) > SECRET_FILE_MAX_BYTES or "\0" in secret:
        fault = "has a NUL in it" if "\0" in secret else f"is over {SECRET_FILE_MAX_BYTES // KIB} KiB"
        return InvalidArgument(f"the secret `{name}` in {path} ({variable}) {fault}")
    return secret.removesuffix("\n").removesuffix("\r")
