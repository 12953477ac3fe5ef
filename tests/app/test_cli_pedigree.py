"""The tree and the passport that `linkd trace` prints."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from linkd.app.cli.passport import document, passport_lines
from linkd.app.cli.pedigree import broods, pedigree
from linkd.client.description import SourceDescription
from linkd.client.lineage import Ancestor, Lineage
from linkd.model.values import Envelope, Parent, Position

DIGEST = "77a0c1d2" * 8
MADE_NS = 1_795_411_905_123_456_789
MADE = "2026-11-23T05:31:45.123Z"


def envelope(
    link: str, sequence: int, task: str = "", parents: Sequence[Parent] = (), attributes: dict[str, str] | None = None
) -> Envelope:
    return Envelope(
        id=link.encode().ljust(15, b"\0") + bytes([sequence]),
        link=link,
        position=Position(1, sequence),
        generation=1,
        rows=10,
        size_bytes=100,
        schema_id=b"",
        payload_xxh3=0,
        created_at_ns=MADE_NS,
        task=task,
        task_version="4be20a71cafe" if task else "",
        parents=tuple(parents),
        attributes=attributes or {},
    )


def span(link: str, first: int, last: int) -> Parent:
    return Parent(link, 1, 1, first, last)


def source_value(link: str, sequence: int) -> Ancestor:
    lines = {"file": f"data/{link}.csv", "first_line": str(sequence * 10 - 8), "last_line": str(sequence * 10 + 1)}
    told = SourceDescription(DIGEST, 20, 0, True, b"\x00", {"file": f"data/{link}.csv"})
    return Ancestor(envelope(link, sequence, f"from:{link}", attributes=lines), 2, told)


def lineage(*ancestors: Ancestor, cut: bool = False) -> Lineage:
    return Lineage(ancestors, cut)


TOTALS = envelope("totals", 1, "sum_up", [span("flown", 1, 2), span("airlines", 1, 1)])
FLOWN = [Ancestor(envelope("flown", number, "clean", [span("flights", number, number)]), 1) for number in (1, 2)]
EXAMPLE = lineage(Ancestor(TOTALS, 0), *FLOWN, source_value("airlines", 1), source_value("flights", 1), source_value("flights", 2))


def test_the_tree_goes_back_to_files_with_siblings_gathered() -> None:
    assert pedigree(EXAMPLE) == [
        f"totals@1  10 rows, by sum_up 4be20a71, {MADE}",
        f"  flown@1..2  20 rows, by clean 4be20a71, {MADE}",
        f"    flights@1..2  20 rows, from data/flights.csv, lines 2 to 21, blake3 77a0c1d2, {MADE}",
        f"  airlines@1  10 rows, from data/airlines.csv, lines 2 to 11, blake3 77a0c1d2, {MADE}",
    ]


def test_full_digests_are_given_when_asked_for() -> None:
    assert f"blake3 {DIGEST}" in pedigree(EXAMPLE, full_digests=True)[2]


def test_values_that_do_not_follow_one_another_stand_apart() -> None:
    made = envelope("out", 1, "pick", [span("given", 1, 2), span("given", 5, 5)])
    given_values = [Ancestor(envelope("given", number), 1) for number in (1, 2, 5)]
    assert pedigree(lineage(Ancestor(made, 0), *given_values))[1:] == [
        f"  given@1..2  20 rows, by somebody outside the pipeline, {MADE}",
        f"  given@5  10 rows, by somebody outside the pipeline, {MADE}",
    ]


def test_a_shared_ancestor_is_told_once_and_pointed_at_afterwards() -> None:
    top = envelope("joined", 1, "join", [span("left_side", 1, 1), span("right_side", 1, 1)])
    sides = [Ancestor(envelope(side, 1, "split", [span("middle", 1, 1)]), 1) for side in ("left_side", "right_side")]
    middle = Ancestor(envelope("middle", 1, "make", [span("given", 1, 1)]), 2)
    lines = pedigree(lineage(Ancestor(top, 0), *sides, middle, Ancestor(envelope("given", 1), 3)))
    assert [line for line in lines if "middle" in line] == [f"    middle@1  10 rows, by make 4be20a71, {MADE}", "    middle@1  see above"]
    assert sum("given" in line for line in lines) == 1


def test_ancestors_that_were_cut_off_are_named_all_the_same() -> None:
    made = envelope("out", 1, "pick", [span("given", 1, 9)])
    assert pedigree(lineage(Ancestor(made, 0), cut=True))[1] == "  given@1..9  (not told)"
    some = pedigree(lineage(Ancestor(made, 0), Ancestor(envelope("given", 3), 1), cut=True))
    assert some[1] == f"  given@1..9  10 rows in 1 value (8 more not told), by somebody outside the pipeline, {MADE}"


def test_a_dead_letter_is_by_linkd_and_of_what_could_not_be_worked_on() -> None:
    letter = envelope("given.dead", 1, "", [span("given", 3, 3)])
    assert pedigree(lineage(Ancestor(letter, 0), Ancestor(envelope("given", 3), 1))) == [
        f"given.dead@1  10 rows, by linkd, as a dead letter, {MADE}",
        f"  given@3  10 rows, by somebody outside the pipeline, {MADE}",
    ]
    assert "  made by     linkd: a consumer group had failed 1 time" in passport_lines(letter)


def test_an_empty_input_is_named_too() -> None:
    assert pedigree(lineage(Ancestor(envelope("out", 1, "pick", [span("given", 1, 0)]), 0)))[1] == "  given (no values)"


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(0, 6)), min_size=1, max_size=12))
def test_joined_ranges_hold_the_same_sequences_and_do_not_touch(ranges: list[tuple[int, int]]) -> None:
    wanted = {sequence for first, length in ranges for sequence in range(first, first + length + 1)}
    found = broods(span("flown", first, first + length) for first, length in ranges)
    assert [sequence for brood in found for sequence in range(brood.first, brood.last + 1)] == sorted(wanted)
    assert all(brood.last + 1 < after.first for brood, after in itertools.pairwise(found))


def test_the_passport_says_who_made_it_of_what_and_when() -> None:
    assert passport_lines(TOTALS) == [
        "totals@1",
        "  id          746f7461-6c73-0000-0000-000000000001",
        "  made by     task sum_up",
        "  version     4be20a71cafe",
        "  made at     2026-11-23T05:31:45.123Z",
        "  holds       10 rows, 100 bytes",
        "  payload     xxh3 0000000000000000",
        "  generation  1",
        "  made of     flown@1..2, airlines@1",
    ]


def test_attributes_cannot_draw_on_the_screen() -> None:
    lines = passport_lines(envelope("given", 1, attributes={"note": "\x1b[2J"}))
    assert lines[-1] == "  note        �[2J"


def test_the_document_has_what_a_program_needs_and_no_opaque_bytes() -> None:
    told = document(EXAMPLE)
    assert told["value"] == "totals@1"
    assert [entry["name"] for entry in told["ancestors"]][:2] == ["totals@1", "flown@1"]
    assert told["ancestors"][0]["parents"][0]["last_sequence"] == 2
    assert told["ancestors"][-1]["source"]["digest"] == DIGEST
    assert "position" not in told["ancestors"][-1]["source"]
