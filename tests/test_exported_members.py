"""The public list is complete, sorted, and every name in it is there."""

from __future__ import annotations

import ast
from pathlib import Path

import linkd
import linkd.aio
from linkd import errors


def test_the_list_is_sorted_and_every_name_is_there() -> None:
    for module in (linkd, linkd.aio):
        assert module.__all__ == sorted(module.__all__)
        assert len(set(module.__all__)) == len(module.__all__)
        for name in module.__all__:
            assert getattr(module, name) is not None


def test_every_error_is_public() -> None:
    tree = {error.__name__ for error in errors.every_error().values()}
    assert tree <= set(linkd.__all__)
    assert all(getattr(linkd, name) is getattr(errors, name) for name in tree)


def test_every_public_class_has_a_contract() -> None:
    undocumented = [
        name
        for name in linkd.__all__
        if name not in {error.__name__ for error in errors.every_error().values()} and not getattr(linkd, name).__doc__
    ]
    assert undocumented == []


def test_what_type_checkers_see_is_what_is_loaded() -> None:
    """The names under TYPE_CHECKING, and where they come from, are those that are loaded when they are first used."""
    tree = ast.parse(Path(linkd.__file__).read_text())
    [guarded] = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {
        alias.name: node.module
        for node in guarded.body
        if isinstance(node, ast.ImportFrom) and node.module != "linkd"
        for alias in node.names
    }
    assert seen == linkd._LAZY
    assert {"aio", "connect", *seen} | {error.__name__ for error in errors.every_error().values()} == set(linkd.__all__)


def test_what_is_not_there_is_an_attribute_error() -> None:
    assert not hasattr(linkd, "emit")
    assert "connect" in dir(linkd)
