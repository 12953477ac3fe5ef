"""Frozen values that cost little to define: every process of linkd defines hundreds before it does anything.

`@frozen()` is `@dataclass(frozen=True, slots=True)` for whoever uses the class: fields, defaults, equality, hash, `dataclasses.replace` and the
rest. The standard library writes and compiles five functions of each such class as text, which is a millisecond: half of what it takes to
import linkd. Here the constructor alone is compiled, all else are closures over the fields; and as the constructor goes by way of the slots
themselves, values are made faster, too.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import MISSING, Field, FrozenInstanceError
from operator import attrgetter
from typing import Any, NoReturn, TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(dataclasses.field,))
def frozen(*, kw_only: bool = False) -> Callable[[type[T]], type[T]]:
    """A class of frozen values with slots; with `kw_only` its constructor takes keywords alone.

    It may have a `__repr__` of its own; there is no order among them, nothing runs behind the constructor, and nothing is a subclass.
    """

    def decorated(cls: type[T]) -> type[T]:
        made: Any = dataclasses.dataclass(init=False, repr=False, eq=False, slots=True, kw_only=kw_only)(cls)
        fields: Sequence[Field[Any]] = dataclasses.fields(made)
        made.__init__ = _constructor(made, fields)
        made.__eq__, made.__hash__ = _equality(fields)
        if "__repr__" not in vars(cls):
            made.__repr__ = _repr(fields)
        made.__setattr__ = made.__delattr__ = _refuse
        made.__getstate__, made.__setstate__ = _state(fields)
        return made  # type: ignore[no-any-return]

    return decorated


def _constructor(cls: Any, fields: Sequence[Field[Any]]) -> Callable[..., None]:
    names: dict[str, Any] = {"_MISSING": MISSING}
    positional, lines = ["self"], []
    keywords: list[str] = []
    for field in fields:
        name, value = field.name, field.name
        names[f"_set_{name}"] = getattr(cls, name).__set__
        parameter = name
        if field.default_factory is not MISSING:
            names[f"_make_{name}"] = field.default_factory
            parameter, value = f"{name}=_MISSING", f"_make_{name}() if {name} is _MISSING else {name}"
        elif field.default is not MISSING:
            names[f"_default_{name}"] = field.default
            parameter = f"{name}=_default_{name}"
        (keywords if field.kw_only else positional).append(parameter)
        lines.append(f"    _set_{name}(self, {value})")
    parameters = ", ".join([*positional, *(["*", *keywords] if keywords else [])])
    exec("\n".join([f"def __init__({parameters}):", *(lines or ["    pass"])]), names)
    made: Callable[..., None] = names["__init__"]
    made.__qualname__, made.__module__ = f"{cls.__qualname__}.__init__", cls.__module__
    made.__annotations__ = {**{field.name: field.type for field in fields}, "return": None}
    return made


def _repr(fields: Sequence[Field[Any]]) -> Callable[[Any], str]:
    names = [field.name for field in fields if field.repr]

    def shown(self: Any) -> str:
        return f"{type(self).__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"

    return shown


def _equality(fields: Sequence[Field[Any]]) -> tuple[Callable[[Any, object], bool], Callable[[Any], int]]:
    names = [field.name for field in fields if field.compare]
    key: Callable[[Any], object] = attrgetter(*names) if names else lambda of: ()

    def is_equal(self: Any, other: object) -> bool:
        return key(self) == key(other) if type(other) is type(self) else NotImplemented

    def hashed(self: Any) -> int:
        return hash(key(self))

    return is_equal, hashed


def _state(fields: Sequence[Field[Any]]) -> tuple[Callable[[Any], list[Any]], Callable[[Any, list[Any]], None]]:
    """For copies and pickles, which would set what cannot be set."""
    names = [field.name for field in fields]

    def state(self: Any) -> list[Any]:
        return [getattr(self, name) for name in names]

    def restore(self: Any, values: list[Any]) -> None:
        for name, value in zip(names, values, strict=True):
            object.__setattr__(self, name, value)

    return state, restore


def _refuse(self: object, name: str, *value: object) -> NoReturn:
    raise FrozenInstanceError(f"cannot assign to field {name!r}")
