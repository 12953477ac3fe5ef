"""Which adapter serves a location, by entry points of the group `linkd.adapters`.

The name of an entry point is the URL scheme it serves (`nats` for `nats://...`); what it names is an `Adapter`. The name `file` serves
plain paths. Nothing is loaded before its first use.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType

from linkd.errors import InvalidArgument, MissingExtra
from linkd.plugin.contract import Adapter

GROUP = "linkd.adapters"
FILE = "file"
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*)://")


class Adapters:
    """Adapters by name, as a value: tests and embedders build their own, everybody else takes `installed_adapters()`."""

    def __init__(self, loaders: Mapping[str, Callable[[], Adapter]]) -> None:
        self._loaders = MappingProxyType(dict(loaders))
        self._loaded: dict[str, Adapter] = {}

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(sorted(self._loaders))

    def named(self, name: str) -> Adapter:
        """The adapter of that name. Raises `InvalidArgument` if there is none, `MissingExtra` if it lacks a package."""
        if name not in self._loaders:
            raise InvalidArgument(f"there is no adapter `{name}`{self._instead(name)}")
        if name not in self._loaded:
            self._loaded[name] = self._loaders[name]()
        return self._loaded[name]

    def serving(self, location: str) -> Adapter:
        """The adapter for a `from:` or `to:`: by its scheme if it is a URL, else `file`. Raises as `named` does."""
        scheme = scheme_of(location)
        if scheme is not None and scheme not in self._loaders:
            raise InvalidArgument(f"no adapter serves `{scheme}://`{self._instead(scheme)}")
        return self.named(scheme or FILE)

    def _instead(self, name: str) -> str:
        if not self._loaders:
            return ": no adapters are installed; install linkd itself, for example with pip install 'linkd[laptop]'"
        import difflib  # only where something is wrong

        near = difflib.get_close_matches(name, self._loaders, n=1)
        meant = f"; did you mean `{near[0]}`?" if near else ""
        return f"{meant or ';'} installed are {', '.join(f'`{known}`' for known in self.names)} (`file` serves plain paths)"


def scheme_of(location: str) -> str | None:
    """The scheme of a URL in lower case, or `None` for a path."""
    match = _SCHEME.match(location)
    return match[1].lower() if match else None


def installed_adapters() -> Adapters:
    """What the installed packages offer; of two packages with one name, the first that Python finds."""
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=GROUP):
        found.setdefault(point.name, point)
    return Adapters({name: _loader(point) for name, point in found.items()})


def _loader(point: EntryPoint) -> Callable[[], Adapter]:
    def load() -> Adapter:
        try:
            adapter = point.load()
        except ImportError as error:
            package = point.dist.name if point.dist else point.module
            raise MissingExtra(f"adapter `{point.name}` of {package} cannot be loaded: {error}; install what it needs") from error
        if not isinstance(adapter, Adapter):
            raise InvalidArgument(f"entry point `{point.name}` of {GROUP} is {point.value}, which is no linkd.plugin.contract.Adapter")
        return adapter

    return load
