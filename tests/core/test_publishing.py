"""What publishes, source steps and seals become."""

from __future__ import annotations

import itertools

import pytest
from pure_home import OTHER, SCHEMA, PureHome, draft, envelopes, step

from linkd.core import publishing
from linkd.core.links import GenerationState
from linkd.errors import InvalidArgument, LinkNotFound, NotAllowed, SchemaMismatch
from linkd.limits import GENERATION_SCHEMAS_MAX
from linkd.model.records import GenerationReopened, SchemaKept, TaskEnded
from linkd.model.values import Position


def test_values_take_the_next_places_of_their_links() -> None:
    home = PureHome()
    home.publish(draft("a"))
    home.publish(draft("b"))
    made = home.publish(draft("a"), draft("b"), draft("a"))
    assert [(e.link, e.position) for e in made] == [("a", Position(1, 2)), ("b", Position(1, 2)), ("a", Position(1, 3))]
    assert len({e.id for e in made}) == 3
    generation = home.ledger.links["a"].generations[1]
    assert (generation.values, generation.rows, generation.size_bytes, generation.last_sequence) == (3, 30, 300, 3)


def test_the_first_value_gives_the_schema_and_a_value_of_another_is_refused() -> None:
    home = PureHome()
    home.publish(draft("a"))
    with pytest.raises(SchemaMismatch, match="a: another value gave the link its schema"):
        home.publish(draft("a", schema=OTHER))
    assert home.ledger.links["a"].generations[1].schema_id == SCHEMA[0]
    assert home.ledger.links["a"].generations[1].schemas == {SCHEMA[0]: SCHEMA[1]}


def test_a_schema_may_widen_from_value_to_value_of_one_publish() -> None:
    home = PureHome()
    home.publish(draft("a"))
    home.publish(draft("a", schema=OTHER, widens=SCHEMA[0]), draft("a", schema=OTHER, widens=SCHEMA[0]))
    assert [record.schema_id for frame in home.frames for record in frame if isinstance(record, SchemaKept)] == [SCHEMA[0], OTHER[0]]


def test_a_schema_does_not_grow_without_end_and_what_it_has_grown_to_stays() -> None:
    home = PureHome()
    schemas = [(bytes([number]) * 16, b"schema") for number in range(GENERATION_SCHEMAS_MAX + 2)]
    grown = [draft("a", schema=schema, widens=before[0]) for before, schema in itertools.pairwise(schemas)]
    home.publish(draft("a", schema=schemas[0]))
    home.publish(*grown[: GENERATION_SCHEMAS_MAX - 1])
    for frame in (grown[GENERATION_SCHEMAS_MAX - 1 :][:1], grown[GENERATION_SCHEMAS_MAX - 1 :]):
        with pytest.raises(SchemaMismatch, match=f"its columns have changed {GENERATION_SCHEMAS_MAX} times"):
            home.publish(*frame)
    home.publish(draft("a", schema=schemas[GENERATION_SCHEMAS_MAX - 1]))
    assert len(home.ledger.links["a"].generations[1].schemas) == GENERATION_SCHEMAS_MAX


def test_dates_never_go_back_within_a_link() -> None:
    home = PureHome(now_ns=5_000)
    home.publish(draft("a"))
    home.now_ns = 100
    assert home.publish(draft("a"))[0].created_at_ns == 5_001


def test_publishing_to_what_is_not_there_is_refused() -> None:
    with pytest.raises(LinkNotFound, match="nothing"):
        publishing.publish(PureHome().ledger, [draft("nothing")], publishing.Maker(), 0, bytes(10))


def test_a_seal_ends_the_generation_once_and_a_publish_reopens_it() -> None:
    home = PureHome()
    home.publish(draft("a"))
    home.admit(publishing.seal(home.ledger, "a", "over", 0))
    generation = home.ledger.links["a"].generations[1]
    assert generation.is_sealed
    assert publishing.seal(home.ledger, "a", "over", 0) == []
    home.publish(draft("a"), draft("a"))
    assert [r for r in home.frames[-1] if isinstance(r, GenerationReopened)] == [GenerationReopened("a", 1)]
    assert not generation.is_sealed
    assert (generation.state, generation.sealed_sequence, generation.last_sequence) == (GenerationState.GROWING, 1, 3)


def test_a_source_step_carries_values_of_its_link_and_its_rejects_with_its_position() -> None:
    home = PureHome()
    home.begin()
    records = home.source_step(step("names", 1), draft("names", 1), draft("names.rejects", 2))
    assert [(e.link, e.position.sequence, e.task) for e in envelopes(records)] == [
        ("names", 1, "from:names"),
        ("names.rejects", 1, "from:names"),
    ]
    source = home.ledger.links["names"].generations[1].source
    assert source is not None
    assert (source.rows_read, source.final) == (1, False)


def test_ids_of_a_source_come_from_its_position() -> None:
    made = []
    for _ in range(2):
        home = PureHome()
        home.begin()
        made.append([e.id for e in envelopes(home.source_step(step("names", 1), draft("names"), draft("names")))])
    assert made[0] == made[1]
    assert made[0][0] != made[0][1]


@pytest.mark.parametrize(("position", "rows_read"), [(2, 2), (1, 1), (3, 1)])
def test_a_step_that_does_not_lead_on_is_refused(position: int, rows_read: int) -> None:
    home = PureHome()
    home.begin()
    home.source_step(step("names", 1), draft("names"))
    home.source_step(step("names", 2), draft("names"))
    with pytest.raises(InvalidArgument, match="names: the source already stands"):
        home.source_step(step("names", position, rows_read=rows_read), draft("names"))


def test_the_last_step_seals_all_links_of_the_source_and_ends_its_task() -> None:
    home = PureHome()
    home.begin()
    records = home.source_step(step("names", 1, final=True), draft("names"))
    assert [type(record) for record in records][-1] is TaskEnded
    for link in ("names", "names.rejects"):
        assert home.ledger.links[link].generations[1].is_sealed
    assert home.ledger.links["names"].generations[1].sealed_sequence == 1
    assert home.task("from:names").ended
    with pytest.raises(NotAllowed, match="names is complete"):
        home.source_step(step("names", 2), draft("names"))


def test_an_open_link_begins_with_its_declared_schema() -> None:
    home = PureHome()
    home.admit(publishing.open_link("a", 0, SCHEMA))
    generation = home.ledger.links["a"].generations[1]
    assert (generation.schema_id, generation.declared) == (SCHEMA[0], True)


def test_a_replacement_is_the_next_generation_whole_and_sealed_in_one_frame() -> None:
    home = PureHome()
    home.publish(draft("a"), draft("a"))
    made = publishing.replace(
        home.ledger, "a", [draft("a", schema=OTHER), draft("a", schema=OTHER)], publishing.Maker(), 9, bytes(range(20))
    )
    home.admit(made)
    link = home.ledger.links["a"]
    assert [(number, one.state, one.values, one.schema_id) for number, one in link.generations.items()] == [
        (1, GenerationState.SEALED, 2, SCHEMA[0]),
        (2, GenerationState.SEALED, 2, OTHER[0]),
    ]
    assert link.readable is link.generations[2]
    assert (link.generations[2].first_sequence, link.generations[2].sealed_sequence) == (3, 4)
    home.admit(publishing.replace(home.ledger, "a", [draft("a")], publishing.Maker(), 9, bytes(10)))
    assert (link.newest, link.generations[3].schema_id) == (3, SCHEMA[0])


def test_a_replacement_keeps_a_schema_that_was_declared() -> None:
    home = PureHome()
    home.admit(publishing.open_link("a", 0, SCHEMA))
    with pytest.raises(SchemaMismatch, match="another value gave the link its schema"):
        publishing.replace(home.ledger, "a", [draft("a", schema=OTHER)], publishing.Maker(), 9, bytes(10))
    home.admit(publishing.replace(home.ledger, "a", [draft("a")], publishing.Maker(), 9, bytes(10)))
    assert home.ledger.links["a"].generations[2].declared
