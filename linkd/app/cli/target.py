"""Which pipeline a reading verb means, and the connection to it, whether it runs or not."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from linkd.errors import ConnectionFailed, UsageFault
from linkd.model.frozen import frozen

if TYPE_CHECKING:
    from linkd.client.description import Description
    from linkd.client.session import Client

ENDPOINT_VARIABLE = "LINKD_ENDPOINT"

_T = TypeVar("_T")


@frozen()
class Target:
    """What to connect to: `address` as `linkd.connect` takes it, and the pipeline file and its state directory where it is one."""

    address: str | None
    file: Path | None = None
    state: Path | None = None

    @property
    def was_never_opened(self) -> bool:
        """There is no state, so nothing can be in it; told without starting a home."""
        return self.state is not None and not self.state.exists()

    def reachable(self) -> str | None:
        """The `address`, to connect to now. A program waits for its linkd; a person is told at once: ConnectionFailed."""
        from linkd.client.discovery import unreachable

        said = self.address if self.address is not None else os.environ.get(ENDPOINT_VARIABLE)
        found = unreachable(said) if said else None
        if found is not None:
            origin = "" if self.address is not None else f", which {ENDPOINT_VARIABLE} says"
            raise ConnectionFailed(
                f"nothing listens at {found}{origin}\n  see that `linkd run` or `linkd serve` is up there, or name the pipeline: -p FILE"
            )
        return self.address

    def not_run(self, pipeline: str = "") -> str:
        """The line that says so, with the remedy."""
        name = pipeline or (self.state.name if self.state is not None else "the pipeline")
        return f"{name} has not run yet: linkd run {self.file if self.file is not None else ''}".rstrip()


def find_target(given: str | None, environ: Mapping[str, str]) -> Target:
    """What `-p` says; else the endpoint of the environment; else the one pipeline file here or above. Raises UsageFault."""
    from linkd.app.pipeline_file import find_pipeline
    from linkd.client.discovery import pipeline_place

    if given is None and environ.get(ENDPOINT_VARIABLE):
        return Target(None)
    path = Path(given or ".")
    if path.is_file() or (path.is_dir() and not _is_state(path)):
        place = pipeline_place(find_pipeline(path))
        return Target(str(place.file), _shown(place.file), place.state)
    return Target(str(path) if path.is_dir() else given)


def readable_target(given: str | None) -> Target:
    """`find_target` in this process's environment, for verbs that show values. Raises UsageFault if there can be none yet."""
    target = find_target(given, os.environ)
    if target.was_never_opened:
        raise UsageFault(target.not_run())
    return target


def ask(target: Target, question: Callable[[Client], Awaitable[_T]]) -> _T:
    """The answer to a question that needs a connection: made for it, and closed behind it. Starts a home where none runs."""
    import asyncio

    from linkd.client.session import connect

    address = target.reachable()

    async def answer() -> _T:
        async with connect(address) as client:
            return await question(client)

    return asyncio.run(answer())


def has_content(description: Description) -> bool:
    """Whether the pipeline was ever run, or anything was published to it by others."""
    return description.run is not None or any(link.values for link in description.links)


def _is_state(directory: Path) -> bool:
    return (directory / "home.json").is_file()


def _shown(file: Path) -> Path:
    """As a person in this directory would write it."""
    here = Path.cwd()
    return file.relative_to(here) if file.is_relative_to(here) else file
