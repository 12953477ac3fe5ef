"""Addresses of databases: tables, secrets, and what cannot be one."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from linkd_adapters.sql import ADAPTER
from linkd_adapters.sql.location import Table, locate

from linkd.errors import InvalidArgument
from linkd.plugin.contract import LinkOptions, Role


def options(location: str, written: str | None = None, **more: object) -> LinkOptions:
    return LinkOptions("orders", location, Path("/pipeline"), written=written, **more)  # type: ignore[arg-type]


@given(st.text(min_size=1), st.text(min_size=1))
def test_a_secret_goes_to_the_server_as_it_is_and_to_nobody_else(user: str, password: str) -> None:
    written = "postgresql://${secret.USER}:${secret.PW}@db:5432/shop?table=sales.orders"
    if ":" in user:
        user = user.replace(":", ";")
    found = locate(options(written.replace("${secret.USER}", user).replace("${secret.PW}", password), written))
    parts = urlsplit(found.address)
    assert (unquote(parts.username or ""), unquote(parts.password or "")) == (user, password)
    assert (parts.hostname, parts.port, parts.path) == ("db", 5432, "/shop")
    assert found.table == Table("orders", "sales")
    assert found.shown == written
    assert "table=" not in found.address
    assert password not in found.masked(f"<{password}>") or password in "***"


def test_one_secret_may_be_all_of_an_address() -> None:
    found = locate(options("postgresql://me:pw@db/shop?table=orders", "postgresql://${secret.DSN}?table=orders"))
    assert found.address.startswith("postgresql://me:pw@db/shop?")
    assert found.masked("no way for me:pw@db/shop") == "no way for ***"


def test_a_password_that_everybody_would_see_is_refused() -> None:
    location = "postgresql://me:open@db/shop?table=orders"
    [problem] = ADAPTER.check(options(location, location), Role.SOURCE)
    assert problem == (
        "links.orders: its address has a password in it, which whoever looks at the pipeline would see; "
        "write ${secret.NAME} there, and set the variable NAME, or name a file that holds it in NAME_FILE"
    )
    assert "open" not in locate(options(location)).shown


def test_files_lie_beside_the_pipeline_unless_a_third_slash_says_otherwise() -> None:
    assert locate(options("sqlite://data/shop%20one.db?table=orders")).path == Path("/pipeline/data/shop one.db")
    assert locate(options("duckdb:///var/shop.duckdb")).path == Path("/var/shop.duckdb")


@pytest.mark.parametrize(
    ("location", "more", "problem"),
    [
        ("postgresql://db/shop", {}, "names no table; write ?table=NAME behind it, or say query: SELECT ..."),
        ("postgresql://db/shop?table=a.b.c", {}, "`table=a.b.c` names no table; write ?table=orders, or ?table=sales.orders"),
        ("postgresql://db/shop?table=a", {"query": "SELECT 1"}, "names a table, too; take one of them out"),
        ("postgresql://db:port/shop?table=a", {}, "is not an address"),
        ("sqlite://?table=a", {}, "names no file; write sqlite://shop.db?table=orders"),
        ("sqlite://a.db?table=a&mode=ro", {}, "has `mode` behind the `?`, and a file takes only `table`"),
        ("sqlite://a.db?table=main.a", {}, "a file of SQLite has no schemas; write ?table=a"),
        ("sqlite://a.db?table=a", {}, "there is no file /pipeline/a.db"),
        ("postgresql://db/shop?table=a", {"format": "csv"}, "links.orders.format: a table has none; remove it"),
        ("postgresql://db/shop?table=a", {"on_bad_row": "reject"}, "rows of a table have types"),
        ("postgresql://db/shop?table=a", {"nulls": ("NA",)}, "are for text files; remove them"),
        ("postgresql://db/shop?table=a", {"schema": {"a": "integre"}}, "`integre` is not a type"),
    ],
)
def test_what_cannot_be_is_said_before_anything_runs(location: str, more: dict[str, object], problem: str) -> None:
    assert any(problem in found for found in ADAPTER.check(options(location, **more), Role.SOURCE))


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"mode": "parts"}, "a table is no directory"),
        ({"mode": "upsert"}, "upsert needs the columns that say which row it is; say key: COLUMN"),
    ],
)
def test_modes_that_a_table_cannot_have_are_refused(more: dict[str, object], problem: str) -> None:
    location = options("postgresql://db/shop?table=a", **more)
    assert any(problem in found for found in ADAPTER.check(location, Role.SINK))
    with pytest.raises(InvalidArgument, match=problem):
        ADAPTER.value_sink(location)
