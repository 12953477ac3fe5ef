"""How adapters are found."""

from __future__ import annotations

import pytest
from linkd_adapters.file import ADAPTER

from linkd.errors import InvalidArgument
from linkd.plugin.contract import Adapter
from linkd.plugin.registry import Adapters, installed_adapters, scheme_of


def never_loaded() -> Adapter:
    raise AssertionError("loaded before its first use")


def test_a_plain_path_is_served_by_file_and_nothing_else_is_loaded() -> None:
    adapters = Adapters({"file": lambda: ADAPTER, "nats": never_loaded})
    assert adapters.serving("data/flights.csv") is ADAPTER
    assert adapters.serving("C:/data/flights.csv") is ADAPTER


def test_an_adapter_is_loaded_once() -> None:
    loaded: list[int] = []

    def load() -> Adapter:
        loaded.append(1)
        return ADAPTER

    adapters = Adapters({"file": load})
    assert adapters.named("file") is adapters.named("file")
    assert loaded == [1]


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("s3://bucket/key", "no adapter serves `s3://`; installed are `file`, `nats` (`file` serves plain paths)"),
        ("nts://stream", "no adapter serves `nts://`; did you mean `nats`? installed are `file`, `nats` (`file` serves plain paths)"),
    ],
)
def test_an_unknown_scheme_is_refused_naming_what_there_is(location: str, message: str) -> None:
    with pytest.raises(InvalidArgument) as raised:
        Adapters({"file": never_loaded, "nats": never_loaded}).serving(location)
    assert str(raised.value) == message


def test_without_any_adapter_the_remedy_is_to_install_some() -> None:
    with pytest.raises(InvalidArgument, match=r"there is no adapter `file`: no adapters are installed; install linkd itself"):
        Adapters({}).serving("data/flights.csv")


@pytest.mark.parametrize(("location", "scheme"), [("NATS://x", "nats"), ("a:b", None), ("./a://b", None), ("data/x.csv", None)])
def test_a_scheme_is_what_stands_before_two_slashes(location: str, scheme: str | None) -> None:
    assert scheme_of(location) == scheme


def test_looking_for_installed_adapters_loads_none() -> None:
    assert set(installed_adapters().names) == {"az", "duckdb", "file", "gs", "postgres", "postgresql", "s3", "sqlite"}
