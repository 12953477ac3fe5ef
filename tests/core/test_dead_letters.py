"""Dead letters: one frame has the letter and settles the portion; the link is made for the first of them."""

from __future__ import annotations

import io

import pyarrow as pa
from pure_home import SCHEMA, PureHome, draft

from linkd.core.dead_letter_rows import SCHEMA as LETTER_SCHEMA
from linkd.core.dead_letter_rows import letter_row
from linkd.core.dead_letters import Letter, bury, dead_link, is_dead_link, opening
from linkd.model.records import GroupMoved, GroupOpened, ValueStored
from linkd.model.values import Parent

LETTER = Letter(Parent("numbers", 1, 1, 2, 2), "readers", token=7, attempts=3, reason="ValueError", failed_at_ns=1_700_000_000_123_456_789)


def home_with_a_group() -> PureHome:
    home = PureHome()
    for n in range(3):
        home.publish(draft("numbers", n))
    home.admit([GroupOpened("readers", "numbers", 1, 1, 0)])
    return home


def test_dead_letter_links_are_named_after_their_consumer_or_link_and_no_name_of_a_person_is_one() -> None:
    assert dead_link("numbers") == "numbers.dead"
    assert is_dead_link("numbers.dead")
    assert not is_dead_link("dead")


def test_a_letter_and_what_it_settles_are_one_frame_behind_the_opening_of_its_link() -> None:
    home = home_with_a_group()
    home.admit(opening(home.ledger, "numbers.dead", SCHEMA, 5))
    assert opening(home.ledger, "numbers.dead", SCHEMA, 6) == []
    settles = [GroupMoved("readers", "numbers", 1, 1, 0, 1, ((2, 2),))]
    frame = home.admit(bury(home.ledger, [(LETTER, draft("numbers.dead"))], settles, 6))
    assert [type(record) for record in frame] == [ValueStored, GroupMoved]
    again = home.restarted().ledger
    for ledger in (home.ledger, again):
        assert ledger.groups["readers", "numbers"].cursor.is_done(2)
        generation = ledger.links["numbers.dead"].current
        assert generation is not None
        assert generation.values == 1
        assert generation.declared


def test_a_letter_descends_from_its_portion_and_is_known_again_by_its_attempt() -> None:
    home = home_with_a_group()
    home.admit(opening(home.ledger, "numbers.dead", SCHEMA, 5, "double"))
    [stored] = bury(home.ledger, [(LETTER, draft("numbers.dead"))], [], 6, "double")
    [repeat] = bury(home.ledger, [(LETTER, draft("numbers.dead"))], [], 9, "double")
    [later] = bury(home.ledger, [(Letter(LETTER.portion, "readers", 8, 3, "", 0), draft("numbers.dead"))], [], 9, "double")
    assert isinstance(stored, ValueStored)
    assert isinstance(repeat, ValueStored)
    assert isinstance(later, ValueStored)
    assert (stored.envelope.task, stored.envelope.attempt, stored.envelope.parents) == ("double", 3, (LETTER.portion,))
    assert stored.envelope.id == repeat.envelope.id != later.envelope.id


def test_the_row_of_a_letter_tells_where_its_portion_lies_why_it_failed_and_what_it_holds() -> None:
    inner = pa.RecordBatch.from_pydict({"n": [1, 2]})
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, inner.schema) as writer:
        writer.write_batch(inner)
    row = letter_row(LETTER, sink.getvalue())
    assert row.schema == LETTER_SCHEMA
    [told] = row.to_pylist()
    assert (told["link"], told["sequence"], told["last_sequence"], told["consumer"]) == ("numbers", 2, 2, "readers")
    assert (told["attempts"], told["reason"], told["failed_at"].microsecond) == (3, "ValueError", 123_456)
    assert pa.ipc.open_stream(told["payload"]).read_all() == pa.Table.from_batches([inner])
    assert letter_row(LETTER, None).to_pylist()[0]["payload"] is None
