"""From declarations and wiring to the pipeline: the model that everybody else uses, and every reason why there is none."""

import pytest

from linkd.app.yaml_document import read_yaml
from linkd.core.assembly import assemble, check
from linkd.core.declaration import read_declaration
from linkd.core.declared import Knowledge
from linkd.core.pipeline import CsvDialect, InputSpec, LinkSpec, Pipeline, TaskSpec
from linkd.core.substitution import is_sql_path
from linkd.core.wiring import parse_wiring
from linkd.model.records import TaskKind
from linkd.model.terms import Handover, LinkTerms, OnFull, Order, Retain, TaskTerms
from linkd.model.values import Durability


def whats(text: str) -> list[str]:
    document = read_yaml(text)
    assert document.root is not None, document.problems
    declaration = read_declaration(
        document.root, Knowledge(is_zone=lambda zone: zone in ("UTC", "Europe/Oslo"), is_codec=lambda codec: codec != "klingon")
    )
    parsed = parse_wiring(declaration.wiring.value if declaration.wiring else "")
    return [problem.what for problem in check(declaration, parsed, directory="/work")]


def build(text: str) -> Pipeline:
    assert whats(text) == []
    document = read_yaml(text)
    assert document.root is not None
    declaration = read_declaration(document.root, Knowledge())
    parsed = parse_wiring(declaration.wiring.value if declaration.wiring else "")
    return assemble(declaration, parsed.wiring, {}, path="/work/p.yaml", directory="/work")


def file(wiring: str = "(a) t (b)", links: str = "{a: {from: a.csv}}", tasks: str = "{t: {run: x}}", more: str = "") -> str:
    block = "".join(f"  {line}\n" for line in wiring.splitlines())
    return f"pipeline: p\nwiring: |\n{block}links: {links}\ntasks: {tasks}\n{more}"


def test_a_program_with_one_input_takes_each_value_in_turn() -> None:
    pipeline = build(file())
    assert pipeline.tasks == {"t": TaskSpec("t", TaskKind.RUN, (InputSpec("a", "each"),), ("b",), command="x")}
    assert pipeline.links == {
        "a": LinkSpec("a", source="a.csv", readers=("t",)),
        "b": LinkSpec("b", writer="t"),
    }
    assert (pipeline.name, pipeline.path, pipeline.directory) == ("p", "/work/p.yaml", "/work")


def test_a_program_takes_the_whole_of_what_it_asks_for_whole() -> None:
    pipeline = build(file("(a whole, c* whole) t (b)"))
    assert [given.policy for given in pipeline.tasks["t"].inputs] == ["whole", "whole"]
    assert pipeline.links["c"] == LinkSpec("c", is_open=True, readers=("t",))


@pytest.mark.parametrize(
    ("inputs", "policies"),
    [
        ("a, c* latest", ["each", "latest"]),
        ("a whole, c* implicit", ["whole", "latest"]),
        ("a swap, c* swap", ["swap", "swap"]),
        ("a[1], c*[ 4 / 2 ]", ["[1]", "[4/2]"]),
        ("a[2-4], c*[100 rows]", ["[2-4]", "[100 rows]"]),
    ],
)
def test_a_program_takes_several_inputs_as_it_says(inputs: str, policies: list[str]) -> None:
    pipeline = build(file(f"({inputs}) t (b)"))
    assert [given.policy for given in pipeline.tasks["t"].inputs] == policies


def test_a_select_takes_its_inputs_whole_without_being_told() -> None:
    pipeline = build(file("(a, c* whole) t (b)", tasks="{t: {sql: SELECT 1}}"))
    assert pipeline.tasks["t"].kind is TaskKind.SQL
    assert pipeline.tasks["t"].sql == "SELECT 1"
    assert [given.policy for given in pipeline.tasks["t"].inputs] == ["whole", "whole"]


def test_a_list_of_words_is_a_command_without_a_shell() -> None:
    assert build(file(tasks='{t: {run: [python, "a b.py", ""], version: 1e3}}')).tasks["t"].command == ("python", "a b.py", "")


def test_texts_stay_what_was_written() -> None:
    pipeline = build(file(links="{a: {from: on, nulls: [NO, 1e3, 2013-01-01, ~, '']}}", tasks="{t: {run: yes, version: 1.10}}"))
    assert pipeline.links["a"].source == "on"
    assert pipeline.links["a"].nulls == ("NO", "1e3", "2013-01-01", "~", "")
    assert (pipeline.tasks["t"].command, pipeline.tasks["t"].version) == ("yes", "1.10")


def test_a_schema_keeps_its_order_and_is_canonical() -> None:
    pipeline = build(file(links='{a: {from: a.csv, schema: {z: int64, at: "timestamp[s,UTC]", day: date, "a b": "decimal(9,2)"}}}'))
    assert list((pipeline.links["a"].schema or {}).items()) == [
        ("z", "int64"),
        ("at", "timestamp[s, UTC]"),
        ("day", "date32"),
        ("a b", "decimal(9, 2)"),
    ]


def test_a_source_that_rejects_rows_has_a_link_for_them() -> None:
    pipeline = build(file(links="{a: {from: a.csv, on_bad_row: reject}}"))
    assert list(pipeline.links) == ["a", "a.rejects", "b"]
    assert pipeline.links["a.rejects"] == LinkSpec("a.rejects", rejects_of="a")


def test_a_link_from_file_to_file_needs_no_wire() -> None:
    pipeline = build("pipeline: p\nlinks: {a: {from: a.csv, to: a.parquet, format: csv}}")
    assert pipeline.links == {"a": LinkSpec("a", source="a.csv", sink="a.parquet", format="csv")}
    assert pipeline.tasks == {}


def test_without_a_wiring_links_that_have_no_source_are_for_outsiders() -> None:
    links = build("pipeline: p\nlinks: {a: {durability: memory, retain: 1h}, b: {to: b.csv}, c: {from: x, to: y}}\n").links
    assert {name: link.is_open for name, link in links.items()} == {"a": True, "b": True, "c": False}
    assert links["a"].terms.durability is Durability.MEMORY


def test_the_wiring_text_does_not_change_with_white_space_and_comments() -> None:
    assert build(file("( a )   t(b) # why")).wiring_text == build(file()).wiring_text == "(a) t (b)\n"


def test_a_task_may_write_nothing_or_read_nothing() -> None:
    pipeline = build(file("(a) t ()\n() u (c)", tasks="{t: {run: x}, u: {run: y}}"))
    assert (pipeline.tasks["t"].outputs, pipeline.tasks["u"].inputs) == ((), ())


def test_a_task_has_its_environment_its_attempts_and_its_time() -> None:
    tasks = "{t: {run: x, env: {TZ: UTC, EMPTY: ''}, retries: 2, timeout: 10m, every: 500ms, on_change: continue}, u: {sql: SELECT 1}}"
    pipeline = build(file("(a) t (b)\n(b) u (c)", tasks=tasks, more="on_change: rerun"))
    task = pipeline.tasks["t"]
    assert (task.env, task.retries, task.timeout_s, task.every_s) == ({"TZ": "UTC", "EMPTY": ""}, 2, 600.0, 0.5)
    assert (task.on_change, pipeline.tasks["u"].on_change) == ("continue", "rerun")


def test_links_and_tasks_say_their_terms() -> None:
    links = "{a: {from: a.csv, durability: interval, interval: 250ms, retain: 7d}, "
    links += "b: {retain: {size: 1GB, values: 9, hard: true}, bound: 64MiB, on_full: refuse, handover: copy}}"
    pipeline = build(file(links=links, tasks="{t: {run: x, order: key, key: n, lease: 5m, max_attempts: 3, timeout: 1h}}"))
    assert pipeline.links["a"].terms == LinkTerms(Durability.INTERVAL, 0.25, Retain(age_s=7 * 86_400))
    retain = Retain(size_bytes=10**9, values=9, hard=True)
    assert pipeline.links["b"].terms == LinkTerms(retain=retain, bound_bytes=64 * 2**20, on_full=OnFull.REFUSE, handover=Handover.COPY)
    assert pipeline.tasks["t"].terms == TaskTerms(Order.KEY, "n", 300.0, 3600.0, 3)


def test_a_link_says_how_its_files_are_written() -> None:
    text = (
        r"""{from: a.txt, format: csv, header: false, separator: '\t', quote: '', encoding: latin-1, decimal: ',', schema: {x: float64}}"""
    )
    pipeline = build(file(links=f"{{a: {text}, b: {{to: out/, mode: parts, overwrite: true, every: 1m}}}}"))
    assert pipeline.links["a"].dialect == CsvDialect(header=False, separator="\t", quote="", encoding="latin-1", decimal=",")
    sink = pipeline.links["b"]
    assert (sink.query, sink.key) == (None, ())
    database = "from: 'postgresql://db/shop', query: SELECT 1 AS id, key: id, to: 'postgresql://db/shop?table=t', mode: upsert"
    copied = build(file(links=f"{{a: {text}, b: {{to: out/}}, c: {{{database}}}}}")).links["c"]
    assert (copied.query, copied.key, copied.mode) == ("SELECT 1 AS id", ("id",), "upsert")
    several = build(file(links="{a: {from: 'postgresql://db/shop', key: [day, id]}, b: {to: out/}}")).links["a"]
    assert several.key == ("day", "id")
    assert (sink.mode, sink.overwrite, sink.every_s, sink.dialect) == ("parts", True, 60.0, CsvDialect())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (file("(a, c*) t (b)"), ["task `t` has 2 inputs and does not say how they are put together"]),
        (
            file("(a, c* whole) t (b)"),
            ["task `t` takes `c` whole and `a` value by value, and these cannot be put together"],
        ),
        (file("(a swap, c* whole) t (b)"), ["task `t` takes `c` whole and `a` by `swap`, and these cannot be put together"]),
        (file("(a[2], c* whole) t (b)"), ["task `t` takes `c` whole and `a` batch by batch, and these cannot be put together"]),
        (file("(a[2], c*) t (b)"), ["task `t` does not say how many values of `c` go with `a[2]`"]),
        (
            file("(a latest) t (b)"),
            ["task `t` would never run: `latest` is read when the task runs, and never makes it run"],
        ),
        (
            file("(a[4/2], c*) t (b)", tasks="{t: {sql: SELECT 1}}"),
            ["task `t` takes `c` whole and `a` batch by batch, and these cannot be put together"],
        ),
        (file("(a[100001]) t (b)"), ["`a[100001]`: a window of 100,001 values; a window holds at most 100,000"]),
        (file("(a) t ()", tasks="{t: {sql: SELECT 1}}"), ["the SQL task `t` has no output: its rows would go nowhere"]),
        (file(tasks="{}"), ["task `t` has no code: `tasks:` does not name it"]),
        (file(tasks="{tt: {run: x}}"), ["task `t` has no code: `tasks:` does not name it; did you mean `tt`?"]),
        (file(tasks="{t: {run: x}, clean: {run: y}}"), ["no line of the wiring names task `clean`"]),
        (file(tasks="{t: }"), ["task `t` has no code: neither `run:` nor `pipe:` nor `sql:`"]),
        (file(tasks="{t: {version: 1}}"), ["task `t` has no code: neither `run:` nor `pipe:` nor `sql:`"]),
        (file(tasks="{t: python t.py}"), ["`tasks.t` does not say what kind of program this is"]),
        (file(tasks="{t: {run: x, sql: SELECT 1}}"), ["task `t` has both `run:` and `sql:`"]),
        (file(tasks="{t: {run: ''}}"), ["`tasks.t.run` is empty"]),
        (file(tasks="{t: {run: []}}"), ["`tasks.t.run` names no program"]),
        (file(tasks="{t: {run: ['', x]}}"), ["`tasks.t.run` names no program"]),
        (file(tasks="{t: {run: {a: b}}}"), ["`tasks.t.run` is a mapping where a list belongs", "`tasks.t.run` names no program"]),
        (file(tasks="{t: {sql: [SELECT 1]}}"), ["`tasks.t.sql` is a list where a text belongs"]),
        (file(tasks='{t: {run: "x ${params.year}"}}'), ["there is no parameter `year`"]),
        (file(tasks=f"{{t: {{run: x, version: {'1' * 129}}}}}"), ["`tasks.t.version` has 129 characters"]),
        (file(tasks="{t: {run: x, image: y}}"), ["`image` has no meaning yet in this version of linkd"]),
        (file(tasks="{t: {run: x, retries: -1}}"), ["`tasks.t.retries` is no whole number from 0 to 100: `-1`"]),
        (file(tasks="{t: {run: x, retries: 101}}"), ["`tasks.t.retries` is no whole number from 0 to 100: `101`"]),
        (file(tasks="{t: {run: x, timeout: 10}}"), ["`tasks.t.timeout` is no span of time: `10`"]),
        (file(tasks="{t: {run: x, timeout: 0s}}"), ["`tasks.t.timeout` of 0s is out of bounds"]),
        (file(tasks="{t: {run: x, every: 50d}}"), ["`tasks.t.every` of 50d is out of bounds"]),
        (file(tasks="{t: {run: x, on_change: again}}"), ["`tasks.t.on_change` cannot be `again`"]),
        (file(tasks="{t: {run: x, env: [A]}}"), ["`tasks.t.env` is a list where a mapping belongs"]),
        (file(tasks="{t: {run: x, env: {A: [b]}}}"), ["`tasks.t.env.A` is a list where a text belongs"]),
        (file(tasks="{t: {run: x, env: {1A: b}}}"), ["`1A` cannot be the name of a variable"]),
        (file(tasks="{t: {run: x, env: {LINKD_TASK: b}}}"), ["`LINKD_TASK`: variables that begin with LINKD_ are linkd's own"]),
        (file(tasks="{t: {sql: SELECT 1, env: {A: b}}}"), ["`env` is for programs, and `t` is a SELECT"]),
        (file(tasks="{t: {sql: SELECT $yaer}}", more="params: {year: 1}"), ["there is no parameter `yaer`; did you mean `year`?"]),
        (file(tasks="{t: {rum: x}}"), ["task `t` has no key `rum`; did you mean `run`?"]),
        (file(tasks="{t: {sql: SELECT a, b FROM a}}"), ["task `t` has no key `b FROM a`"]),
        (file(links="{a: a.csv}"), ["`links.a` is a text where a mapping belongs"]),
        (file(links="[a]"), ["`links` is a list where a mapping belongs", "nothing writes `a`"]),
        (file(links="{a: {from: [a.csv]}}"), ["`links.a.from` is a list where a text belongs"]),
        (file(links="{a: {from: ''}}"), ["`links.a.from` is empty"]),
        (file(links='{a: {from: "${env.HOME}/a.csv"}}'), ["`${env.HOME}`: it stands only in addresses"]),
        (file(links="{a: {from: a.csv, nulls: NA}}"), ["`links.a.nulls` is a text where a list belongs"]),
        (file(links="{a: {from: a.csv, nulls: [[NA]]}}"), ["`links.a.nulls` holds a list where a text belongs"]),
        (file(links="{a: {from: a.csv, null: [NA]}}"), ["link `a` has no key `null`; did you mean `nulls`?"]),
        (file(links="{a: {from: a.csv, sample: 1}}"), ["`sample` has no meaning yet in this version of linkd"]),
        (file(links="{a: {from: a.csv, durability: disk}}"), ["`links.a.durability` cannot be `disk`"]),
        (file(links="{a: {from: a.csv, interval: 1s}}"), ["`interval` says how long values may wait for the disk"]),
        (file(links="{a: {from: a.csv, durability: interval, interval: 1ms}}"), ["`links.a.interval` of 1ms is out of bounds"]),
        (file(links="{a: {from: a.csv, retain: for ever}}"), ["`links.a.retain` is neither an age nor a mapping"]),
        (file(links="{a: {from: a.csv, retain: {}}}"), ["`links.a.retain` bounds nothing"]),
        (file(links="{a: {from: a.csv, retain: {hard: true}}}"), ["`links.a.retain` bounds nothing"]),
        (file(links="{a: {from: a.csv, retain: {size: 10}}}"), ["`links.a.retain.size` is no size: `10`"]),
        (file(links="{a: {from: a.csv, bound: 0B}}"), ["`links.a.bound` of 0B is too small"]),
        (file(links="{a: {from: a.csv, on_full: refuse}}"), ["`links.a` is never full: it has no `bound:`"]),
        (file(links="{a: {from: a.csv, bound: 1GB, on_full: wait}}"), ["`links.a.on_full` cannot be `wait`"]),
        (file(tasks="{t: {run: x, order: key}}"), ["`tasks.t` is ordered by key, and no column is named"]),
        (file(tasks="{t: {run: x, key: n}}"), ["`key` names the column of `order: key`, and the order of `tasks.t` is `link`"]),
        (file(tasks="{t: {run: x, max_attempts: 0}}"), ["`tasks.t.max_attempts` of 0 would try nothing at all"]),
        (file(tasks="{t: {run: x, lease: 10ms}}"), ["`tasks.t.lease` of 10ms is out of bounds"]),
        (file(tasks="{t: {sql: SELECT 1, lease: 1m}}"), ["`lease` is for programs, and `tasks.t` is a SELECT"]),
        (file(links="{a: {from: a.csv, on_bad_row: skip}}"), ["`links.a.on_bad_row` cannot be `skip`"]),
        (file(links="{a: {from: a.csv, schema: {}}}"), ["`links.a.schema` names no column"]),
        (file(links="{a: {from: a.csv, schema: }}"), ["`links.a.schema` names no column"]),
        (file(links="{a: {from: a.csv, schema: [x]}}"), ["`links.a.schema` is a list where a mapping belongs"]),
        (file(links="{a: {from: a.csv, schema: {x: integer}}}"), ["`integer` is not a type; did you mean `int64`?"]),
        (file(links="{a: {from: a.csv, schema: {x: }}}"), ["`links.a.schema.x` is empty"]),
        (file(links='{a: {from: a.csv, schema: {x: "timestamp[s, Mars]"}}}'), ["`Mars` is not a time zone"]),
        (file(links="{a: {from: a.csv}, b: {nulls: [x]}}"), ["`nulls` says how a file is read, and `b` has no `from:`"]),
        (file(links="{a: {from: a.csv}, b: {on_bad_row: reject}}"), ["`on_bad_row` says how a file is read, and `b` has no `from:`"]),
        (file(links="{a: {from: a.csv}, b: {format: csv}}"), ["`format` says what a file holds, and `b` has neither `from:` nor `to:`"]),
        (file(links="{a: {from: a.csv, mode: append}}"), ["`mode` says how a file is written, and `a` has no `to:`"]),
        (file(links="{a: {from: a.csv, query: SELECT 1}}"), ["`query` is for databases, and `a` has none at its `from:`"]),
        (file(links="{a: {from: a.csv, key: id}}"), ["`key` is for databases, and `a` has none at its `from:` or `to:`"]),
        (file(links="{a: {from: 'pg://x', key: [id, id]}}"), ["`links.a.key` has a column twice, or one without a name"]),
        (file(links="{a: {from: a.csv}, b: {to: 'pg://x', mode: upsert}}"), ["`b` is to be written by key, and no column is named"]),
        (file(links="{a: {from: 'pg://x', query: 'SELECT ${params.x}'}}"), ["`${params.x}`: it does not stand in a query"]),
        (file(links="{a: {from: a.csv, overwrite: true}}"), ["`overwrite` says how a file is written, and `a` has no `to:`"]),
        (file(links="{a: {from: a.csv}, b: {to: b.csv, mode: add}}"), ["`links.b.mode` cannot be `add`"]),
        (file(links="{a: {from: a.csv}, b: {to: b.csv, overwrite: yes}}"), ["`links.b.overwrite` cannot be `yes`"]),
        (file(links="{a: {from: a.csv}, b: {header: true}}"), ["`header` says what a file holds, and `b` has neither `from:` nor `to:`"]),
        (file(links="{a: {from: a.csv}, b: {every: 1s}}"), ["`every` says when files are looked at, and `b` has neither"]),
        (file(links="{a: {from: a.csv, header: false}}"), ["`links.a.header` is false, and nothing says what the columns are called"]),
        (file(links="{a: {from: a.csv, separator: ab}}"), ["`links.a.separator` is one character, and `ab` is none"]),
        (file(links="{a: {from: a.csv, separator: ''}}"), ["`links.a.separator` is empty"]),
        (file(links="{a: {from: a.csv, separator: [x]}}"), ["`links.a.separator` is a list where a text belongs"]),
        (file(links='{a: {from: a.csv, quote: "\\n"}}'), ["`links.a.quote` is one character"]),
        (file(links="{a: {from: a.csv, decimal: ','}}"), ["`links.a` has `,` both between fields and in numbers"]),
        (file(links="{a: {from: a.csv, quote: ','}}"), ["`links.a` has `,` both between fields and around them"]),
        (file(links="{a: {from: a.csv, encoding: latin}}"), []),
        (file(links="{a: {from: a.csv, encoding: klingon}}"), ["`klingon` is not an encoding of text"]),
        (file(links="{a: {from: a.csv, format: parquet, header: true}}"), ["`header` concerns files in csv, and the format of `a` is"]),
        (file(links="{a: {from: a.csv, format: jsonl, encoding: latin-1}}"), []),
        (file(links="{a: {from: a.csv}, flown: {to: x.csv}}"), ["no wire is called `flown`"]),
        (file(links="{a: {from: a.csv}, order: {from: x.csv, to: y.csv}}"), ["`order` cannot be the name of a link: it is a word of SQL"]),
        (file("(flihgts) t (b)", links="{flights: {from: a.csv}}"), ["nothing writes `flihgts`; did you mean `flights`?"]),
        (file(links="{a: {from: a.csv, to: o.csv}, b: {to: ./o.csv}}"), ["`b` and `a` both write `./o.csv`"]),
        (file(links="{a: {from: a.csv}, b: {to: x/../a.csv}}"), ["`b` would overwrite `x/../a.csv`, which `a` reads"]),
        (file(links="{a: {from: a.csv, to: o.csv}, b: {to: /work/o.csv}}"), ["`b` and `a` both write `/work/o.csv`"]),
        (file(links="{a: {from: ../in/a.csv}, b: {to: /in/a.csv}}"), ["`b` would overwrite `/in/a.csv`, which `a` reads"]),
        (file(links="{a: {from: '*.csv'}, b: {to: /work/o.csv}}"), ["`b` would write `/work/o.csv`, which `a` reads with `*.csv`"]),
        (file(links="{a: {from: /work}, b: {to: o.csv}}"), ["`b` would write `o.csv`, which `a` reads with `/work`"]),
        (file(links="{a: {from: '**/*.csv'}, b: {to: ../o.csv}}"), []),
        (file(links="{a: {from: '*.csv'}, b: {to: ./o.csv}}"), ["`b` would write `./o.csv`, which `a` reads with `*.csv`"]),
        (file(links="{a: {from: '**/*.csv'}, b: {to: x/y/o.csv}}"), ["`b` would write `x/y/o.csv`, which `a` reads with `**/*.csv`"]),
        (file(links="{a: {from: 'x/*.csv'}, b: {to: x/, mode: parts}}"), ["`b` would write `x/`, which `a` reads with `x/*.csv`"]),
        (file(links="{a: {from: x/}, b: {to: x/o.csv}}"), ["`b` would write `x/o.csv`, which `a` reads with `x/`"]),
        (file(links="{a: {from: x, format: csv}, b: {to: x/o.csv.gz}}"), ["`b` would write `x/o.csv.gz`, which `a` reads with `x`"]),
        (file(links="{a: {from: x, format: csv}, b: {to: x/o.parquet}}"), []),
        (file(links="{a: {from: '*.csv'}, b: {to: out/o.csv}}"), []),
        (file(links="{a: {from: '*.csv'}, b: {to: .o.csv}}"), []),
        (file(links="{a: {from: 'x[0-9].csv'}, b: {to: xo.csv}}"), []),
        (file(more="on_change: never"), ["`on_change` cannot be `never`"]),
        (file(more="on: {kubernetes: {}}"), ["`on` has no meaning yet in this version of linkd"]),
        (file(more="task: {}"), ["a pipeline file has no key `task`; did you mean `tasks`?"]),
        ("pipeline: p\n", ["the file wires nothing"]),
        ("pipeline: p\nlinks: {a: {from: a.csv}}\n", ["the file wires nothing"]),
        ("pipeline: p\nlinks: {a: {from: a.csv}, b: {}}\n", ["the file wires nothing"]),
        ("pipeline: p\nlinks: {select: {}, my link: {}}\n", ["`select` cannot be", "`my link` cannot be"]),
        ("pipeline: p\nwiring:\n", ["`wiring` is empty"]),
        ("pipeline: p\nwiring: |\n  # nothing\n", ["the file wires nothing"]),
        ("pipeline: p\ntasks: {t: {run: x}}\n", ["the file wires nothing"]),
        ("wiring: (a*) t (b)\ntasks: {t: {run: x}}", ["the file does not say which pipeline it is"]),
        ("pipeline: My Pipeline\nwiring: (a*) t (b)\ntasks: {t: {run: x}}", ["`My Pipeline` cannot be the name of a pipeline: names are "]),
        ("pipeline: [p]\nwiring: (a*) t (b)\ntasks: {t: {run: x}}", ["`pipeline` is a list where a text belongs"]),
    ],
)
def test_a_file_that_makes_no_pipeline_says_why_and_nothing_else(text: str, expected: list[str]) -> None:
    found = whats(text)
    assert len(found) == len(expected), found
    for what, beginning in zip(found, expected, strict=True):
        assert what.startswith(beginning)


def test_too_many_tasks_are_refused_with_the_bound() -> None:
    wiring = "\n".join(f"() t{number} (l{number})" for number in range(1025))
    tasks = ", ".join(f"t{number}: {{run: x}}" for number in range(1025))
    assert whats(file(wiring, "{}", f"{{{tasks}}}")) == ["the pipeline has 1025 tasks"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("totals.sql", True),
        ("my queries/totals.sql", True),
        ("SELECT * FROM x.sql", False),
        ("select 1 -- totals.sql", False),
        ("selection.sql", True),
        ("WITH a AS (SELECT 1)\nSELECT * FROM a", False),
        ("FROM a", False),
        ("totals.SQL.txt", False),
    ],
)
def test_a_path_is_told_from_a_statement(text: str, expected: bool) -> None:
    assert is_sql_path(text) is expected
