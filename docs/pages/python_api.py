"""`python.md`: all that `linkd` and `linkd.aio` export, with signatures and docstrings as they are in the code."""

from __future__ import annotations

import dataclasses
import enum
import inspect
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import linkd
import linkd.aio
from linkd.errors import every_error
from pages.markdown import code, document, prose, sentence, ticked

_FIRST = ("Client", "Subscription", "LeasedValue", "Value", "Publisher", "Ack", "Snapshots", "Snapshot", "Input", "Reading", "Result")
"""Classes in the order in which a program meets them; the others follow by name."""
_WAYS = {
    "__enter__": "`with`",
    "__aenter__": "`async with`",
    "__await__": "`await`",
    "__iter__": "iteration",
    "__aiter__": "`async for`",
    "__len__": "`len()`",
    "__getitem__": '`["link"]`',
    "__arrow_c_stream__": "the Arrow PyCapsule interface",
    "_repr_html_": "a table in notebooks",
}


class _Bare(str):
    """An annotation that is shown as it is written, without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def page() -> str:
    errors = {error.__name__ for error in every_error().values()}
    names = [name for name in linkd.__all__ if name not in errors and name not in ("aio", "connect")]
    ordered = [name for name in _FIRST if name in names] + [name for name in names if name not in _FIRST]
    own = [name for name in linkd.aio.__all__ if name != "connect"]
    return document(
        "The Python API",
        "`pip install linkd` is the client alone; `linkd[arrow]` adds tables and data frames. What is not listed here is not public.",
        "## linkd",
        *_function(linkd, "connect"),
        *(part for name in ordered for part in _class(getattr(linkd, name))),
        "## Errors",
        f"{', '.join(f'`{name}`' for name in linkd.__all__ if name in errors)}: see [errors](errors.md).",
        "## linkd.aio",
        prose(linkd.aio.__doc__),
        "What is said of nothing here is as it is said above.",
        *_function(linkd.aio, "connect"),
        *(part for name in own for part in _asynchronous(getattr(linkd.aio, name), getattr(linkd, name, None))),
    )


def _function(module: ModuleType, name: str) -> Iterator[str]:
    function = getattr(module, name)
    yield f"### {module.__name__}.{name}"
    yield code(f"{module.__name__}.{name}{_signature(function)}", "python")
    yield prose(function.__doc__)


def _class(kind: type[Any]) -> Iterator[str]:
    yield f"### {kind.__name__}"
    yield prose(kind.__doc__)
    if isinstance(kind, enum.EnumType):
        yield ", ".join(f"`{member.name}` is `{member.value!r}`" for member in kind) + "."
        return
    if dataclasses.is_dataclass(kind):
        yield code("\n".join(f"{field.name}: {field.type}" for field in dataclasses.fields(kind)), "python")
    ways = [shown for name, shown in _WAYS.items() if hasattr(kind, name)]
    if ways:
        yield f"Works with: {', '.join(ways)}."
    members = [f"- {_shown(name, member)}{_meaning(member)}" for name, member in _members(kind)]
    if members:
        yield "\n".join(members)


def _asynchronous(kind: type[Any], face: type[Any] | None) -> Iterator[str]:
    """What is different from the class of the same name in `linkd`."""
    yield f"### aio.{kind.__name__}"
    if face is kind:
        yield f"The same class as `linkd.{kind.__name__}`."
        return
    if face is None or face.__doc__ != kind.__doc__:
        yield prose(kind.__doc__)
    ways = [shown for name, shown in _WAYS.items() if hasattr(kind, name)]
    if ways:
        yield f"Works with: {', '.join(ways)}."
    lines = []
    for name, member in _members(kind):
        same = face is not None and inspect.getdoc(getattr(face, name, None)) == inspect.getdoc(member)
        lines.append(f"- {_shown(name, member)}{'' if same else _meaning(member)}")
    if lines:
        yield "\n".join(lines)


def _members(kind: type[Any]) -> Iterator[tuple[str, Any]]:
    """Public methods and properties, those of base classes behind its own."""
    seen: set[str] = set()
    fields = {field.name for field in dataclasses.fields(kind)} if dataclasses.is_dataclass(kind) else set()
    for owner in kind.__mro__[:-1]:
        for name, member in vars(owner).items():
            if name.startswith("_") or name in seen or name in fields or not _is_public(member):
                continue
            seen.add(name)
            yield name, member


def _is_public(member: object) -> bool:
    """A property, an attribute or a method; what is made for our own use (`of`, from a message of the wire) is static."""
    return isinstance(member, property) or inspect.isfunction(member) or inspect.ismemberdescriptor(member)


def _shown(name: str, member: Any) -> str:
    if inspect.ismemberdescriptor(member):
        return ticked(name)
    if isinstance(member, property):
        return f"`{name}: {inspect.signature(member.fget).return_annotation}`" if member.fget else f"`{name}`"
    awaited = "await " if inspect.iscoroutinefunction(member) else ""
    return f"`{awaited}{name}{_signature(member)}`"


def _meaning(member: Any) -> str:
    text = "" if inspect.ismemberdescriptor(member) else sentence(inspect.getdoc(member))
    return f": {text}" if text else ""


def _signature(function: Any) -> str:
    found = inspect.signature(function)
    parameters = [
        parameter.replace(annotation=_bare(parameter.annotation)) for parameter in found.parameters.values() if parameter.name != "self"
    ]
    return str(found.replace(parameters=parameters, return_annotation=_bare(found.return_annotation)))


def _bare(annotation: Any) -> Any:
    return _Bare(annotation) if isinstance(annotation, str) else annotation
