"""Consumer groups: what goes out next, to whom, and under which token it may be settled."""

from __future__ import annotations

from linkd.core.cursor import Cursor
from linkd.core.group_leases import GiveUp, GroupOffer, Look
from linkd.core.group_terms import GroupTerms
from linkd.core.groups import Group
from linkd.core.links import Generation, GenerationState, Link
from linkd.model.terms import Order

NONE = GroupTerms(Order.NONE)
KEY = GroupTerms(Order.KEY, "k")


def link_of(values: int, *, first: int = 1, durable: int | None = None) -> Link:
    last = first + values - 1
    link = Link("events", 1, last + 1, last if durable is None else durable, newest=1)
    link.generations[1] = Generation(1, 1, first, last, "", "", values=values)
    return link


def group_of(link: Link, terms: GroupTerms | None = None, members: int = 1) -> Group:
    group = Group("g", link.name, 1, 1, Cursor(link.generations[1].first_sequence - 1), terms or GroupTerms())
    for session in range(1, members + 1):
        group.join(session)
    return group


def hand_out(group: Group, link: Link, token: int, session: int = 1) -> GroupOffer:
    offer = group.next_value(session, link, 0.0)
    assert isinstance(offer, GroupOffer), offer
    known = group.leases.get(offer.sequence)
    failures, reason = (known.failures, known.reason) if known is not None else (0, "")
    group.leased(offer.sequence, token, offer.attempt, failures, reason)
    group.hold(offer.sequence, session)
    return offer


def acked(group: Group, sequence: int) -> None:
    group.settle([(sequence, sequence)])


def test_values_go_out_in_order_and_each_once() -> None:
    link = link_of(3)
    group = group_of(link)
    assert [hand_out(group, link, token, 1) for token in (1, 2, 3)] == [GroupOffer(n, 1) for n in (1, 2, 3)]
    assert group.next_value(1, link, 0.0) is None


def test_what_is_not_durable_does_not_go_out() -> None:
    link = link_of(3, durable=1)
    group = group_of(link)
    hand_out(group, link, 1, 1)
    assert group.next_value(1, link, 0.0) is None


def test_what_a_member_leaves_goes_out_first_oldest_first_and_only_what_was_begun_counts_as_an_attempt() -> None:
    link = link_of(5)
    group = group_of(link, NONE, members=3)
    for token in (1, 2, 3):
        hand_out(group, link, token, session=2 if token == 2 else 1)
    group.started(1, 1, 0.0)
    assert group.leave(1)
    assert not group.leave(1)
    assert [hand_out(group, link, token, 3) for token in (4, 5, 6)] == [GroupOffer(1, 2), GroupOffer(3, 1), GroupOffer(4, 1)]
    assert (group.leases[1].failures, group.leases[3].failures) == (1, 0)


def test_a_delayed_value_holds_back_what_is_behind_it_where_there_is_an_order() -> None:
    link = link_of(3)
    for terms, expected in ((NONE, GroupOffer(2, 1)), (GroupTerms(), 10.0)):
        group = group_of(link, terms)
        hand_out(group, link, 1)
        group.started(1, 1, 0.0)
        group.give_back(1, not_before_s=10.0)
        assert group.next_value(1, link, 9.0) == expected
        assert group.next_value(1, link, 10.0) == GroupOffer(1, 2)


def test_what_is_behind_a_value_that_was_given_back_is_asked_back_and_comes_behind_it_again() -> None:
    link = link_of(4)
    group = group_of(link)
    for token in (1, 2, 3):
        hand_out(group, link, token)
    group.started(1, 1, 0.0)
    assert group.give_back(1, 0.0) == [2, 3]
    assert hand_out(group, link, 4) == GroupOffer(1, 2)
    assert group.next_value(1, link, 0.0) is None
    group.started(1, 2, 0.0)  # the program took it before it heard of that
    assert group.next_value(1, link, 0.0) is None
    group.released(1, [3])
    assert hand_out(group, link, 5) == GroupOffer(3, 1)
    assert hand_out(group, link, 6) == GroupOffer(4, 1)


def test_in_the_order_of_the_link_one_member_is_active_and_the_next_takes_over_when_it_goes() -> None:
    link = link_of(3)
    group = group_of(link, members=2)
    hand_out(group, link, 1, 1)
    assert group.next_value(2, link, 0.0) is None
    acked(group, 1)
    assert group.next_value(2, link, 0.0) is None
    hand_out(group, link, 2, 1)
    group.leave(1)
    assert hand_out(group, link, 3, 2) == GroupOffer(2, 1)


def test_a_lease_that_is_not_renewed_ends_and_its_member_is_served_last() -> None:
    link = link_of(4)
    group = group_of(link, members=2)
    for token in (1, 2, 3):
        hand_out(group, link, token)
    group.started(1, 1, 0.0)
    assert not group.expire(29.0)
    group.renew(1, 29.0)
    assert not group.expire(58.0)
    assert group.expire(59.0)
    assert group.next_value(1, link, 60.0) is None
    assert [hand_out(group, link, token, 2) for token in (4, 5, 6)] == [GroupOffer(1, 2), GroupOffer(2, 1), GroupOffer(3, 1)]
    assert group.leases[1].failures == 1
    assert "30 s" in group.leases[1].reason
    assert group.members[1].recalls == [2, 3]
    assert not group.holds(1, 1)


def test_what_is_reserved_has_no_deadline_and_renewing_has_an_end() -> None:
    link = link_of(2)
    group = group_of(link, GroupTerms(lease_s=10.0, timeout_s=15.0))
    hand_out(group, link, 1)
    hand_out(group, link, 2)
    group.started(1, 1, 0.0)
    for now_s in (9.0, 14.0, 18.0, 23.0):
        group.renew(1, now_s)
        assert not group.expire(now_s)
    assert group.expire(24.0)
    assert group.waiting == {1, 2}


def test_a_lease_lasts_twice_as_long_when_two_acks_came_too_late() -> None:
    link = link_of(1)
    group = group_of(link, GroupTerms(lease_s=10.0))
    hand_out(group, link, 1)
    group.refuse_late(1)
    group.refuse_late(1)
    group.started(1, 1, 0.0)
    assert not group.expire(15.0)
    assert group.expire(20.0)


def test_half_of_what_a_busy_member_has_in_reserve_is_asked_back_for_one_that_is_idle() -> None:
    link = link_of(5)
    group = group_of(link, NONE, members=2)
    for token in range(1, 6):
        hand_out(group, link, token)
    assert group.spare(2) is None  # nothing is in work: it will come to it
    group.started(1, 1, 0.0)
    busy = group.spare(2)
    assert busy is group.members[1]
    assert busy.recalls == [4, 5]
    assert group.spare(2) is None
    group.released(1, busy.recalls)
    assert hand_out(group, link, 6, 2) == GroupOffer(4, 1)
    assert group_of(link, members=2).spare(2) is None


def test_what_failed_as_often_as_it_may_is_given_up_before_anything_behind_it() -> None:
    link = link_of(2)
    group = group_of(link, GroupTerms(max_attempts=2))
    for token in (1, 2):
        hand_out(group, link, token)
        group.failed(1, token, "because")
        group.give_back(1, 0.0)
    assert group.next_value(1, link, 0.0) == GiveUp(1)
    group.hold(1, 1, sent=False)
    assert group.next_value(1, link, 0.0) == GroupOffer(2, 1)
    group.leave(1)
    group.join(2)
    assert group.next_value(2, link, 0.0) == GiveUp(1)


def look(group: Group, link: Link, session: int, slots: dict[int, tuple[int, ...]]) -> int | None:
    """The next value for the member, the slots of what comes found out on the way."""
    while isinstance(decision := group.next_value(session, link, 0.0), Look):
        group.looked(decision.sequence, slots[decision.sequence])
    assert isinstance(decision, GroupOffer | None)
    return decision.sequence if decision is not None else None


def test_values_of_a_slot_go_to_one_member_at_a_time_and_others_pass_them() -> None:
    link = link_of(5)
    slots = {1: (7,), 2: (7,), 3: (8,), 4: (7, 8), 5: (9,)}
    group = group_of(link, KEY, members=2)
    token = 0

    def hand(session: int) -> int | None:
        nonlocal token
        sequence = look(group, link, session, slots)
        if sequence is not None:
            token += 1
            group.leased(sequence, token, 1)
            group.hold(sequence, session)
        return sequence

    assert [hand(1), hand(2), hand(2), hand(2)] == [1, 3, 5, None]
    assert hand(1) == 2
    assert hand(1) is None  # 4 is behind 3, which the other one has
    acked(group, 3)
    assert hand(2) is None  # and behind 1 and 2
    assert hand(1) == 4
    group.started(1, 1, 0.0)
    assert group.give_back(1, 0.0) == [4, 5]  # tokens of 2 and 4
    group.released(1, [4, 5])
    assert [hand(2), hand(2), hand(2)] == [1, 2, 4]


def test_what_had_to_wait_for_its_slot_is_known_again_when_the_records_are_read() -> None:
    link = link_of(4)
    group = group_of(link, KEY)
    group.leased(1, 1, 1)
    group.leased(4, 2, 1)
    assert group.waiting == {1, 2, 3, 4}
    assert look(group, link, 1, {1: (1,), 2: (1,), 3: (2,), 4: (3,)}) == 1


def test_what_was_dropped_before_it_went_out_is_passed_over_and_told_once() -> None:
    link = link_of(6)
    group = group_of(link)
    hand_out(group, link, 1)
    group.settle([(2, 3), (5, 5)])
    assert group.passed_over() == (2, 3)
    assert group.passed_over() is None
    assert hand_out(group, link, 2) == GroupOffer(4, 1)
    assert group.passed_over() == (5, 5)


def test_after_a_seek_nothing_is_on_lease_and_old_tokens_are_void() -> None:
    link = link_of(3)
    group = group_of(link)
    for token in (1, 2):
        hand_out(group, link, token)
    group.move(1, 1, Cursor(0), run_generation=1)
    assert group.members[1].recalls == [1, 2]
    assert not group.holds(1, 1)
    assert hand_out(group, link, 3) == GroupOffer(1, 1)


def test_only_the_newest_token_holds() -> None:
    link = link_of(1)
    group = group_of(link)
    hand_out(group, link, 1, 1)
    assert group.holds(1, 1)
    group.leave(1)
    assert group.holds(1, 1)  # nobody else has it yet
    group.join(2)
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
    group.leave(1)
    group.join(2)
    assert hand_out(group, link, 5, 2) == GroupOffer(2, 1)
    assert hand_out(group, link, 6, 2) == GroupOffer(4, 1)


def test_a_group_that_was_read_again_hands_out_what_its_cursor_does_not_have() -> None:
    link = link_of(6)
    group = group_of(link)
    for sequence in (1, 2, 3, 4):
        group.leased(sequence, 5 + sequence, 1)
    group.move(1, 1, Cursor.of(1, ((3, 4),)))
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


def test_a_member_that_hangs_is_not_handed_what_it_lost() -> None:
    """Whoever asks first when a lease ends gets the value, and that may be the one that hangs: its connection is there as long as it is not."""
    link = link_of(2)
    group = group_of(link, NONE, members=2)
    hand_out(group, link, 1)
    group.started(1, 1, 0.0)
    assert group.expire(30.0)
    assert group.next_value(1, link, 30.0) is None
    assert group.next_value(2, link, 30.0) == GroupOffer(1, 2)
    assert group.heard(1)
    assert not group.heard(1)
    assert group.next_value(1, link, 30.0) == GroupOffer(1, 2)
