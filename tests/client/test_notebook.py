"""How things show themselves in a notebook: small tables, escaped, whatever is in them; never an error, never a long wait."""

from __future__ import annotations

from html.parser import HTMLParser

import pyarrow as pa
import pytest

import linkd
from linkd.client import html
from linkd.client.content import Part
from linkd.client.description import Description, InputDescription, TaskDescription
from linkd.client.values import Value
from linkd.errors import ConnectionFailed
from linkd.limits import NOTEBOOK_COLUMNS_MAX, NOTEBOOK_ROWS
from linkd.model.values import Envelope, Position
from linkd.testing.pipelines import open_home
from linkd.wire.messages import ROWS


class Reader(HTMLParser):
    """The cells of tables, the tags, and whether every tag that is opened is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.cells: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)
        self.open.append(tag)
        if tag in ("th", "td"):
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if {"th", "td"} & set(self.open):
            self.cells[-1] += data


def value_of_rows(*lines: str) -> Value:
    payload = "".join(f"{line}\n" for line in lines).encode()
    envelope = Envelope(b"\1" * 16, "flown", Position(1, 42), 3, len(lines), len(payload), b"", 0, 0, "clean", "v1" * 8)
    return Value(Part(ROWS, payload), envelope)


def test_whatever_is_in_a_table_is_escaped() -> None:
    shown = html.row_table("<b>", [{"<script>alert(1)</script>": "<img src=x onerror=alert(1)>", "n": None, "raw": b"12"}], "a & b")
    assert Reader(shown).tags <= {"div", "table", "caption", "b", "thead", "tbody", "tr", "th", "td", "em", "p", "small"}
    assert Reader(shown).cells == ["<script>alert(1)</script>", "n", "raw", "<img src=x onerror=alert(1)>", "null", "<2 bytes>"]


def test_long_texts_are_cut_and_wide_tables_end() -> None:
    shown = Reader(html.row_table("wide", [{f"c{number}": "x" * 500 for number in range(NOTEBOOK_COLUMNS_MAX + 7)}]))
    assert len(shown.cells) == 2 * NOTEBOOK_COLUMNS_MAX
    assert max(map(len, shown.cells)) < 100
    assert "7 more columns" in html.row_table("wide", [{f"c{number}": 1 for number in range(NOTEBOOK_COLUMNS_MAX + 7)}])


def test_a_value_shows_its_envelope_and_its_first_rows() -> None:
    value = value_of_rows(*(f'{{"n": {n}, "city": "Oslo"}}' for n in range(25)))
    shown = value._repr_html_()
    assert Reader(shown).cells[:4] == ["n", "city", "0", "Oslo"]
    assert len(Reader(shown).cells) == 2 * (1 + NOTEBOOK_ROWS)
    assert "flown@42" in shown
    assert "25 rows" in shown
    assert "by clean v1v1v1v1" in shown
    assert "\n" not in repr(value)


def test_a_value_that_cannot_be_read_says_so_instead_of_raising() -> None:
    assert "flown@42" in value_of_rows("not json")._repr_html_()


def test_a_description_shows_links_and_lags() -> None:
    waiting = TaskDescription("sum_up", "sql", "", (InputDescription("flown", "whole", 1, 0, 0, 1_200),), ("totals",), 1, False, 0, 0, 0)
    shown = Reader(Description("p<1>", "", "", "grpc", False, 1, (), (waiting,), (), None, "", 1)._repr_html_())
    assert shown.cells[-1] == "lag"


@pytest.fixture(scope="module")
def client() -> object:
    with open_home() as endpoint, linkd.connect(endpoint) as connected:
        connected.publish("trips", pa.table({"number": range(30), "city": ["Oslo"] * 30}))
        yield connected


def test_a_client_shows_what_its_pipeline_holds(client: linkd.Client) -> None:
    shown = Reader(client._repr_html_())
    assert shown.cells[:3] == ["link", "rows", "values"]
    assert "trips" in shown.cells
    assert "30" in shown.cells
    [trips] = client.describe("trips").links
    assert "trips" in Reader(trips._repr_html_()).cells


def test_a_result_shows_its_first_rows_and_how_many_there_are(client: linkd.Client) -> None:
    result = client.query("SELECT number FROM trips ORDER BY number")
    shown = result._repr_html_()
    assert Reader(shown).cells == ["number", *map(str, range(NOTEBOOK_ROWS))]
    assert "30 rows" in shown
    assert Reader(client.query("SELECT number FROM trips WHERE false")._repr_html_()).cells == ["number"]


def test_a_query_that_fails_shows_why(client: linkd.Client) -> None:
    shown = client.query("SELECT nmber FROM trips")._repr_html_()
    assert "nmber" in shown
    assert not Reader(shown).cells


def test_a_reading_shows_its_first_rows(client: linkd.Client) -> None:
    assert Reader(client.read("trips")._repr_html_()).cells[:4] == ["number", "city", "0", "Oslo"]
    assert "absent" in client.read("absent")._repr_html_()


def test_changes_can_be_observed_from_a_thread(client: linkd.Client) -> None:
    seen = client.observe("trips")
    assert [link.name for link in next(seen).links] == ["trips"]
    values = iter(client.read("trips", follow=True))
    assert len(next(values)) == 30


def test_a_client_without_a_home_says_so() -> None:
    with open_home() as endpoint:
        gone = linkd.connect(endpoint, timeout_s=0.2)
    shown = gone._repr_html_()
    assert "linkd" in shown
    gone.close()
    with pytest.raises(ConnectionFailed):
        gone.describe()
