"""Names that files, SQL and Kubernetes can all bear."""

import duckdb
import pytest

from linkd.core.names import SQL_WORDS, name_problem


@pytest.mark.parametrize("name", ["a", "flights", "sum_up", "x2", "a__b", "by_cause", "a" * 40])
def test_an_ordinary_name_is_taken(name: str) -> None:
    assert name_problem(name, "link") is None


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("Flown", "call it `flown`"),
        ("flownRows", "call it `flown_rows`"),
        ("flown-rows", "call it `flown_rows`"),
        ("flights.csv", "call it `flights_csv`"),
        ("2013_flights", "call it `flights`"),
        ("_flights", "call it `flights`"),
        ("a" * 41, f"call it `{'a' * 40}`"),
        ("ÅÄÖ", ""),
        ("->", ""),
        ("", ""),
        ("ORDER", ""),
    ],
)
def test_a_name_outside_the_alphabet_is_refused_with_the_nearest_that_is_in_it(name: str, remedy: str) -> None:
    rule = "names are lower-case letters, digits and `_`, a letter first, at most 40 characters"
    assert name_problem(name, "link") == (f"`{name}` cannot be the name of a link: {rule}", remedy)


def test_a_name_that_kubernetes_cannot_bear_is_refused() -> None:
    what = "`flown_` cannot be the name of a task: it ends in `_`, and on Kubernetes, where `_` becomes `-`, no name may"
    assert name_problem("flown_", "task") == (what, "call it `flown`")


@pytest.mark.parametrize(
    ("name", "what", "suggestion"),
    [
        ("order", "link", "order_data"),
        ("select", "task", "select_task"),
        ("table", "pipeline", "table_pipeline"),
        ("left", "link", "left_data"),
    ],
)
def test_a_word_of_sql_is_refused_with_a_name_in_its_place(name: str, what: str, suggestion: str) -> None:
    found = name_problem(name, what)  # type: ignore[arg-type]
    assert found == (f"`{name}` cannot be the name of a {what}: it is a word of SQL", f"call it `{suggestion}`")


def test_the_words_are_those_that_duckdb_takes_for_no_table_without_quotes() -> None:
    connection = duckdb.connect()
    rows = connection.execute("SELECT keyword_name, keyword_category FROM duckdb_keywords()").fetchall()
    words = {name for name, category in rows if category in ("reserved", "type_function")}
    assert {name for name, category in rows if category == "reserved"} <= SQL_WORDS
    for word in sorted(words - SQL_WORDS):
        connection.execute(f"CREATE VIEW {word} AS SELECT 1 AS a")
        assert connection.execute(f"SELECT {word}.a FROM {word} JOIN {word} other USING (a)").fetchall() == [(1,)]
