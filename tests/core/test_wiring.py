"""The wiring grammar: what is read, where it stands, and what is said about what cannot be read."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkd.core import graph, policy_checks
from linkd.core.diagnostics import Span
from linkd.core.policies import WirePolicy, WirePolicyKind, render_policy
from linkd.core.wiring import Origin, Wire, WiredTask, Wiring, parse_wiring, render_wiring


def only_problem(text: str) -> tuple[Span | None, str, str]:
    parsed = parse_wiring(text)
    assert len(parsed.problems) == 1, parsed.problems
    problem = parsed.problems[0]
    return problem.span, problem.what, problem.remedy


def graph_problems(text: str, sources: tuple[str, ...] = ()) -> list[str]:
    parsed = parse_wiring(text)
    assert not parsed.problems
    found = [
        *graph.name_problems(parsed.wiring),
        *policy_checks.policy_problems(parsed.wiring),
        *graph.writer_problems(parsed.wiring, sources),
        *graph.unwritten_problems(parsed.wiring, sources),
        *graph.cycle_problems(parsed.wiring),
    ]
    return [problem.what for problem in found]


def test_the_flagship_is_two_tasks_with_their_wires() -> None:
    parsed = parse_wiring("(flights)          clean   (flown, cancelled)\n(flown, airlines)  sum_up  (totals)\n")
    assert (parsed.problems, parsed.is_complete) == ((), True)
    assert [(task.name, [w.link for w in task.inputs], [w.link for w in task.outputs]) for task in parsed.wiring.tasks] == [
        ("clean", ["flights"], ["flown", "cancelled"]),
        ("sum_up", ["flown", "airlines"], ["totals"]),
    ]


def test_every_wire_and_task_knows_its_place() -> None:
    task = parse_wiring("\n  (a, b* whole) t (c)").wiring.tasks[0]
    assert task.span == Span(2, 17, 1)
    assert [wire.span for wire in (*task.inputs, *task.outputs)] == [Span(2, 4, 1), Span(2, 7, 1), Span(2, 20, 1)]
    assert task.inputs[1].policy_span == Span(2, 10, 5)


def test_places_are_those_of_the_file_around_the_text() -> None:
    parsed = parse_wiring("(a) t (b)\n(b) u (c", [Origin(10, 5), Origin(11, 9)])
    assert parsed.wiring.tasks[0].span == Span(10, 9, 1)
    assert parsed.problems[0].span == Span(11, 15, 1)


def test_lines_break_inside_parentheses_and_comments_end_them() -> None:
    text = "# all of it\n(a whole, # first\n   b whole) t (c, # c\n d)# end\n\n()u(e)\n"
    assert render_wiring(parse_wiring(text).wiring) == "(a whole, b whole) t (c, d)\n() u (e)\n"


@pytest.mark.parametrize(
    ("written", "policy"),
    [
        ("w", WirePolicy()),
        ("w whole", WirePolicy(WirePolicyKind.WHOLE)),
        ("w latest", WirePolicy(WirePolicyKind.LATEST)),
        ("w implicit", WirePolicy(WirePolicyKind.LATEST)),
        ("w swap", WirePolicy(WirePolicyKind.SWAP)),
        ("w merge", WirePolicy(WirePolicyKind.MERGE)),
        ("w align", WirePolicy(WirePolicyKind.ALIGN)),
        ("w[10]", WirePolicy(WirePolicyKind.COUNT, 10)),
        ("w [ 2 - 4 ]", WirePolicy(WirePolicyKind.RANGE, 2, 4)),
        ("w[10/1]", WirePolicy(WirePolicyKind.SLIDE, 10, 1)),
        ("w[1000 rows]", WirePolicy(WirePolicyKind.ROWS, 1000)),
        ("w[1 row]", WirePolicy(WirePolicyKind.ROWS, 1)),
        ("w[10s]", WirePolicy(WirePolicyKind.TIME, 10_000)),
        ("w[250ms]", WirePolicy(WirePolicyKind.TIME, 250)),
        ("w[1h/5m]", WirePolicy(WirePolicyKind.TIME_SLIDE, 3_600_000, 300_000)),
        ("w[2d / 1d]", WirePolicy(WirePolicyKind.TIME_SLIDE, 172_800_000, 86_400_000)),
        ("w*[10]", WirePolicy(WirePolicyKind.COUNT, 10)),
    ],
)
def test_every_policy_of_the_design_is_read(written: str, policy: WirePolicy) -> None:
    parsed = parse_wiring(f"({written}, other) t (out)")
    assert parsed.problems == ()
    assert parsed.wiring.tasks[0].inputs[0].policy == policy


@pytest.mark.parametrize("written", ["w[10s]", "w[1h/5m]", "w merge", "w align"])
def test_a_policy_of_a_later_version_is_refused_by_name(written: str) -> None:
    found = policy_checks.policy_problems(parse_wiring(f"({written}) t (out)").wiring)
    policy = written[1:].strip()
    assert [problem.what for problem in found] == [f"`{written}`: the policy `{policy}` comes with a later version of linkd"]
    assert found[0].span == Span(1, 3 if policy.startswith("[") else 4, len(policy))
    assert "`[N rows]`" in found[0].remedy


@pytest.mark.parametrize(
    ("written", "what"),
    [
        ("w[100001]", "a window of 100,001 values; a window holds at most 100,000"),
        ("w[1-100001]", "a window of 100,001 values; a window holds at most 100,000"),
        ("w[100001/1]", "a window of 100,001 values; a window holds at most 100,000"),
        ("w[10000001 rows]", "a window of 10,000,001 rows; a window holds at most 10,000,000"),
    ],
)
def test_a_window_that_no_program_could_hold_is_refused_with_its_bound(written: str, what: str) -> None:
    found = policy_checks.policy_problems(parse_wiring(f"({written}) t (out)").wiring)
    assert [(problem.span, problem.what) for problem in found] == [(Span(1, 3, len(written) - 1), f"`{written}`: {what}")]


@pytest.mark.parametrize(
    "written", ["a*", "b whole", "c latest", "c implicit", "d swap", "e[10]", "e[100000]", "f[2-4]", "g[4/2]", "h[10000000 rows]"]
)
def test_what_has_a_meaning_is_not_refused(written: str) -> None:
    assert policy_checks.policy_problems(parse_wiring(f"({written}) t (out)").wiring) == []


def test_a_star_opens_an_input_and_means_nothing_at_an_output() -> None:
    task = parse_wiring("(in_1*) t (out_1*)").wiring.tasks[0]
    assert (task.inputs[0].is_open, task.outputs[0].is_open) == (True, False)


@pytest.mark.parametrize(
    ("text", "span", "what"),
    [
        ("(a t (b)", Span(1, 1, 1), "this `(` is not closed"),
        ("(a) t (b", Span(1, 7, 1), "this `(` is not closed"),
        ("(a) t", Span(1, 5, 1), "the outputs of task `t` are missing"),
        ("(a) (b)", Span(1, 4, 1), "the name of a task is missing here"),
        ("(a)", Span(1, 4, 1), "the name of a task is missing here"),
        ("(a) , (b)", Span(1, 5, 1), "`,` is not the name of a task"),
        ("(a) t* (b)", Span(1, 6, 1), "`*` between task `t` and its outputs has no meaning"),
        ("a t (b)", Span(1, 1, 1), "`a` is not the beginning of a line"),
        (")", Span(1, 1, 1), "`)` is not the beginning of a line"),
        ("[tfmodel]\n(a) t (b)", Span(1, 1, 9), "`[tfmodel]` stands alone"),
        ("(a) t (b) c", Span(1, 11, 1), "`c` stands behind the outputs of `t`"),
        ("(a) t (b) (c) u (d)", Span(1, 11, 1), "`(` stands behind the outputs of `t`"),
        ("(*) t (b)", Span(1, 2, 1), "`*` is not the name of a link"),
        ("([10]) t (b)", Span(1, 2, 4), "`[10]` is not the name of a link"),
        ("(a[1]*) t (b)", Span(1, 6, 1), "`*` behind `a[1]` has no meaning"),
        ("(a]) t (b)", Span(1, 3, 1), "`]` behind `a` has no meaning"),
        ("(a,, b) t (c)", Span(1, 4, 1), "a wire is missing before this comma"),
        ("(, b) t (c)", Span(1, 2, 1), "a wire is missing before this comma"),
        ("(a,) t (c)", Span(1, 4, 1), "a wire is missing before `)`"),
        ("(a b) t (c)", Span(1, 4, 1), "there is no comma between `a` and `b`"),
        ("(a whole b) t (c)", Span(1, 10, 1), "there is no comma between `a whole` and `b`"),
        ("(flights airlines) t (c)", Span(1, 10, 8), "there is no comma between `flights` and `airlines`"),
        ("(a hole) t (c)", Span(1, 4, 4), "`hole` is not a policy; did you mean `whole`?"),
        ("(a whole latest) t (c)", Span(1, 10, 6), "`latest` stands behind `a whole`"),
        ("(a[10] whole) t (c)", Span(1, 8, 5), "`whole` stands behind `a[10]`"),
        ("(a) t (c[10])", Span(1, 9, 4), "`[10]` behind the output `c`: only inputs have policies"),
        ("(a) t (c whole)", Span(1, 10, 5), "`whole` behind the output `c`: only inputs have policies"),
        ("(a[10) t (c)", Span(1, 3, 3), "this `[` is not closed"),
        ("(a[]) t (c)", Span(1, 3, 2), "`[]` is not a window"),
        ("(a[x]) t (c)", Span(1, 3, 3), "`[x]` is not a window"),
        ("(a[1e3]) t (c)", Span(1, 3, 5), "`[1e3]` is not a window"),
        ("(a[0]) t (c)", Span(1, 3, 3), "`[0]` would never hold anything"),
        ("(a[0s]) t (c)", Span(1, 3, 4), "`[0s]` would never hold anything"),
        ("(a[5/0]) t (c)", Span(1, 3, 5), "`[5/0]` would never hold anything"),
        ("(a[0-0]) t (c)", Span(1, 3, 5), "`[0-0]` would never hold anything"),
        ("(a[4-2]) t (c)", Span(1, 3, 5), "`[4-2]` has its bounds the wrong way round"),
        ("(a[2/4]) t (c)", Span(1, 3, 5), "`[2/4]` would pass values by: it moves further than the window is long"),
    ],
)
def test_what_cannot_be_read_is_told_at_its_place(text: str, span: Span, what: str) -> None:
    found = only_problem(text)
    assert found[:2] == (span, what)
    assert found[2], "every one of them has a remedy"


def test_reading_goes_on_behind_a_line_that_cannot_be_read() -> None:
    parsed = parse_wiring("(a t (b)\n(b) u (c) d\n(c) v\n(c) w (e)")
    assert [problem.span and problem.span.line for problem in parsed.problems] == [1, 2, 3]
    assert [task.name for task in parsed.wiring.tasks] == ["u", "w"]
    assert not parsed.is_complete


@pytest.mark.parametrize(
    ("text", "sources", "what"),
    [
        ("(a) t (b)\n(a) u (b)", ("a",), "`b` has two writers: tasks `t` and `u`"),
        ("(a) t (b)", ("a", "b"), "`b` has two writers: task `t` and the `from:` of the link"),
        ("(a*) t (b)", ("a",), "`a` has two writers: the `from:` of the link, and whoever is outside (`*`)"),
        ("(a) t (b)\n(b*) u (c)", ("a",), "`b` has two writers: task `t`, and whoever is outside (`*`)"),
        ("(flwn) t (b)", ("flown",), "nothing writes `flwn`; did you mean `flown`?"),
        ("(flwn) t (zzz)", (), "nothing writes `flwn`"),
        ("(a whole, a whole) t (b)", ("a",), "`a` is an input of task `t` twice"),
        ("(a) t (b, b)", ("a",), "`b` is an output of task `t` twice"),
        ("(a) t (b)\n(a) t (c)", ("a",), "task `t` is wired twice"),
        ("(a) b (b)", ("a",), "`b` is both a task and a link"),
        ("() t ()", (), "task `t` has neither inputs nor outputs"),
        ("(a) t (a)", (), "the task `t` reads what it writes: t -> t"),
        ("(a) t (b)\n(b) u (a)", (), "the tasks t -> u -> t go in a circle"),
        ("(c) v (a)\n(a) t (b)\n(b) u (c)\n(c) w (d)", (), "the tasks v -> t -> u -> v go in a circle"),
        ("(a) Clean (b)", ("a",), "`Clean` cannot be the name of a task"),
    ],
)
def test_a_graph_that_cannot_run_is_told_by_name(text: str, sources: tuple[str, ...], what: str) -> None:
    found = graph_problems(text, sources)
    assert len(found) == 1
    assert found[0].startswith(what)


def test_every_circle_is_told_once() -> None:
    text = "(a) t (b)\n(b) u (a)\n(c) v (d)\n(d) w (c)\n(b whole, d whole) x (e)"
    assert graph_problems(text) == ["the tasks t -> u -> t go in a circle", "the tasks v -> w -> v go in a circle"]


def test_a_long_chain_is_no_circle() -> None:
    text = "".join(f"(l{number}) t{number} (l{number + 1})\n" for number in range(1000))
    assert graph_problems(text, ("l0",)) == []


NO_SPAN = Span(1, 1)
names = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
policies = st.one_of(
    st.sampled_from([WirePolicyKind.BARE, WirePolicyKind.WHOLE, WirePolicyKind.LATEST, WirePolicyKind.SWAP]).map(WirePolicy),
    st.sampled_from([WirePolicyKind.MERGE, WirePolicyKind.ALIGN]).map(WirePolicy),
    st.sampled_from([WirePolicyKind.COUNT, WirePolicyKind.ROWS, WirePolicyKind.TIME]).flatmap(
        lambda kind: st.integers(1, 10**8).map(lambda first: WirePolicy(kind, first))
    ),
    st.tuples(st.integers(1, 10**8), st.integers(0, 10**8)).map(
        lambda pair: WirePolicy(WirePolicyKind.RANGE, min(pair), max(pair)),
    ),
    st.tuples(st.sampled_from([WirePolicyKind.SLIDE, WirePolicyKind.TIME_SLIDE]), st.integers(1, 10**8), st.integers(1, 10**8)).map(
        lambda parts: WirePolicy(parts[0], max(parts[1:]), min(parts[1:]))
    ),
)
inputs = st.builds(Wire, link=names, span=st.just(NO_SPAN), is_open=st.booleans(), policy=policies)
outputs = st.builds(Wire, link=names, span=st.just(NO_SPAN))
tasks = st.builds(
    WiredTask,
    name=names,
    span=st.just(NO_SPAN),
    inputs=st.lists(inputs, max_size=4).map(tuple),
    outputs=st.lists(outputs, max_size=3).map(tuple),
)


def without_places(wiring: Wiring) -> Wiring:
    def bare(wire: Wire) -> Wire:
        return replace(wire, span=NO_SPAN, policy_text="", policy_span=None)

    return Wiring(
        tuple(
            replace(task, span=NO_SPAN, inputs=tuple(map(bare, task.inputs)), outputs=tuple(map(bare, task.outputs)))
            for task in wiring.tasks
        )
    )


@given(st.lists(tasks, max_size=5).map(lambda found: Wiring(tuple(found))))
def test_a_wiring_survives_its_own_text(wiring: Wiring) -> None:
    # Words that are policies are names too: their place tells them apart.
    parsed = parse_wiring(render_wiring(wiring))
    assert parsed.problems == ()
    assert without_places(parsed.wiring) == wiring


@given(st.text(alphabet="(),*[]#/-ab 1w\n\t\r\x85\u2028é", max_size=60))
def test_any_text_gives_tasks_or_problems_with_a_place_inside_it(text: str) -> None:
    parsed = parse_wiring(text)
    assert parsed.is_complete or parsed.problems
    lines = len(text.splitlines()) + 1
    for problem in parsed.problems:
        assert problem.span is not None
        assert 1 <= problem.span.line <= lines
    assert isinstance(graph.cycle_problems(parsed.wiring), list)
    assert isinstance(graph.name_problems(parsed.wiring), list)


@given(policies)
def test_a_policy_is_one_text_behind_the_name(policy: WirePolicy) -> None:
    assert render_policy(policy) == "" or render_policy(policy)[0] in " ["
