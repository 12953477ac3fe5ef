"""`wiring.md`: the grammar, and each input policy with what it means and what it makes of an example.

The examples are put together by `linkd.core` itself when the page is made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from linkd.core import wiring
from linkd.core.policies import FAMILIES, WirePolicyKind
from linkd.limits import WINDOW_ROWS_MAX, WINDOW_VALUES_MAX
from pages.compositions import Example, snapshots
from pages.markdown import code, document, indented_block, table, ticked

EXAMPLES: Mapping[WirePolicyKind, Example] = {
    WirePolicyKind.BARE: Example("flights", "flights 3"),
    WirePolicyKind.WHOLE: Example("flown whole, airlines whole", "flown 3, airlines 1"),
    WirePolicyKind.LATEST: Example("flown, airlines latest", "flown 2, airlines 2"),
    WirePolicyKind.SWAP: Example("prices swap, orders swap", "prices 2, orders 1, orders 2, prices 1"),
    WirePolicyKind.COUNT: Example("flights[3]", "flights 7"),
    WirePolicyKind.RANGE: Example("flights[2-4]", "flights 9"),
    WirePolicyKind.SLIDE: Example("flights[3/2]", "flights 6"),
    WirePolicyKind.ROWS: Example("flights[25 rows]", "flights 6"),
}
MEANINGS: Mapping[WirePolicyKind, str] = {
    WirePolicyKind.BARE: (
        "Each value in turn, a snapshot for each. What a program with one input gets if nothing is said; with several inputs write `[1]`, or "
        "another policy: a file that does not say how they are put together is refused."
    ),
    WirePolicyKind.WHOLE: (
        "All values of the input's generation, once, when it is sealed; with several inputs when all of them are. The result replaces the "
        "generation of the output. SQL tasks take every input so, without the word. Under `--follow` the task begins again when its inputs "
        "have more and have been idle for `every:`."
    ),
    WirePolicyKind.LATEST: (
        "The newest value, looked up by each snapshot that the other inputs make; it never makes the task run, so another input must. In a run "
        "that ends nothing fires before the input is sealed, so a repeated run gives the same; under `--follow` it is what is newest at the "
        "moment. `implicit` is the old name."
    ),
    WirePolicyKind.SWAP: (
        "The newest value of each input, whenever one of them has a newer one; values passed over are done with. One snapshot at a time. "
        "What a snapshot holds depends on which values had arrived: it is recorded before it is handed out, which makes the attempts of one "
        "snapshot equal, but **two runs over equal inputs can differ**."
    ),
    WirePolicyKind.COUNT: "N values at a time. `[1]` is one value, for tasks with several inputs.",
    WirePolicyKind.RANGE: (
        "B values at a time. Under `--follow` as many as are there, from A up to B, so that a slow input is not waited for (what a snapshot "
        "holds is then recorded, as with `swap`)."
    ),
    WirePolicyKind.SLIDE: "Windows of N values; each begins S values behind the beginning of the one before. S is at most N.",
    WirePolicyKind.ROWS: (
        "N rows at a time, wherever the borders of values are: the first and the last value may belong to a snapshot in part. The values of "
        "the example have 10 rows each."
    ),
}
TITLES: Mapping[WirePolicyKind, str] = {
    WirePolicyKind.BARE: "flown (nothing)",
    WirePolicyKind.WHOLE: "flown whole",
    WirePolicyKind.LATEST: "flown latest",
    WirePolicyKind.SWAP: "flown swap",
    WirePolicyKind.COUNT: "flown[N]",
    WirePolicyKind.RANGE: "flown[A-B]",
    WirePolicyKind.SLIDE: "flown[N/S]",
    WirePolicyKind.ROWS: "flown[N rows]",
}
LATER: Mapping[WirePolicyKind, tuple[str, str]] = {
    WirePolicyKind.TIME: ("flown[10s]", "a window of event time; units ms, s, m, h, d"),
    WirePolicyKind.TIME_SLIDE: ("flown[1h/5m]", "a window of event time that moves by 5 minutes"),
    WirePolicyKind.MERGE: ("flown merge", "all inputs as one ordered stream"),
    WirePolicyKind.ALIGN: ("flown align", "values of all inputs with the same time"),
}


def page() -> str:
    return document(
        "The wiring",
        code("(flights)          clean   (flown, cancelled)\n(flown, airlines)  sum_up  (totals)"),
        "A line for each task: its inputs, its name, its outputs. A link has one writer and any number of readers; a link that nothing writes "
        "is an error, unless it has a source (`from:`) or is open.",
        code(indented_block(wiring.__doc__)),
        "`in*`: people and programs outside may append (`linkd append`). `out*` means an ordinary output. A cycle is refused. An output that "
        "nothing reads is kept, and can be looked at. `LINK.rejects` holds the rows of a source that did not fit.",
        "## Input policies",
        "A policy stands behind the name of an input and says what of it a *snapshot* holds: the portions that a program works on at once, and "
        "commits. Inputs side by side in one task are all `whole`, all `swap`, or all taken batch by batch (values and windows); `latest` goes "
        "with each of them. When every input of a batch has what it needs, there is a snapshot; an input that is sealed and empty gives "
        "nothing, and the others go on. A window that a seal cuts short is delivered with what it has, as `snap.partial`.",
        "What a snapshot of batches, and of `whole`, holds depends on the content of the links alone: a repeated run makes the same ones. Where a "
        "window stands survives `kill -9`.",
        *(part for kind in MEANINGS for part in _policy(kind)),
        f"A window has at most {WINDOW_VALUES_MAX:,} values or {WINDOW_ROWS_MAX:,} rows.",
        "## Later",
        "Read, and refused until they have a meaning:",
        table(("policy", "meaning"), ((ticked(form), meaning) for form, meaning in LATER.values())),
    )


def _policy(kind: WirePolicyKind) -> Iterator[str]:
    example = EXAMPLES[kind]
    assert kind in FAMILIES
    yield f"### {TITLES[kind]}"
    yield MEANINGS[kind]
    yield f"`({example.inputs}) task (out)` is handed, when there come {example.told}:"
    names = example.names
    yield table(("snapshot", *names), _rows(example))


def _rows(example: Example) -> Iterator[tuple[str, ...]]:
    for number, (held, partial) in enumerate(snapshots(example), start=1):
        yield (f"{number}{', partial' if partial else ''}", *(held[name] for name in example.names))
