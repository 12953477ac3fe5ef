"""Consumer groups: what goes out next, to whom, and under which token it may be settled."""

from __future__ import annotations

from linkd.core.cursor import Cursor
from linkd.core.groups import Group, GroupOffer
from linkd.core.links import Generation, GenerationState, Link


def link_of(values: int, *, first: int = 1, durable: int | None = None) -> Link:
    last = first + values - 1
    link = Link("events", 1, last + 1, last if durable is None else durable, newest=1)
    link.generations[1] = Generation(1, 1, first, last, "", "", values=values)
    return link


def group_of(link: Link) -> Group:
    return Group("g", link.name, 1, 1, Cursor(link.generations[1].first_sequence - 1))


def hand_out(group: Group, link: Link, token: int, session: int) -> GroupOffer:
    offer = group.next_value(link, 0.0)
    assert isinstance(offer, GroupOffer)
    group.leased(offer.sequence, token, offer.attempt)
    group.hold(offer.sequence, session)
    return offer


def acked(group: Group, sequence: int) -> None:
    after = group.cursor.copy()
    after.settle(sequence, sequence)
    group.move(group.incarnation, group.generation, after)


def test_values_go_out_in_order_and_each_once() -> None:
    link = link_of(3)
    group = group_of(link)
    assert [hand_out(group, link, token, 1) for token in (1, 2, 3)] == [GroupOffer(n, 1) for n in (1, 2, 3)]
    assert group.next_value(link, 0.0) is None


def test_what_is_not_durable_does_not_go_out() -> None:
    link = link_of(3, durable=1)
    group = group_of(link)
    hand_out(group, link, 1, 1)
    assert group.next_value(link, 0.0) is None


def test_what_a_member_leaves_goes_out_first_oldest_first_with_its_attempt_counted() -> None:
    link = link_of(5)
    group = group_of(link)
    for token in (1, 2, 3):
        hand_out(group, link, token, session=token % 2)
    assert group.release(1)
    assert not group.release(1)
    assert [hand_out(group, link, token, 7) for token in (4, 5, 6)] == [GroupOffer(1, 2), GroupOffer(3, 2), GroupOffer(4, 1)]


def test_a_delayed_value_waits_and_says_until_when_while_newer_ones_go() -> None:
    link = link_of(2)
    group = group_of(link)
    hand_out(group, link, 1, 1)
    group.give_back(1, not_before_s=10.0)
    assert hand_out(group, link, 2, 1) == GroupOffer(2, 1)
    assert group.next_value(link, 9.0) == 10.0
    assert group.next_value(link, 10.0) == GroupOffer(1, 2)


def test_only_the_newest_token_holds() -> None:
    link = link_of(1)
    group = group_of(link)
    hand_out(group, link, 1, 1)
    group.release(1)
    hand_out(group, link, 2, 2)
    assert not group.holds(1, 1)
    assert group.holds(1, 2)
    acked(group, 1)
    assert not group.holds(1, 2)


def test_acks_out_of_order_leave_the_others_on_lease() -> None:
    link = link_of(4)
    group = group_of(link)
    for token in (1, 2, 3, 4):
        hand_out(group, link, token, 1)
    acked(group, 3)
    acked(group, 1)
    assert sorted(group.leases) == [2, 4]
    group.release(1)
    assert hand_out(group, link, 5, 1) == GroupOffer(2, 2)
    assert hand_out(group, link, 6, 1) == GroupOffer(4, 2)


def test_a_group_that_was_read_again_hands_out_what_its_cursor_does_not_have() -> None:
    link = link_of(6)
    group = group_of(link)
    group.move(1, 1, Cursor.of(1, ((3, 4),)))
    group.leased(2, 9, 1)
    assert [hand_out(group, link, token, 1) for token in (10, 11, 12)] == [GroupOffer(2, 2), GroupOffer(5, 1), GroupOffer(6, 1)]


def test_a_group_is_finished_when_its_generation_is_sealed_on_disk_and_all_is_done() -> None:
    link = link_of(1)
    group, generation = group_of(link), link.generations[1]
    hand_out(group, link, 1, 1)
    acked(group, 1)
    assert not group.finished(link)
    generation.state, generation.sealed_sequence = GenerationState.SEALED, 1
    assert not group.finished(link)
    generation.seal_durable = True
    assert group.finished(link)
    generation.state = GenerationState.GROWING
    assert not group.finished(link)


def test_in_another_generation_nothing_is_on_lease() -> None:
    link = link_of(2)
    group = group_of(link)
    hand_out(group, link, 1, 1)
    link.generations[1].state = GenerationState.ABANDONED
    assert group.superseded(link)
    link.generations[2] = Generation(2, 1, 3, 4, "", "")
    link.newest, link.durable_sequence = 2, 4
    following = link.following(1)
    assert following is link.generations[2]
    group.move(1, 2, Cursor(2))
    assert not group.leases
    assert hand_out(group, link, 2, 1) == GroupOffer(3, 1)
