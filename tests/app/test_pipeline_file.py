# ruff: noqa: E501 - messages stand here as they are shown
"""The pipeline file as people meet it: read, and every problem shown with its place, its line, a caret and a remedy."""

from pathlib import Path

import pytest
from flights_file import GOOD, message, shown
from hypothesis import given
from hypothesis import strategies as st

from linkd.app.pipeline_file import load_pipeline
from linkd.app.yaml_document import read_yaml
from linkd.core.assembly import check
from linkd.core.declaration import read_declaration
from linkd.core.declared import Knowledge
from linkd.core.wiring import parse_wiring
from linkd.errors import PipelineFileInvalid

EXAMPLE = Path(__file__).parents[2] / "examples" / "flights" / "flights.yaml"


def test_the_flights_example_is_the_pipeline_of_the_readme() -> None:
    pipeline = load_pipeline(EXAMPLE)
    assert pipeline.name == "flights"
    assert list(pipeline.links) == ["flights", "flown", "cancelled", "airlines", "totals"]
    assert pipeline.tasks["clean"].command == "python clean.py"
    assert pipeline.links["flights"].nulls == ("NA",)
    assert pipeline.directory == str(EXAMPLE.parent)
    assert (EXAMPLE.parent / "clean.py").is_file()


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (
            "(flown, airlines)",
            "(flwn, airlines)",
            """
            flights.yaml:4:4: nothing writes `flwn`; did you mean `flown`?
                (flwn, airlines)  sum_up  (totals)
                 ^^^^
              let a task write it, or give it a source (`links: {flwn: {from: FILE}}`), or write `flwn*` if outsiders append to it
            """,
        ),
        (
            "(flown, airlines)",
            "(flown latest, airlines latest)",
            """
            flights.yaml:4:10: task `sum_up` would never run: `latest` is read when the task runs, and never makes it run
                (flown latest, airlines latest)  sum_up  (totals)
                       ^^^^^^
              take `latest` away from the input that makes it run: `flown`
            """,
        ),
        (
            'sum_up: {sql: "SELECT 1 AS one"}',
            "sum_up: {run: python sum_up.py}",
            """
            flights.yaml:4:4: task `sum_up` has 2 inputs and does not say how they are put together
                (flown, airlines)  sum_up  (totals)
                 ^^^^^
              write `(flown whole, airlines whole)`: all of each, once; `(flown[1], airlines[1])`: one value of each at a time; or `latest` behind an input that is only looked up
            """,
        ),
        (
            "(flown, cancelled)",
            "(flown, cancelled, totals)",
            """
            flights.yaml:4:31: `totals` has two writers: tasks `clean` and `sum_up`
                (flown, airlines)  sum_up  (totals)
                                            ^^^^^^
              a link has one writer; give this output a name of its own and let the reader take both
            """,
        ),
        (
            "(flights)          clean",
            "(flights, totals)  clean",
            """
            flights.yaml:3:4: task `clean` has 2 inputs and does not say how they are put together
                (flights, totals)  clean   (flown, cancelled)
                 ^^^^^^^
              write `(flights whole, totals whole)`: all of each, once; `(flights[1], totals[1])`: one value of each at a time; or `latest` behind an input that is only looked up
            flights.yaml:3:13: the tasks clean -> sum_up -> clean go in a circle
                (flights, totals)  clean   (flown, cancelled)
                          ^^^^^^
              a pipeline has an end: take `totals` out of the inputs of `clean`
            """,
        ),
        (
            'clean:  {run: "python clean.py"}',
            'clena:  {run: "python clean.py"}',
            """
            flights.yaml:3:22: task `clean` has no code: `tasks:` does not name it; did you mean `clena`?
                (flights)          clean   (flown, cancelled)
                                   ^^^^^
              add `clean: {run: "python clean.py"}` (or `sql:`) below `tasks:`
            """,
        ),
        (
            "(flights)          clean   (",
            "(flights)          clean   ",
            """
            flights.yaml:3:30: `flown` between task `clean` and its outputs has no meaning
                (flights)          clean   flown, cancelled)
                                           ^^^^^
              a line of the wiring is `(inputs) task (outputs)`
            """,
        ),
        (
            "nulls: [NA]",
            "null: [NA]",
            """
            flights.yaml:6:42: link `flights` has no key `null`; did you mean `nulls`?
                flights:  {from: data/flights.csv.zip, null: [NA]}
                                                       ^^^^
              keys of link `flights` are `from`, `to`, `format`, `nulls`, `schema`, `on_bad_row`, `header`, `separator`, `quote`, `encoding`, `decimal`, `mode`, `query`, `key`, `overwrite`, `every`, `durability`, `interval`, `retain`, `bound`, `on_full` and `handover`
            """,
        ),
        (
            "nulls: [NA]",
            "sample: 0.1",
            """
            flights.yaml:6:42: `sample` has no meaning yet in this version of linkd
                flights:  {from: data/flights.csv.zip, sample: 0.1}
                                                       ^^^^^^
              take it out; keys of link `flights` are `from`, `to`, `format`, `nulls`, `schema`, `on_bad_row`, `header`, `separator`, `quote`, `encoding`, `decimal`, `mode`, `query`, `key`, `overwrite`, `every`, `durability`, `interval`, `retain`, `bound`, `on_full` and `handover`
            """,
        ),
        (
            "nulls: [NA]",
            "schema: {day: datetime}",
            """
            flights.yaml:6:56: `datetime` is not a type; did you mean `timestamp[us]`?
                flights:  {from: data/flights.csv.zip, schema: {day: datetime}}
                                                                     ^^^^^^^^
              types are `int8` to `int64`, `uint8` to `uint64`, `float32`, `float64`, `string`, `bool`, `binary`, `date`, `time64[us]`, `timestamp[us]`, `timestamp[us, UTC]` and `decimal(10, 2)`
            """,
        ),
        (
            "nulls: [NA]",
            "schema: {day: 'timestamp[s, Europe/Olso]'}",
            """
            flights.yaml:6:56: `Europe/Olso` is not a time zone
                flights:  {from: data/flights.csv.zip, schema: {day: 'timestamp[s, Europe/Olso]'}}
                                                                     ^^^^^^^^^^^^^^^^^^^^^^^^^^^
              zones are `UTC`, names such as `Europe/Oslo`, and offsets such as `+02:00`
            """,
        ),
        (
            "pipeline: flights",
            "pipeline: Flights 2013",
            """
            flights.yaml:1:11: `Flights 2013` cannot be the name of a pipeline: names are lower-case letters, digits and `_`, a letter first, at most 40 characters
                pipeline: Flights 2013
                          ^^^^^^^^^^^^
              call it `flights_2013`
            """,
        ),
        (
            "wiring: |\n",
            "wiring:\n",
            """
            flights.yaml:3:3: the wiring is not written as a block that keeps its lines
                (flights)          clean   (flown, cancelled)
                ^
              write `wiring: |`, and its lines indented below
            """,
        ),
        (
            "wiring: |\n",
            "wiring: >\n",
            """
            flights.yaml:2:9: the wiring is not written as a block that keeps its lines
                wiring: >
                        ^
              write `wiring: |`, and its lines indented below
            """,
        ),
        (
            "links:\n",
            "pipeline: twice\nlinks:\n",
            """
            flights.yaml:5:1: `pipeline` is there twice; the first is in line 1
                pipeline: twice
                ^^^^^^^^
              YAML would take the last one silently: keep one
            """,
        ),
        (
            'sql: "SELECT 1 AS one"',
            "sql: totals.sql",
            """
            flights.yaml:11:17: there is no SQL file `totals.sql`; did you mean `total.sql`?
                sum_up: {sql: totals.sql}
                              ^^^^^^^^^^
              looked for totals.sql
            """,
        ),
        (
            'sql: "SELECT 1 AS one"',
            "sql: SELECT carrier, count(*) FROM flown",
            """
            flights.yaml:11:33: task `sum_up` has no key `count(*) FROM flown`
                sum_up: {sql: SELECT carrier, count(*) FROM flown}
                                              ^^^^^^^^^^^^^^^^^^^
              put quotes around a text that has a comma or a colon in it
            """,
        ),
    ],
)
def test_a_slip_in_the_flights_file_is_shown_so(tmp_path: Path, before: str, after: str, expected: str) -> None:
    (tmp_path / "total.sql").write_text("SELECT 1")
    assert before in GOOD
    found = message(tmp_path, GOOD.replace(before, after, 1))
    assert found == shown(expected)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "flights.yaml: the file is empty\n  begin it with `pipeline: NAME`"),
        ("# only this\n", "flights.yaml: the file is empty\n  begin it with `pipeline: NAME`"),
        (
            "- a\n",
            "flights.yaml:1:1: a pipeline file is a mapping, and this is a list\n    - a\n    ^\n  begin it with `pipeline: NAME`",
        ),
        (
            "flights\n",
            "flights.yaml:1:1: a pipeline file is a mapping, and this is a text\n    flights\n    ^^^^^^^\n  begin it with `pipeline: NAME`",
        ),
        (
            "pipeline: p\n\twiring: x\n",
            "flights.yaml:2:1: a tab where YAML wants spaces\n    \twiring: x\n    ^\n  indent with spaces",
        ),
        (
            "pipeline: p: q\n",
            (
                "flights.yaml:1:12: not YAML: mapping values are not allowed here\n    pipeline: p: q\n               ^\n"
                "  put quotes around a text that begins with a special character, or has `: ` or ` #` in it"
            ),
        ),
        (
            "pipeline: @p\n",
            (
                "flights.yaml:1:11: not YAML: found character '@' that cannot start any token\n    pipeline: @p\n              ^\n"
                "  put quotes around a text that begins with a special character, or has `: ` or ` #` in it"
            ),
        ),
        (
            "pipeline: p\nlinks: {a: [x,\n  y}\n",
            (
                "flights.yaml:3:4: not YAML: expected ',' or ']', but got '}' (while parsing a flow sequence, from line 2)\n    y}\n     ^\n"
                "  put quotes around a text that begins with a special character, or has `: ` or ` #` in it"
            ),
        ),
        (
            "pipeline: &p flights\nwiring: *p\n",
            (
                "flights.yaml:2:9: `*p`: aliases are not for pipeline files\n    wiring: *p\n            ^\n"
                "  write the value out where it is needed"
            ),
        ),
        (
            "a: " + "[" * 40,
            "flights.yaml:1:19: nested deeper than 16 levels\n    a: "
            + "[" * 40
            + "\n"
            + " " * 22
            + "^\n  a pipeline file needs about five",
        ),
        (
            "pipeline: p\n---\npipeline: q\n",
            "flights.yaml:2:1: a second document begins here\n    ---\n    ^\n  one file holds one pipeline: take out `---`",
        ),
        (
            "pipeline: a\x07b\n",
            (
                "flights.yaml:1:12: the character U+0007 may not stand in a YAML file\n    pipeline: a\N{REPLACEMENT CHARACTER}b\n"
                "               ^\n  take it out, or is this another kind of file?"
            ),
        ),
        (b"pipeline: p\nwiring: \xe5\n", "flights.yaml:2: byte 21 of the file, 0xe5, is not UTF-8\n  save the file as UTF-8"),
        ("pipeline: p".encode("utf-16"), "flights.yaml:1: byte 1 of the file, 0xff, is not UTF-8\n  save the file as UTF-8"),
        (
            b"#" * (1024 * 1024 + 1),
            "flights.yaml: is over 1 MiB, more than a pipeline file may have\n  is it a data file?",
        ),
    ],
)
def test_a_file_that_is_no_yaml_for_us_is_shown_so(tmp_path: Path, content: str | bytes, expected: str) -> None:
    assert message(tmp_path, content) == expected


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("pipeline: !name p", "`!name`: tags are not for pipeline files"),
        ("pipeline: !!python/name:os.system p", "`tag:yaml.org,2002:python/name:os.system`: tags are not for pipeline files"),
        ('pipeline: "p\\0"', "a text holds a character that no program can take (NUL, or half a pair)"),
        ('pipeline: "p\\ud800"', "a text holds a character that no program can take (NUL, or half a pair)"),
        ("pipeline: p\n? [a]\n: b", "a key has to be a text"),
        ("pipeline: p\n<<: {a: b}", "a pipeline file has no key `<<`"),
    ],
)
def test_yaml_beyond_texts_lists_and_mappings_is_refused(tmp_path: Path, line: str, what: str) -> None:
    assert what in message(tmp_path, GOOD.replace("pipeline: flights", line))


@pytest.mark.parametrize("encoding", ["latin-1", "UTF8", "utf-16", "cp1252"])
def test_an_encoding_is_a_codec_of_text(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "flights.yaml"
    path.write_text(GOOD.replace("nulls: [NA]", f"encoding: {encoding}"))
    assert load_pipeline(path).links["flights"].dialect.encoding == encoding
    path.write_text(GOOD.replace("nulls: [NA]", "encoding: base64"))
    with pytest.raises(PipelineFileInvalid, match="`base64` is not an encoding of text"):
        load_pipeline(path)


def test_all_problems_are_shown_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    broken = GOOD.replace("(flown, airlines)", "(flwn, airlines)").replace("pipeline: f", "pipeline: F").replace("run:", "rn:")
    places = [line.split(": ")[0] for line in message(tmp_path, broken).splitlines() if line.startswith("flights.yaml")]
    assert places == ["flights.yaml:1:11", "flights.yaml:4:4", "flights.yaml:10:12"]


def test_beyond_twenty_problems_are_counted(tmp_path: Path) -> None:
    found = message(tmp_path, GOOD + "".join(f"key{number}: x\n" for number in range(25)))
    assert found.count("a pipeline file has no key") == 20
    assert found.endswith("\nand 5 more")


def test_a_long_line_is_cut_around_the_caret(tmp_path: Path) -> None:
    words = ", ".join(f"link_{number}" for number in range(60))
    found = message(tmp_path, GOOD.replace("(flown, cancelled)", f"(flown, cancelled, {words}, Bad, {words})"))
    _, line, carets, _ = next(part for part in found.split("flights.yaml:") if "`Bad`" in part).splitlines()
    assert len(line) < 120
    assert line[carets.index("^") : carets.rindex("^") + 1] == "Bad"


def test_carets_stand_below_wide_characters_and_tabs(tmp_path: Path) -> None:
    _, line, carets, _ = message(tmp_path, 'pipeline: p\nwiring: "(航空*)\tt\t(b) x"\ntasks: {t: {run: x}}\n').split("\n")[-4:]
    assert line == '    wiring: "(航空*)\tt\t(b) x"'
    assert carets == "    " + " " * 16 + "\t \t    ^"


@pytest.mark.parametrize(
    ("wiring", "place"),
    [
        ("wiring: (a*) t (b) c", "2:20"),
        ('wiring: "(a*) t (b) c"', "2:21"),
        ("wiring: '(a*) t (b) c'", "2:21"),
        ("wiring: |\n\n  # first\n      (a*) t (b) c", "5:18"),
        ("wiring: |2\n    (a*) t (b) c", "3:16"),
        ("wiring: |-  # why\n  (a* whole,\n\n     b* whole) t (c) d\n", "5:22"),
        ("wiring: |\n  (a* whole,\n   b* whole) t (c) d", "4:20"),
        ("wiring: |\r\n  (a*) t (b) c\r\n", "3:14"),
        ('wiring: "(a*)\\n t (b) c"', "2:9"),
    ],
)
def test_places_inside_the_wiring_are_those_of_the_file(tmp_path: Path, wiring: str, place: str) -> None:
    assert message(tmp_path, f"pipeline: p\n{wiring}\ntasks: {{t: {{run: x}}}}\n").startswith(f"flights.yaml:{place}: ")


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert load_pipeline(tmp_path / "p.yaml").name == "flights"


def test_sql_in_a_file_is_read_from_beside_the_pipeline_file(tmp_path: Path) -> None:
    (tmp_path / "sql").mkdir()
    (tmp_path / "sql" / "totals.sql").write_text("SELECT 2 AS two\n")
    (tmp_path / "p.yaml").write_text(GOOD.replace('"SELECT 1 AS one"', "sql/totals.sql"))
    task = load_pipeline(tmp_path / "p.yaml").tasks["sum_up"]
    assert (task.sql, task.sql_path) == ("SELECT 2 AS two\n", str(tmp_path / "sql" / "totals.sql"))


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "the SQL file `q.sql` is empty"),
        (b"SELECT '\xff'", "the SQL file `q.sql` is not UTF-8: byte 9"),
        (b"SELECT \0", "the SQL file `q.sql` holds a NUL character"),
        (b" " * (1024 * 1024 + 1), "the SQL file `q.sql` is over 1 MiB"),
    ],
)
def test_an_sql_file_that_is_none_is_refused_at_the_line_that_names_it(tmp_path: Path, content: bytes, what: str) -> None:
    (tmp_path / "q.sql").write_bytes(content)
    assert message(tmp_path, GOOD.replace('"SELECT 1 AS one"', "q.sql")).startswith(f"flights.yaml:11:17: {what}\n")


pieces = st.lists(
    st.sampled_from(
        [*GOOD.splitlines(keepends=True), *'{}[]:,|>"&*!?-#', "(a*) t (b)\n", "  ", "\n", "\t", "wiring: |\n", "sql: x.sql", "\\u0000", "é"]
    ),
    max_size=25,
).map("".join)


@given(st.one_of(pieces, st.text(max_size=80)))
def test_any_text_is_a_pipeline_or_a_list_of_problems(text: str) -> None:
    document = read_yaml(text)
    if document.root is None:
        assert document.problems
        return
    declaration = read_declaration(document.root, Knowledge())
    parsed = parse_wiring(declaration.wiring.value if declaration.wiring else "")
    for problem in check(declaration, parsed, directory="/work"):
        assert problem.what
