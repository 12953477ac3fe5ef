"""The tree that `linkd trace --forward` prints."""

from __future__ import annotations

from collections.abc import Sequence

from linkd.app.cli.passport import document
from linkd.app.cli.posterity import posterity
from linkd.client.lineage import Ancestor, Descendant, Lineage, SinkCommit
from linkd.model.values import Envelope, Parent, Position

MADE_NS = 1_795_411_905_123_456_789
MADE = "2026-11-23T05:31:45.123Z"


def envelope(link: str, sequence: int, parents: Sequence[Parent] = (), task: str = "") -> Envelope:
    return Envelope(
        link.encode().ljust(16, b"\0"), link, Position(1, sequence), 1, 10, 100, b"", 0, MADE_NS, task, "4be20a71cafe" if task else "",
        parents=tuple(parents),
    )  # fmt: skip


def span(link: str, first: int, last: int) -> Parent:
    return Parent(link, 1, 1, first, last)


FLIGHTS = Ancestor(envelope("flights", 1), 0)
FLOWN = [Descendant(envelope("flown", number, [span("flights", 1, 1)], "clean"), 1) for number in (1, 2)]
CANCELLED = Descendant(envelope("cancelled", 1, [span("flights", 1, 1)], "clean"), 1)
TOTALS = Descendant(envelope("totals", 1, [span("flown", 1, 6), span("cancelled", 1, 4)], "sum_up"), 2)
SINK = SinkCommit("to:totals", (span("totals", 1, 1),), MADE_NS, {"path": "/p/out/totals.csv", "rows": "16", "digest": "0c33f1ab99"})


def test_the_tree_goes_down_to_files_with_siblings_gathered() -> None:
    lineage = Lineage((FLIGHTS,), False, (*FLOWN, CANCELLED, TOTALS), (SINK,))
    assert posterity(lineage, lambda path: path.removeprefix("/p/")) == [
        f"flights@1  10 rows, {MADE}",
        f"  flown@1..2  20 rows, by clean 4be20a71, {MADE}",
        f"    totals@1  10 rows, by sum_up 4be20a71, {MADE}",
        f"      out/totals.csv  16 rows, blake3 0c33f1ab, written {MADE}",
        f"  cancelled@1  10 rows, by clean 4be20a71, {MADE}",
        "    totals@1  see above",
    ]


def test_a_value_of_which_nothing_was_made_stands_alone() -> None:
    assert posterity(Lineage((FLIGHTS,), False)) == [f"flights@1  10 rows, {MADE}"]


def test_a_sink_that_tells_nothing_is_known_by_its_name() -> None:
    sink = SinkCommit("to:flights", (span("flights", 1, 3),), MADE_NS, {})
    assert posterity(Lineage((FLIGHTS,), False, (), (sink,)))[1] == f"  to:flights  written {MADE}"


def test_digests_and_versions_are_in_full_when_asked_for() -> None:
    lines = posterity(Lineage((FLIGHTS,), False, (FLOWN[0], TOTALS), (SINK,)), full_digests=True)
    assert "by clean 4be20a71cafe" in lines[1]
    assert "blake3 0c33f1ab99" in lines[3]


def test_the_document_has_descendants_and_sinks() -> None:
    told = document(Lineage((FLIGHTS,), True, (FLOWN[0],), (SINK,)), forward=True)
    assert (told["value"], told["cut"]) == ("flights@1", True)
    assert [(each["name"], each["depth"]) for each in told["descendants"]] == [("flown@1", 1)]
    assert told["sinks"][0]["attributes"]["path"] == "/p/out/totals.csv"
    assert "descendants" not in document(Lineage((FLIGHTS,), False))
