"""What a task is handed for an example, by the machine that puts snapshots together in a home: values arrive, are asked for, and are sealed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from linkd.core import commits
from linkd.core.commits import CommitRequest
from linkd.core.composition import rows_within
from linkd.core.ledger import Ledger
from linkd.core.policies import render_input_policy
from linkd.core.publishing import UNPLACED
from linkd.core.tasks import Offer, TaskShape
from linkd.core.wiring import parse_wiring
from linkd.model.records import (
    GenerationBegan,
    GenerationEnd,
    GenerationEnded,
    LinkOpened,
    Record,
    RunBegan,
    TaskBegan,
    TaskKind,
    ValueStored,
)
from linkd.model.values import Envelope, Parent, Position

VALUE_ROWS = 10


@dataclass(frozen=True, slots=True)
class Example:
    """`inputs` as in a wiring; `arrivals` is how many values come of which link, one after the other: `flown 3, airlines 1`.

    After each of them the task takes all snapshots that there are; at the end all links are sealed.
    """

    inputs: str
    arrivals: str

    @property
    def wires(self) -> tuple[tuple[str, str], ...]:
        """Links and their policies in canonical form."""
        parsed = parse_wiring(f"({self.inputs}) task (out)")
        assert not parsed.problems, parsed.problems
        return tuple((wire.link, render_input_policy(wire.policy)) for wire in parsed.wiring.tasks[0].inputs)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(link for link, _ in self.wires)

    @property
    def steps(self) -> list[tuple[str, int]]:
        return [(link, int(count)) for link, count in (step.split() for step in self.arrivals.split(", "))]

    @property
    def told(self) -> str:
        """The arrivals in words."""
        words = [f"{count} {'value' if count == 1 else 'values'} of `{link}`" for link, count in self.steps]
        return f"{', then '.join(words)}, and the seal" if len(words) > 1 else f"{words[0]} and the seal"


def snapshots(example: Example) -> Iterator[tuple[dict[str, str], bool]]:
    """What each snapshot holds of each input, and whether it is partial."""
    ledger = _begun(example)
    for link, count in example.steps:
        for _ in range(count):
            sequence = ledger.links[link].next_sequence
            envelope = Envelope(b"%s %d" % (link.encode(), sequence), link, Position(1, sequence), 1, VALUE_ROWS, 10, b"s", 0, 0)
            _admit(ledger, ValueStored(envelope, UNPLACED))
        yield from _handed_out(ledger)
    for link in example.names:
        _admit(ledger, GenerationEnded(link, 1, GenerationEnd.SEALED, ledger.links[link].next_sequence - 1))
    yield from _handed_out(ledger)


def _begun(example: Example) -> Ledger:
    ledger = Ledger(shapes={"task": TaskShape("task", TaskKind.RUN, example.wires, ("out",))})
    _admit(ledger, RunBegan(1, "run", 0, True))
    for link in (*example.names, "out"):
        _admit(ledger, LinkOpened(link, 1, 1, 0), GenerationBegan(link, 1, 1, 1, "", ""))
    _admit(ledger, TaskBegan("task", 1, "v", dict.fromkeys(example.names, 1), {"out": 1}, {}))
    return ledger


def _handed_out(ledger: Ledger) -> Iterator[tuple[dict[str, str], bool]]:
    """All snapshots that there can be now, each committed before the next is asked for."""
    task = ledger.tasks["task"]
    while isinstance(offer := task.next_snapshot(ledger.links, rows=_Rows()), Offer):
        lease = commits.lease(ledger, task, offer)
        _admit(ledger, lease)
        task.leases[lease.snapshot_id].session = 1
        yield {portion.link: _shown(portion) for portion in lease.portions}, lease.partial
        _admit(ledger, *commits.commit(ledger, CommitRequest("task", lease.snapshot_id, lease.token, (), 0), 0))


def _admit(ledger: Ledger, *records: Record) -> None:
    ledger.apply(records)
    ledger.durable(records)


class _Rows:
    """Every value has the same number."""

    def rows(self, link: str, first_sequence: int, last_sequence: int) -> Iterator[tuple[int, int]]:
        return ((sequence, VALUE_ROWS) for sequence in range(first_sequence, last_sequence + 1))


def _shown(portion: Parent) -> str:
    """Its values, with the rows of those that it holds in part."""
    values = [_rows_of(portion, sequence) for sequence in range(portion.first_sequence, portion.last_sequence + 1)]
    return ", ".join(values) or "nothing"


def _rows_of(portion: Parent, sequence: int) -> str:
    first, end = rows_within(portion, sequence, VALUE_ROWS)
    return str(sequence) if (first, end) == (0, VALUE_ROWS) else f"{sequence} (rows {first + 1} to {end})"
