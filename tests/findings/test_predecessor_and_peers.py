"""Where it is shown that linkd has neither the defects of the system before it nor what users of others complain of.

`DEFECTS` are those of koalja.md, section (d), by number: each a sentence that was false there, and the tests that show that it is true here.
`COMPLAINTS` are those of peers.md, section 2, that concern links. What a later step is about is in `ELSEWHERE`.
"""

from __future__ import annotations

import pytest
from index import Shown, exists

DEFECTS = {
    1: Shown(
        "`swap` takes the newest of each input whenever one has changed, for ever, and never the same twice",
        {
            "home/test_home_predecessor.py": ("test_seven_values_for_newest_of_each_are_taken_as_they_come_and_never_twice",),
            "core/test_composition.py": ("test_swap_takes_the_newest_of_each_when_one_has_changed",),
        },
    ),
    2: Shown(
        "what a program has committed is settled on its links for good",
        {
            "home/test_home_predecessor.py": ("test_what_a_program_has_done_is_done_for_good_and_what_failed_is_not",),
            "home/test_home_restarts.py": ("test_a_run_that_is_continued_goes_on_behind_the_last_commit",),
        },
    ),
    3: Shown(
        "what failed is handed out again, as it was, until it is done or a dead letter; it never counts as done",
        {
            "home/test_home_predecessor.py": ("test_what_a_program_has_done_is_done_for_good_and_what_failed_is_not",),
            "home/test_home_leases.py": (
                "test_failures_are_counted_through_a_restart",
                "test_what_failed_as_often_as_it_may_goes_to_the_dead_letters_and_the_rest_goes_on",
            ),
            "client/test_snapshots.py": ("test_an_exception_takes_nothing_and_gives_the_snapshot_back",),
            "home/test_client_leases.py": ("test_a_failure_counts_however_soon_its_program_ends",),
        },
    ),
    4: Shown(
        "a client goes on behind a restart, waits longer from try to try, and does not fill a log meanwhile",
        {
            "home/test_home_predecessor.py": ("test_while_linkd_is_away_a_consumer_waits_quietly_and_goes_on",),
            "home/test_client_reconnecting.py": (
                "test_subscriptions_and_readings_that_follow_go_on_behind_a_restart",
                "test_waits_between_tries_are_spread_over_all_of_a_bound_that_doubles",
                "test_a_home_that_ends_every_connection_is_come_back_to_ever_more_rarely",
            ),
            "client/test_snapshots.py": ("test_a_home_that_comes_back_between_snapshots_goes_on",),
        },
    ),
    5: Shown(
        "a restart keeps everything that was acked, and a lease that is not renewed ends",
        {
            "home/test_home_kill.py": ("test_every_acked_value_survives_kill_9_once_and_in_order",),
            "simulation/test_store_crashes.py": ("test_what_was_acked_survives_any_power_cut",),
            "home/test_home_group_terms.py": ("test_a_hang_is_taken_over_when_its_lease_ends_and_its_late_ack_is_refused_alone",),
            "home/test_home_leases.py": ("test_a_replica_takes_over_from_one_that_hangs_and_the_late_commit_is_refused",),
        },
    ),
    6: Shown(
        "any number of values goes back when a consumer goes, also one that is on its way to it",
        {
            "home/test_home_predecessor.py": ("test_hundreds_of_values_in_the_hands_of_a_consumer_that_goes_are_all_handed_out_again",),
            "home/test_home_subscriptions.py": ("test_a_consumer_that_vanishes_leaves_no_lease_and_no_task",),
            "home/test_home_snapshots.py": ("test_a_task_that_vanishes_at_any_moment_keeps_no_lease",),
        },
    ),
    7: Shown(
        "accepted means durable, once for all readers of the link, and a commit is on all of its outputs or on none",
        {
            "home/test_home_predecessor.py": ("test_every_branch_gets_what_was_acked_however_long_one_of_them_fails",),
            "home/test_home_publishing.py": (
                "test_values_with_more_are_visible_together_with_the_last_across_links",
                "test_values_with_more_are_dropped_if_the_last_does_not_come",
            ),
            "home/test_home_snapshots.py": ("test_a_refused_value_takes_nothing_and_the_snapshot_can_still_be_committed",),
        },
    ),
    8: Shown(
        "a branch that stands still holds up nobody, unless its link has a bound; then exactly so much waits, by what its policy says",
        {
            "home/test_home_predecessor.py": ("test_every_branch_gets_what_was_acked_however_long_one_of_them_fails",),
            "home/test_home_flow.py": (
                "test_a_slow_branch_holds_back_only_the_producer_of_its_own_link",
                "test_a_full_link_holds_back_its_publishers_who_go_on_in_order",
                "test_a_commit_waits_for_all_its_outputs_and_holds_none",
            ),
        },
    ),
    9: Shown(
        "every value names what it was made from, whenever it was published, and once however many read it",
        {
            "home/test_home_predecessor.py": ("test_results_are_there_before_the_program_ends",),
            "home/test_home_snapshots.py": ("test_the_lineage_of_a_committed_value_is_its_snapshot",),
            "home/test_home_windows.py": ("test_a_client_sees_only_the_rows_that_belong_to_its_window",),
            "home/test_home_lineage.py": ("test_a_trace_forward_leads_to_all_that_was_made_and_written",),
        },
    ),
    10: Shown(
        "a consumer is given what it has room for, the others get theirs, and what waits is counted as waiting",
        {
            "home/test_home_subscriptions.py": (
                "test_credit_bounds_what_is_sent_ahead",
                "test_two_members_share_and_one_takes_over_what_the_other_leaves",
            ),
            "home/test_home_snapshots.py": ("test_so_many_are_handed_out_ahead_and_no_more",),
            "core/test_flow.py": ("test_what_waits_is_what_a_look_at_every_value_finds",),
        },
    ),
    11: Shown(
        "a cursor belongs to one group and one link, and long work keeps its lease",
        {
            "home/test_home_predecessor.py": ("test_one_group_name_on_two_links_is_two_cursors",),
            "core/test_composition.py": ("test_several_inputs_fire_together_and_a_finished_one_gives_nothing",),
            "home/test_client_leases.py": ("test_a_program_that_works_keeps_its_lease",),
        },
    ),
    12: Shown(
        "a call does what its wiring gives it and is refused and told otherwise; no secret is printed or logged",
        {
            "home/test_home_reading.py": (
                "test_what_the_wiring_does_not_give_is_denied_and_audited",
                "test_tokens_of_an_earlier_run_are_fenced_and_forged_ones_refused",
            ),
            "core/test_masking.py": ("test_a_secret_becomes_stars",),
            "client/test_aio_client.py": ("test_the_token_travels_with_every_call_and_is_not_shown",),
        },
    ),
    14: Shown(
        "a value of any size travels in pieces, so that no client has to raise a limit",
        {
            "home/test_home_publishing.py": ("test_a_value_of_20_mb_goes_and_comes_in_chunks",),
            "e2e/test_node_client.py": ("test_ten_megabytes_of_opaque_bytes_travel_in_chunks_both_ways",),
            "e2e/test_run.py": ("test_what_a_commit_publishes_may_be_of_any_size_and_any_frame",),
        },
    ),
    15: Shown(
        "what a program commits is there for the next one at once, in any number of values",
        {"home/test_home_predecessor.py": ("test_results_are_there_before_the_program_ends",)},
    ),
    18: Shown(
        "every payload has a checksum, which is looked at before anything of it is given to anybody",
        {
            "store/test_store.py": ("test_a_payload_that_changed_on_disk_is_never_served",),
            "store/test_bit_flips.py": ("test_every_flipped_bit_is_found_or_read_by_nothing_and_none_is_served",),
            "home/test_home_snapshots.py": ("test_a_commit_with_a_wrong_checksum_is_a_conflict",),
        },
    ),
    19: Shown(
        "what nobody needs any more goes: by generations, age, bytes and number, within a budget of disk",
        {
            "home/test_home_retention.py": ("test_generations_that_were_superseded_are_gone_from_disk_and_memory",),
            "home/test_home_expiry.py": (
                "test_a_link_keeps_the_last_values_and_says_of_others_why_they_are_gone",
                "test_room_that_is_short_is_made_of_what_may_go",
            ),
            "simulation/test_seven_days.py": ("test_a_week_leaves_no_more_behind_than_a_day",),
        },
    ),
    20: Shown(
        "nothing polls",
        {"findings/test_nothing_polls.py": ("test_whatever_waits_for_a_time_says_for_which",)},
    ),
    21: Shown(
        "values are found by an index, a limit is kept, and nothing is what is not there",
        {
            "store/test_store.py": ("test_values_are_found_by_sequence_generation_id_and_time",),
            "home/test_home_lineage.py": ("test_depth_and_limit_bound_what_is_told",),
            "home/test_home_reading.py": ("test_a_link_without_anything_reads_as_empty_and_an_unknown_one_is_refused",),
        },
    ),
    22: Shown(
        "an ancestor is looked up once, whatever the number of roads to it, and one that is gone is no failure",
        {
            "home/test_home_predecessor.py": ("test_the_ancestors_of_a_value_behind_many_diamonds_are_told_once_each",),
            "home/test_home_retention.py": ("test_where_something_came_from_is_known_as_long_as_it_is_there",),
        },
    ),
    23: Shown(
        "a graph that cannot work is refused before it runs, by name; what does not fit a link, before it is stored",
        {
            "core/test_wiring.py": ("test_a_graph_that_cannot_run_is_told_by_name", "test_what_cannot_be_read_is_told_at_its_place"),
            "core/test_names.py": ("test_a_name_outside_the_alphabet_is_refused_with_the_nearest_that_is_in_it",),
            "core/test_publishing.py": ("test_the_first_value_gives_the_schema_and_a_value_of_another_is_refused",),
        },
    ),
    24: Shown(
        "counts outlive a restart, what failed is counted by itself, and who is gone is counted no more",
        {
            "home/test_home_predecessor.py": ("test_what_a_program_has_done_is_done_for_good_and_what_failed_is_not",),
            "telemetry/test_metrics.py": (
                "test_lag_is_a_gauge_until_its_group_is_closed",
                "test_what_is_refused_or_lost_is_counted_by_reason",
            ),
        },
    ),
    26: Shown(
        "an edited file costs what depends on the edit, and no link anything else",
        {"core/test_planning.py": ("test_whatever_is_edited_in_whatever_order_every_output_becomes_current_and_nothing_else_runs",)},
    ),
    27: Shown(
        "windows, and what they overlap in, go on after a crash where they were",
        {
            "home/test_home_windows.py": (
                "test_windows_of_rows_go_on_where_they_were_after_a_crash",
                "test_swap_is_durable_before_it_is_handed_out_and_comes_again_as_it_was",
            ),
            "core/test_composition.py": ("test_windows_begin_again_where_they_were_after_a_crash",),
            "core/test_composition_model.py": ("test_windows_that_are_composed_ahead_and_settled_in_any_order_are_those_of_the_model",),
        },
    ),
}

ELSEWHERE = {
    13: "paths within artifacts: tests/core/test_artifacts_decided.py, tests/home/test_artifacts_served.py; of a backup: tests/store/test_backup.py",
    16: "pods: a program is started once for all its snapshots (tests/e2e/test_run.py); pods are of a later step",
    17: "`restart` as a policy of tasks, which there is not",
    25: "a library for annotations, which there is not",
    28: "that there were no tests",
}

COMPLAINTS = {
    5: Shown(
        "no time left to flush: there is nothing to flush. kill -9 loses nothing, and an end takes no longer than --drain-timeout",
        {
            "home/test_home_kill.py": ("test_every_acked_value_survives_kill_9_once_and_in_order",),
            "home/test_home_shutdown.py": ("test_a_home_that_is_told_to_end_drains_and_nothing_acked_is_lost",),
        },
    ),
    9: Shown(
        "memory: counted in bytes, a quarter of the cgroup's limit at most; who finds none left waits, or is told when to come again",
        {
            "e2e/test_benchmarks.py": ("test_a_stalled_consumer_costs_no_memory",),
            "app/test_cgroup.py": ("test_a_quarter_of_the_limit_is_taken_and_never_more_than_the_default",),
            "home/test_home_memory.py": (
                "test_rows_for_a_slow_reader_wait_on_disk_and_not_in_memory",
                "test_a_backlog_beyond_the_memory_is_drained_in_order_while_more_comes",
            ),
            "home/test_home_subscriptions.py": ("test_a_slow_consumer_holds_no_memory",),
            "home/test_home_disk.py": ("test_a_refusal_says_when_to_try_again_as_any_grpc_client_reads_it",),
            "query/test_statements_at_home.py": ("test_a_link_is_read_as_far_as_a_statement_can_want_it",),
        },
    ),
    11: Shown(
        "order: that of the link, through redelivery, or that of each key; publishes keep theirs through lost connections",
        {
            "home/test_home_subscriptions.py": ("test_a_given_back_value_comes_before_newer_ones_with_its_attempt_counted",),
            "home/test_home_group_terms.py": ("test_values_of_one_key_stay_in_order_while_others_go_on",),
            "core/test_groups_model.py": ("test_whatever_happens_values_are_settled_once_in_order_by_who_has_them",),
            "home/test_client_leases.py": ("test_a_delay_holds_back_what_is_newer_where_there_is_an_order",),
            "home/test_client_reconnecting.py": (
                "test_many_publishes_at_once_keep_their_order_through_a_crash_and_one_that_is_refused",
                "test_publishes_in_flight_survive_restarts_once_and_in_order",
            ),
        },
    ),
    12: Shown(
        "nothing is fetched beyond what there is room for, what waits at a client costs no lease, and an idle one gets of it",
        {
            "home/test_home_subscriptions.py": (
                "test_credit_bounds_what_is_sent_ahead",
                "test_one_value_goes_however_little_credit_there_is",
            ),
            "home/test_home_leases.py": (
                "test_what_is_reserved_has_no_deadline",
                "test_without_an_order_an_idle_session_gets_what_another_has_not_begun",
            ),
            "home/test_home_group_terms.py": ("test_an_idle_member_gets_of_what_a_busy_one_has_in_reserve",),
            "core/test_groups.py": (
                "test_what_a_member_leaves_goes_out_first_oldest_first_and_only_what_was_begun_counts_as_an_attempt",
                "test_half_of_what_a_busy_member_has_in_reserve_is_asked_back_for_one_that_is_idle",
            ),
        },
    ),
    13: Shown(
        "long work is not redelivered: its program renews the lease, for as long as `timeout` says, and everybody can see how long it lasts",
        {
            "home/test_client_leases.py": ("test_a_program_that_works_keeps_its_lease",),
            "home/test_home_leases.py": (
                "test_the_stream_says_how_long_a_lease_lasts",
                "test_renewing_keeps_a_lease_for_the_timeout_of_the_task",
                "test_two_late_refusals_double_the_lease_of_a_snapshot",
            ),
            "app/test_cli_listing.py": ("test_leases_say_which_snapshot_of_which_task_since_when",),
        },
    ),
    14: Shown(
        "what is in flight is known: the same publish or commit at once, or again, happens once; a drain lets acks through",
        {
            "home/test_home_producers.py": (
                "test_the_same_publish_over_several_connections_at_once_happens_once",
                "test_a_repeat_is_recognised_behind_a_seal_and_a_restart",
                "test_other_content_under_a_number_is_a_conflict_and_told",
            ),
            "home/test_home_snapshots.py": ("test_the_same_commit_over_several_connections_at_once_happens_once",),
            "home/test_home_subscriptions.py": ("test_a_drain_confirms_the_acks_it_took_before_it_ends_a_subscription",),
            "home/test_commits_through_cuts.py": ("test_wherever_the_connection_is_cut_each_snapshot_is_committed_once",),
        },
    ),
    15: Shown(
        "a full link loses nothing unless it says so, and then every value that is lost is counted, with the reason, in its place",
        {
            "home/test_home_flow.py": (
                "test_a_full_link_holds_back_its_publishers_who_go_on_in_order",
                "test_a_link_that_refuses_says_so_and_takes_values_again",
                "test_the_newest_is_dropped_counted_and_keeps_its_place",
                "test_the_oldest_make_room_but_never_what_is_on_lease",
            ),
            "home/test_home_group_terms.py": ("test_what_was_dropped_before_the_group_had_it_is_told_once_and_settled",),
            "telemetry/test_metrics.py": ("test_what_is_refused_or_lost_is_counted_by_reason",),
        },
    ),
    17: Shown(
        "damage on disk is named and kept to what it hit; a torn end is cut; linkd starts, or says what makes it start",
        {
            "store/test_journal.py": (
                "test_a_torn_last_group_is_cut_whole_and_said",
                "test_a_flip_before_a_later_group_is_damage_that_names_file_and_offset",
            ),
            "store/test_repair.py": (
                "test_whatever_bit_is_flipped_a_repair_loses_the_value_it_hits_and_keeps_the_rest",
                "test_a_start_passes_over_a_damaged_group_that_a_checkpoint_covers",
            ),
            "store/test_weak_frames.py": ("test_a_full_volume_is_waited_for",),
        },
    ),
    18: Shown(
        "there are tools for what is on disk: verify, repair, cat, backup, restore; they need no running linkd and harm none",
        {
            "app/test_cli_operating.py": (
                "test_verify_names_file_offset_link_and_sequence_and_what_to_do",
                "test_verify_beside_whoever_has_the_directory_reads_what_that_is_done_with",
                "test_repair_says_what_is_lost_and_changes_nothing_before_it_is_told_to",
                "test_cat_salvages_every_value_that_is_whole_and_names_the_others",
                "test_a_backup_comes_back_as_it_was",
            ),
        },
    ),
    19: Shown(
        "there is no second buffer to overflow into: memory is the head of one log, so a backlog keeps its order, is counted right and drains",
        {"home/test_home_memory.py": ("test_a_backlog_beyond_the_memory_is_drained_in_order_while_more_comes",)},
    ),
    20: Shown(
        "clients reconnect for ever, go on behind what was acked, and say how it stands",
        {
            "home/test_client_reconnecting.py": (
                "test_subscriptions_and_readings_that_follow_go_on_behind_a_restart",
                "test_what_becomes_of_the_connection_is_told",
                "test_a_home_that_ends_every_connection_is_come_back_to_ever_more_rarely",
                "test_a_publish_happens_once_wherever_its_connection_is_cut",
            ),
            "home/test_home_predecessor.py": ("test_while_linkd_is_away_a_consumer_waits_quietly_and_goes_on",),
        },
    ),
}

ALL = {f"defect {number}": shown for number, shown in DEFECTS.items()} | {
    f"complaint {number}": shown for number, shown in COMPLAINTS.items()
}


def test_all_defects_have_their_place() -> None:
    assert sorted(DEFECTS | ELSEWHERE) == list(range(1, 29))
    assert not set(DEFECTS) & set(ELSEWHERE)


@pytest.mark.parametrize("name", ALL)
def test_every_test_that_is_named_exists(name: str) -> None:
    named = list(ALL[name].node_ids())
    assert named
    assert not [node_id for node_id in named if not exists(node_id)]
