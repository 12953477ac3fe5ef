"""Dead letters: what a consumer failed at as often as it may. Each is a value of one row in the dead-letter link. Pure.

A task's dead letters go to `TASK.dead`, those of the consumer groups of a link to `LINK.dead`: the dot keeps them apart from the names that
people give. Such a link has one generation that grows through all runs, is written by linkd alone, and exists from its first letter on. Its
schema never changes (`core.dead_letter_rows` makes the rows):

    link           string               where the portion lies: `link`@`sequence` is the name of its first value
    incarnation    int64
    sequence       int64
    last_sequence  int64                of a snapshot's portion; equal to `sequence` where it is one value, as it always is of a group
    first_row      int64                rows of the first value before this one do not belong to it
    end_row        int64                nor do rows of the last value from this one on; 0: all of them do
    consumer       string               the task or the consumer group
    attempts       int64                how often it was tried
    reason         string               why the last attempt failed
    failed_at      timestamp[us, UTC]
    payload        binary               the values, whole, as an Arrow IPC stream

`payload` is null above `DEAD_LETTER_PAYLOAD_MAX_BYTES`, where the values do not have one schema, and where one is not kept any more. Then the
letter is a name only: the values can be read as long as the retention of their own link keeps them, so that must hold them for as long as
somebody may want them.

`bury` makes the one frame in which the letters exist, the portions are settled, and the consumer goes on: after a crash all of it is there or
nothing, so a letter is written exactly once.
"""

from __future__ import annotations

from collections.abc import Sequence

from linkd.core.ids import dead_letter_id
from linkd.core.ledger import Ledger
from linkd.core.publishing import Draft, Frame, Maker
from linkd.limits import DEAD_LETTERS_KEPT_BYTES
from linkd.model.frozen import frozen
from linkd.model.records import GenerationBegan, LinkOpened, Record, SchemaKept
from linkd.model.terms import LinkTerms, Retain
from linkd.model.values import OUTSIDER, Parent

DEAD_SUFFIX = ".dead"

DEAD_LETTER_TERMS = LinkTerms(retain=Retain(size_bytes=DEAD_LETTERS_KEPT_BYTES))
"""The terms of every dead-letter link: the oldest letters go when there are very many."""


@frozen()
class Letter:
    """One portion that was given up. `token` is that of the attempt that failed last: no two letters of a portion have the same one."""

    portion: Parent
    consumer: str
    token: int
    attempts: int
    reason: str
    failed_at_ns: int


def dead_link(name: str) -> str:
    """The dead-letter link of a task, or of the consumer groups of a link."""
    return name + DEAD_SUFFIX


def is_dead_link(link: str) -> bool:
    """Whether linkd itself writes it, with dead letters."""
    return link.endswith(DEAD_SUFFIX)


def opening(ledger: Ledger, link: str, schema: tuple[bytes, bytes], now_ns: int, task: str = OUTSIDER) -> list[Record]:
    """The records that make the dead-letter link, of `task` if it is one's, with its schema, as (id, schema message); none if it is there.

    They are admitted before `bury` is asked: a link with nothing in it is all that a crash between the two leaves.
    """
    if link in ledger.links:
        return []
    return [
        LinkOpened(link, 1, 1, now_ns),
        GenerationBegan(link, 1, 1, 1, task, ""),
        SchemaKept(link, schema[0], schema[1], declared=True),
    ]


def bury(
    ledger: Ledger, letters: Sequence[tuple[Letter, Draft]], settles: Sequence[Record], now_ns: int, task: str = OUTSIDER
) -> list[Record]:
    """The records of one frame: the letters, each with its row as a draft for the dead-letter link, and then what `settles` their portions.

    The link has been opened. `settles` are the records by which the consumer is through with the portions: of a group its cursor, of a task the
    commit of the snapshot, without outputs of its own.
    """
    frame = Frame(ledger, now_ns)
    for letter, draft in letters:
        generation = ledger.link(draft.link).current
        assert generation is not None  # it was opened with one, and nothing ends that
        identity = dead_letter_id(draft.link, letter.consumer, letter.portion, letter.token)
        frame.value(draft, generation, Maker(task, attempt=letter.attempts, parents=(letter.portion,)), identity)
    frame.records.extend(settles)
    return frame.records
