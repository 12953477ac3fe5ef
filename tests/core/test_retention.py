"""Which generations may go, and whose envelopes stay."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from pure_home import PureHome, draft

from linkd.core import publishing
from linkd.core.cursor import Cursor
from linkd.core.groups import Group
from linkd.core.ledger import Ledger
from linkd.core.links import Generation, GenerationState, Link
from linkd.core.retention import FORGOTTEN, drops
from linkd.core.tasks import Task, TaskShape
from linkd.model.records import Dropped, TaskKind
from linkd.model.values import Parent

SEALED, ABANDONED, GROWING = GenerationState.SEALED, GenerationState.ABANDONED, GenerationState.GROWING


def ledger_of(**links: str) -> Ledger:
    """Links with a generation for each letter: Sealed, Abandoned, Growing, reOpened after a seal, sealed and not yet Durable. Of one value each."""
    ledger = Ledger()
    for name, letters in links.items():
        link = ledger.links[name] = Link(name, 1, len(letters) + 1, len(letters), newest=len(letters))
        for number, letter in enumerate(letters, 1):
            state = {"S": SEALED, "A": ABANDONED, "G": GROWING, "O": GROWING, "D": SEALED}[letter]
            told = letter in "SO"
            sealed = number if letter in "SOD" else None
            link.generations[number] = Generation(number, 1, number, number, "", "", (), state, sealed, told, told, values=1)
    return ledger


def reads(ledger: Ledger, task: str, *, ended: bool, **inputs: int) -> None:
    shape = TaskShape(task, TaskKind.RUN, tuple((name, "each") for name in inputs), ())
    ledger.tasks[task] = Task(shape, 1, "v", inputs, ended=ended, cursors={name: Cursor(0) for name in inputs})


def gone(ledger: Ledger, *held: tuple[str, int]) -> list[tuple[str, int, str]]:
    return [(record.link, record.generation, record.reason) for record in drops(ledger, list(ledger.links), set(held))]


def test_the_last_two_complete_generations_stay() -> None:
    assert gone(ledger_of(a="S", b="SS")) == []
    assert gone(ledger_of(a="SSSS")) == [("a", 1, "superseded by generation 4"), ("a", 2, "superseded by generation 4")]
    assert gone(ledger_of(a="SSSG")) == [("a", 1, "superseded by generation 3")]


def test_what_was_abandoned_goes_unless_it_is_the_newest() -> None:
    assert gone(ledger_of(a="ASAG")) == [("a", 1, "abandoned"), ("a", 3, "abandoned")]
    assert gone(ledger_of(a="SA")) == []


def test_what_grows_or_is_not_known_to_be_complete_stays() -> None:
    assert gone(ledger_of(a="SSD", b="SSO")) == [("b", 1, "superseded by generation 3")]
    assert gone(ledger_of(a="GSSS")) == [("a", 2, "superseded by generation 4")]


def test_whoever_stands_in_a_generation_keeps_it() -> None:
    ledger = ledger_of(a="SSSS", b="SSSS")
    reads(ledger, "at_work", ended=False, a=1)
    reads(ledger, "done", ended=True, b=1)
    ledger.groups["g", "b"] = Group("g", "b", 1, 2, Cursor(1))
    assert [record[:2] for record in gone(ledger)] == [("a", 2), ("b", 1)]
    assert [record[:2] for record in gone(ledger, ("a", 2))] == [("b", 1)]


def test_a_group_that_is_through_with_a_generation_does_not_keep_it() -> None:
    ledger = ledger_of(a="SSSS")
    group = ledger.groups["g", "a"] = Group("g", "a", 1, 1, Cursor(1))
    assert [record[:2] for record in gone(ledger)] == [("a", 1), ("a", 2)]
    ledger.apply(drops(ledger, ["a"]))
    assert group.finished(ledger.links["a"])
    assert not group.superseded(ledger.links["a"])
    assert group.next_value(1, ledger.links["a"], 0.0) is None


def test_only_the_links_that_are_asked_for_are_looked_at() -> None:
    ledger = ledger_of(a="SSS", b="SSS")
    assert [record.link for record in drops(ledger, ["b", "nowhere"])] == ["b"]


def test_envelopes_stay_as_long_as_something_was_made_from_them() -> None:
    """c is made from b, and b from a; when nothing of c is left that came from an old a, nobody needs to know of it."""
    ledger = ledger_of(a="SSSS", b="SSS", c="S")
    ledger.links["b"].generations[1].inputs = (Parent("a", 1, 1, 1, 1),)
    ledger.links["b"].generations[2].inputs = (Parent("a", 1, 4, 4, 4),)
    ledger.links["c"].generations[1].inputs = (Parent("b", 1, 1, 1, 1),)
    records = drops(ledger, list(ledger.links))
    assert [(one.link, one.generation, one.forgotten) for one in records] == [("a", 1, False), ("a", 2, True), ("b", 1, False)]
    ledger.apply(records)
    assert list(ledger.links["a"].remembered) == list(ledger.links["b"].remembered) == [1]
    ledger.links["c"] = ledger_of(c="SSS").links["c"]
    records = drops(ledger, ["c"])
    assert [(one.link, one.generation, one.forgotten) for one in records] == [("c", 1, True), ("a", 1, True), ("b", 1, True)]
    assert [one.reason for one in records][1:] == [FORGOTTEN] * 2
    ledger.apply(records)
    assert not any(link.remembered for link in ledger.links.values())


def test_a_dropped_generation_leaves_its_sequences_and_nothing_else() -> None:
    home = PureHome()
    for n in range(3):
        home.publish(draft("a", n))
    home.admit(publishing.seal(home.ledger, "a", "over", 0))
    before = home.ledger.links["a"].next_sequence
    home.admit([Dropped("a", 1, 1, 3, "because", 1, forgotten=True)])
    link = home.ledger.links["a"]
    assert (link.generations, link.remembered, link.next_sequence) == ({}, {}, before)


LETTERS = st.text("SAGOD", min_size=1, max_size=6)


@given(st.lists(LETTERS, min_size=1, max_size=3), st.data())
def test_what_stays_is_what_the_rule_says(letters: list[str], data: st.DataObject) -> None:
    """Against the rule, said again in other words: by letter and by place."""
    names = [f"l{index}" for index in range(len(letters))]
    ledger = ledger_of(**dict(zip(names, letters, strict=True)))
    spots = [(name, number) for name, text in zip(names, letters, strict=True) for number in range(1, len(text) + 1)]
    stood_in = data.draw(st.sets(st.sampled_from(spots)))
    held = data.draw(st.sets(st.sampled_from(spots)))
    for index, (name, number) in enumerate(sorted(stood_in)):
        reads(ledger, f"t{index}", ended=False, **{name: number})
    expected = set()
    for name, text in zip(names, letters, strict=True):
        complete = [number for number, letter in enumerate(text, 1) if letter in "SO"]
        for number, letter in enumerate(text, 1):
            ended = letter in "SA"
            recent = number == len(text) or number in complete[-2:]
            if ended and not recent and (name, number) not in stood_in | held:
                expected.add((name, number))
    records = drops(ledger, names, held)
    assert {(one.link, one.generation) for one in records} == expected
    ledger.apply(records)
    assert drops(ledger, names, held) == []
