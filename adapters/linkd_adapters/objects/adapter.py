"""The adapter of object stores: which object a URL names, and what its options mean. The library, and with it pyarrow, is loaded on first use."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from linkd.errors import InvalidArgument, MissingExtra
from linkd.plugin.contract import Adapter, LinkOptions, Role, Sink, Source, ValueSink
from linkd_adapters.file.adapter import option_problems
from linkd_adapters.file.location import FORMATS
from linkd_adapters.file.modes import APPEND, PARTS
from linkd_adapters.objects.location import ObjectLocation, locate, secret_problem


class ObjectAdapter(Adapter):
    """`environ` is where credentials and addresses are looked for that the URL does not say."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._environ = environ

    @property
    def formats(self) -> tuple[str, ...]:
        return FORMATS

    def check(self, options: LinkOptions, role: Role) -> list[str]:
        try:
            location = locate(options, self._environ)
        except InvalidArgument as error:
            return [str(error)]
        return list(_problems(options, location, role))

    def source(self, options: LinkOptions) -> Source:
        location = self._usable(options, Role.SOURCE)
        with _library():
            from linkd_adapters.objects.source import ObjectSource
        return ObjectSource(options, location)

    def sink(self, options: LinkOptions) -> Sink:
        location = self._usable(options, Role.SINK)
        with _library():
            from linkd_adapters.objects.sink import ObjectSink
        return ObjectSink(options, location, self._environ)

    def value_sink(self, options: LinkOptions) -> ValueSink:
        location = self._usable(options, Role.SINK)
        with _library():
            from linkd_adapters.objects.sink import ObjectPartsSink
        return ObjectPartsSink(options, location, self._environ)

    def _usable(self, options: LinkOptions, role: Role) -> ObjectLocation:
        location = locate(options, self._environ)
        for problem in _problems(options, location, role):
            raise InvalidArgument(problem)
        return location


def _problems(options: LinkOptions, location: ObjectLocation, role: Role) -> Iterator[str]:
    """What the options say that cannot be, without a look at the store."""
    files, link = location.files, f"links.{options.link}"
    if (problem := secret_problem(options)) is not None:
        yield problem
    if role is Role.SINK and options.mode == APPEND:
        yield f"{link}.mode: nothing can be appended to an object; say mode: parts to have an object for each value, or mode: replace"
    elif role is Role.SINK and files.is_pattern:
        yield f"{link}.to: {files.shown} is a pattern, and a sink is one object; name it"
    elif role is Role.SINK and files.is_directory and options.mode != PARTS:
        yield f"{link}.to: {files.shown} names a directory; name an object in it, or say mode: parts to have one for each value in it"
    else:
        yield from option_problems(options, files, files.format, role)


@contextmanager
def _library() -> Iterator[None]:
    """Says what to install where it is missing."""
    try:
        yield
    except ImportError as error:
        raise MissingExtra(f"object stores need a package that is not installed ({error.name}): pip install 'linkd[s3]'") from error
