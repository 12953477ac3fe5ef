"""The choices of one step, taken out of one number: the same number, the same choices, whatever else was cut out of the history."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Dice:
    """Some fifteen small choices from 64 bits."""

    __slots__ = ("_left",)

    def __init__(self, number: int) -> None:
        self._left = number

    def below(self, count: int) -> int:
        self._left, chosen = divmod(self._left, count)
        return chosen

    def one_of(self, choices: Sequence[T]) -> T:
        return choices[self.below(len(choices))]

    def once_in(self, count: int) -> bool:
        return self.below(count) == 0
