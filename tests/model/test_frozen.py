"""`@frozen()` is `@dataclass(frozen=True, slots=True)`: whatever is done with the one is done with the other, and gives the same."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkd.model.frozen import frozen


class OfTheLibrary:
    @dataclass(frozen=True, slots=True)
    class Point:
        """A point."""

        x: int
        y: int = 0
        tags: Mapping[str, int] = field(default_factory=dict)
        note: str = field(default="", compare=False, repr=False)

        @property
        def sum(self) -> int:
            return self.x + self.y

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Named:
        """By keywords alone."""

        x: int
        y: int = 5

    @dataclass(frozen=True, slots=True)
    class Empty:
        """No fields."""


class Ours:
    @frozen()
    class Point:
        """A point."""

        x: int
        y: int = 0
        tags: Mapping[str, int] = field(default_factory=dict)
        note: str = field(default="", compare=False, repr=False)

        @property
        def sum(self) -> int:
            return self.x + self.y

    @frozen(kw_only=True)
    class Named:
        """By keywords alone."""

        x: int
        y: int = 5

    @frozen()
    class Empty:
        """No fields."""


PAIRS = [(getattr(OfTheLibrary, name), getattr(Ours, name)) for name in ("Point", "Named", "Empty")]
SMALL = st.integers(0, 2)
ARGUMENTS = st.tuples(st.lists(SMALL, max_size=3), st.dictionaries(st.sampled_from(["x", "y", "note", "z"]), SMALL))


def made(kind: Any, arguments: tuple[list[int], dict[str, int]]) -> Any:
    """An instance, or what kind of refusal there was."""
    try:
        return kind(*arguments[0], **arguments[1])
    except TypeError:
        return TypeError


@given(ARGUMENTS, ARGUMENTS)
def test_it_is_made_compared_and_shown_like_a_dataclass(first: Any, second: Any) -> None:
    for theirs, ours in PAIRS:
        (a, b), (c, d) = ((made(kind, first), made(kind, second)) for kind in (theirs, ours))
        assert (a is TypeError, b is TypeError, a == b) == (c is TypeError, d is TypeError, c == d)
        if a is not TypeError:
            assert repr(c) == repr(a).replace("OfTheLibrary", "Ours")
            assert dataclasses.asdict(c) == dataclasses.asdict(a)


def test_two_that_are_equal_have_one_hash_and_one_of_another_class_is_never_equal() -> None:
    one, same, other = (Ours.Named(x=x) for x in (1, 1, 2))
    assert {one, same, other} == {one, other}
    assert one != OfTheLibrary.Named(x=1)
    with pytest.raises(TypeError, match="unhashable"):
        hash(Ours.Point(1))


def test_nothing_can_be_set_taken_away_or_added() -> None:
    point: Any = Ours.Point(1)
    for change in (lambda: setattr(point, "x", 2), lambda: delattr(point, "x"), lambda: setattr(point, "z", 2)):
        with pytest.raises(dataclasses.FrozenInstanceError):
            change()
    assert not hasattr(point, "__dict__")
    assert point.sum == 1


def test_defaults_that_are_made_are_made_for_each() -> None:
    assert Ours.Point(1).tags == {}
    assert Ours.Point(1).tags is not Ours.Point(1).tags


def test_fields_replacing_matching_and_copies_are_those_of_a_dataclass() -> None:
    for theirs, ours in PAIRS:
        assert [one.name for one in dataclasses.fields(ours)] == [one.name for one in dataclasses.fields(theirs)]
        assert ours.__match_args__ == theirs.__match_args__
        assert ours.__doc__ == theirs.__doc__
        assert ours.__init__.__annotations__ == theirs.__init__.__annotations__
    point = Ours.Point(1, tags={"a": 1})
    assert dataclasses.replace(point, y=3) == Ours.Point(1, 3, {"a": 1})
    for again in (copy.copy(point), copy.deepcopy(point), pickle.loads(pickle.dumps(point))):
        assert again == point
