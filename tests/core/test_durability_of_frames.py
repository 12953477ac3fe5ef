"""How durable a frame has to be, and which links begin a new incarnation at a start."""

from __future__ import annotations

import math

import pytest

from linkd.core.durability import EVERY_LINK, bulk_within_s, started, sync_within_s
from linkd.core.ledger import Ledger
from linkd.core.links import lost_behind
from linkd.core.publishing import open_link
from linkd.limits import INCARNATIONS_KEPT
from linkd.model.records import (
    Dropped,
    GenerationBegan,
    GenerationEnd,
    GenerationEnded,
    GroupLeased,
    GroupMoved,
    HomeStarted,
    LinkOpened,
    OutputRange,
    PolicySaved,
    Record,
    SchemaKept,
    SnapshotCommitted,
    SnapshotLeased,
)
from linkd.model.terms import LinkTerms, durability_of
from linkd.model.values import Durability, Parent, Position
from linkd.testing.sample_values import sample_value

TERMS = {
    "safe": LinkTerms(),
    "soon": LinkTerms(Durability.INTERVAL, 0.25),
    "later": LinkTerms(Durability.INTERVAL, 5.0),
    "loose": LinkTerms(Durability.MEMORY),
}


def within_s(*records: Record) -> float:
    return sync_within_s(records, TERMS.__getitem__)


def committed(inputs: list[str], outputs: list[str]) -> SnapshotCommitted:
    portions = tuple(Parent(link, 1, 1, 1, 1) for link in inputs)
    ranges = tuple(OutputRange(link, 1, 1, 1, 1) for link in outputs)
    return SnapshotCommitted("task", 1, b"s", 1, 1, portions, ranges, 0, 0)


def test_a_value_is_as_durable_as_its_link() -> None:
    found = {link: within_s(SchemaKept(link, b"", b""), sample_value(link, 1).stored) for link in TERMS}
    assert found == {"safe": 0.0, "soon": 0.25, "later": 5.0, "loose": math.inf}
    assert [durability_of(one) for one in found.values()] == [terms.durability for terms in TERMS.values()]


def test_that_a_value_went_out_on_lease_is_worth_no_sync() -> None:
    leased, done = GroupLeased("g", "safe", Position(1, 1), 1, 1), GroupMoved("g", "safe", 1, 1, 0, 0, settled=((1, 1),))
    assert [within_s(leased), within_s(leased, done), within_s(leased, PolicySaved("task", 1, b"x"))] == [math.inf, 0.0, math.inf]


@pytest.mark.parametrize(
    ("inputs", "outputs", "expected"),
    [
        (["loose"], ["loose"], math.inf),
        (["safe"], ["loose"], 0.0),
        (["loose"], ["safe"], 0.0),
        (["loose", "later"], ["soon"], 0.25),
        (["loose"], [], math.inf),
    ],
)
def test_a_commit_has_the_strongest_durability_of_all_links_it_touches(inputs: list[str], outputs: list[str], expected: float) -> None:
    values = [sample_value(link, 1).stored for link in outputs]
    assert within_s(*values, PolicySaved("task", 1, b"x"), committed(inputs, outputs)) == expected


def test_a_cursor_and_a_lease_are_as_durable_as_what_they_are_about() -> None:
    assert within_s(GroupMoved("g", "loose", 1, 1, 5, 6)) == math.inf
    assert within_s(GroupMoved("g", "safe", 1, 1, 5, 6)) == 0.0
    lease = SnapshotLeased("task", 1, b"s", 1, 1, (Parent("loose", 1, 1, 1, 1), Parent("soon", 1, 1, 1, 1)))
    assert within_s(lease) == 0.25


def test_what_is_about_no_values_is_durable_first() -> None:
    sealed = GenerationEnded("loose", 1, GenerationEnd.SEALED, 1)
    assert within_s(sealed) == 0.0
    assert within_s(sample_value("loose", 1).stored, sealed) == 0.0
    assert within_s(PolicySaved("task", 1, b"x")) == 0.0
    assert within_s() == 0.0


def ledger_with(*links: str, values: int = 3) -> Ledger:
    ledger = Ledger()
    for link in links:
        ledger.restore([*open_link(link, 1), *(sample_value(link, number).stored for number in range(1, values + 1))])
    return ledger


def start(ledger: Ledger, *, boot: str, clean: bool = False, voided: bool = False, weak: tuple[str, ...] = ("loose",)) -> list[Record]:
    records = started(ledger, boot=boot, clean=clean, voided=voided, weak=weak, now_ns=5)
    ledger.restore(records)
    return records


def test_the_boot_is_recorded_once_while_there_are_weak_links() -> None:
    ledger = ledger_with("loose", "safe")
    assert start(ledger, boot="one", clean=True) == [HomeStarted("one", ("loose",))]
    assert start(ledger, boot="one", clean=True) == []
    assert start(ledger, boot="one", clean=True, weak=()) == [HomeStarted("one", ())]
    assert start(ledger, boot="two", clean=True, weak=()) == []


@pytest.mark.parametrize(
    ("boot", "clean", "voided", "again"),
    [
        ("one", False, False, False),
        ("two", True, False, False),
        ("two", False, False, True),
        ("one", False, True, True),
        ("", False, False, True),
    ],
)
def test_weak_links_begin_an_incarnation_where_their_tail_may_be_lost(boot: str, clean: bool, voided: bool, again: bool) -> None:
    ledger = ledger_with("loose", "safe")
    start(ledger, boot="one", clean=True)
    opened = [record for record in start(ledger, boot=boot, clean=clean, voided=voided, weak=()) if isinstance(record, LinkOpened)]
    assert opened == ([LinkOpened("loose", 2, 4, 3_000)] if again else [])
    assert (ledger.links["loose"].incarnation, ledger.links["safe"].incarnation) == (2 if again else 1, 1)


@pytest.mark.parametrize(
    ("boot", "clean", "voided", "lost"),
    [
        ("one", False, False, False),
        ("two", True, False, False),
        ("two", False, False, True),
        ("one", False, True, True),
        ("", False, False, True),
    ],
)
def test_what_lay_in_volatile_files_is_lost_where_a_tail_may_be(boot: str, clean: bool, voided: bool, lost: bool) -> None:
    ledger = ledger_with("loose")
    for record in (GenerationBegan("loose", 1, 1, 1, "", ""), GenerationBegan("loose", 2, 1, 5, "", "")):
        ledger.apply([record])
    for sequence in range(1, 8):
        value = sample_value("loose", sequence, generation=1 if sequence < 5 else 2)
        ledger.apply([value.schema_kept, value.stored])
    ledger.restore([HomeStarted("one", ("loose",))])
    volatile = [("loose", 3, 6), ("gone", 1, 9)]
    records = started(ledger, boot=boot, clean=clean, voided=voided, weak=["loose"], now_ns=5, volatile=volatile)
    dropped = [(one.first_sequence, one.last_sequence, one.reason) for one in records if isinstance(one, Dropped)]
    assert dropped == ([(3, 4, "lost"), (5, 6, "lost")] if lost else [])
    ledger.restore(records)
    assert ledger.links["loose"].there_from(3) == (7 if lost else 3)


@pytest.mark.parametrize(
    "beside", [Dropped("loose", 1, 1, 1, "full"), GenerationEnded("loose", 1, GenerationEnd.SEALED, 1)], ids=["drops", "seals"]
)
def test_what_a_frame_drops_or_seals_makes_its_payloads_no_more_durable(beside: Record) -> None:
    loose, safe = sample_value("loose", 1), sample_value("safe", 1)
    assert bulk_within_s([loose.stored, beside], TERMS.__getitem__) == math.inf
    assert within_s(loose.stored, beside) == 0.0
    assert bulk_within_s([loose.stored, safe.stored, beside], TERMS.__getitem__) == 0.0


def test_where_syncs_have_no_effect_every_link_begins_an_incarnation_those_that_came_later_too() -> None:
    ledger = ledger_with("safe")
    assert start(ledger, boot="one", clean=True, weak=(EVERY_LINK,)) == [HomeStarted("one", (EVERY_LINK,))]
    ledger.restore([*open_link("later", 1), sample_value("later", 1).stored])
    assert start(ledger, boot="one", weak=(EVERY_LINK,)) == []
    began = start(ledger, boot="two", weak=(EVERY_LINK,))
    assert began == [LinkOpened("later", 2, 2, 1_000), LinkOpened("safe", 2, 4, 3_000), HomeStarted("two", (EVERY_LINK,))]


def test_who_was_ahead_is_told_how_many_values_are_lost() -> None:
    ledger = ledger_with("loose", values=900)
    link = ledger.links["loose"]
    assert lost_behind(link, Position(1, 1_000)) == 0  # nobody knows better
    link.open_again(2, 901)
    assert lost_behind(link, Position(1, 1_000)) == 100
    assert lost_behind(link, Position(1, 900)) == 0
    assert lost_behind(link, Position(2, 1_000)) == 0
    link.open_again(3, 951)
    assert [lost_behind(link, Position(number, 1_000)) for number in (1, 2, 3)] == [100, 50, 0]
    for number in range(4, 4 + 2 * INCARNATIONS_KEPT):
        link.open_again(number, 951)
    assert len(link.incarnations) == INCARNATIONS_KEPT
    assert lost_behind(link, Position(1, 1_000)) == 50
