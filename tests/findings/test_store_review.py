"""Where it is shown that the store has none of the holes that a review of an earlier draft found.

`FINDINGS` are those of review-store.md, by number: each what linkd promises in its place, and the tests that would fail if it did not.
What other steps are about is in `ELSEWHERE`.
"""

from __future__ import annotations

import pytest
from index import Shown, exists

CRASHES = "simulation/test_store_crashes.py"
POWER_CUTS = (
    "test_what_was_acked_survives_any_power_cut",
    "test_seeds_that_found_something",
)
SIMULATED = {
    "simulation/test_simulated_home.py": ("test_every_promise_is_kept_through_any_history", "test_what_broke_once_holds"),
}

FINDINGS = {
    1: Shown(
        "a table stays right for as long as somebody holds it, whoever is stopped or killed: a file is used again by its own writer only, in the "
        "same life of linkd, when every client that was given a value in it has released it; what a client that went away, or a forked child, may "
        "read yet is deleted at most",
        {
            "home/test_lane_processes.py": (
                "test_tables_stay_right_whoever_is_stopped_or_killed",
                "test_a_forked_child_keeps_its_table_and_is_told_not_to_use_the_client",
            ),
            "store/test_shared_files.py": (
                "test_a_file_whose_values_are_dropped_goes_to_its_writer_again",
                "test_a_file_is_not_used_again_while_anybody_may_read_it_or_without_its_writer",
            ),
            "home/test_lane_attacks.py": ("test_two_streams_of_one_client_have_files_of_their_own",),
            "store/test_mapped_tables.py": (
                "test_a_mapped_table_stays_what_it_was_when_its_values_are_dropped_and_ten_times_as_many_are_written",
                "test_a_mapped_table_stays_what_it_was_while_its_file_grows_and_is_mended_and_moved",
            ),
            "store/test_recycling.py": ("test_whoever_reads_a_value_when_it_is_dropped_gets_it_whole",),
            "store/test_files.py": ("test_a_file_that_is_read_is_not_closed_before_its_reader_leaves",),
        },
    ),
    2: Shown(
        "a journal file goes when its values are in segments, its commits in `_commits` and its state in a checkpoint, all synced; the index can "
        "be lost at any time",
        {
            CRASHES: POWER_CUTS,
            "store/test_recycling.py": (
                "test_the_journal_keeps_a_few_files_and_everything_can_still_be_read",
                "test_a_journal_file_that_is_missing_though_its_values_are_nowhere_else_is_named",
                "test_an_index_that_was_lost_is_made_again_from_segments",
            ),
            "store/test_commit_log.py": ("test_commits_outlive_the_journal_over_restarts_in_one_chain",),
            "store/test_commit_log_crashes.py": ("test_every_commit_is_said_once_and_in_one_chain_whenever_power_fails",),
            "store/test_repair.py": ("test_without_its_index_a_directory_loses_nothing",),
            "core/test_checkpoint.py": (
                "test_a_ledger_that_was_restored_from_a_checkpoint_is_the_one_that_reads_all_frames_again",
                "test_whoever_adds_to_the_state_thinks_of_checkpoints",
            ),
        },
    ),
    3: Shown(
        "a publisher writes the body of a value only; linkd alone writes schema, envelope and end mark, and a file reads as one stream whatever was "
        "committed in what order, or never",
        {
            "store/test_shared_files.py": (
                "test_a_value_stays_where_its_publisher_has_laid_it",
                "test_values_are_committed_in_any_order_or_never",
                "test_a_large_gap_is_passed_over",
                "test_what_does_not_fit_the_file_is_copied_into_another",
            ),
            "wire/test_arrow_ipc.py": (
                "test_a_stamped_batch_reads_the_same_and_carries_the_stamp",
                "test_a_filler_made_of_a_batch_is_passed_over_by_every_reader",
            ),
        },
    ),
    4: Shown(
        "an Arrow reader of a segment sees the committed values and nothing behind them, at every instant of a write, and what a crash left there "
        "is cut",
        {
            "simulation/test_arrow_readers.py": ("test_an_arrow_reader_sees_committed_values_in_order_at_every_instant_of_a_write",),
            "store/test_segments.py": (
                "test_a_reader_sees_a_value_when_it_is_published_and_not_before",
                "test_recovery_publishes_what_is_committed_and_cuts_the_rest",
            ),
            CRASHES: POWER_CUTS,
        },
    ),
    5: Shown(
        "a file has one writer and one link, and its descriptor goes to nobody else for writing: who overwrites what it has committed damages its "
        "own values, which readers are told, and no other",
        {
            "home/test_lane_attacks.py": (
                "test_a_value_that_its_producer_changes_afterwards_is_told_of_and_no_other_is_touched",
                "test_a_place_that_cannot_be_is_refused_and_nothing_else_is_touched",
            ),
            "home/test_lane_sessions.py": (
                "test_the_session_of_another_identity_cannot_be_named",
                "test_who_releases_what_it_does_not_hold_loses_its_session_and_nobody_else_does",
            ),
            "store/test_shared_files.py": ("test_a_place_that_cannot_be_is_refused",),
        },
    ),
    6: Shown(
        "what a failed sync left is void before anybody is told; if not even that can be made durable the outcome is said to be unknown, and "
        "nothing more is acked; no flipped bit of the mark brings anything back; the descriptor that wrote is the one that syncs",
        {
            "store/test_void_marks.py": (
                "test_what_failed_does_not_come_back_whatever_bit_of_its_mark_is_flipped",
                "test_a_repair_knows_a_mark_of_which_one_bit_is_flipped",
                "test_a_repair_says_what_may_be_there_where_the_mark_cannot_be_read",
            ),
            "store/test_journal.py": ("test_what_a_failed_sync_left_is_void",),
            "store/test_store.py": (
                "test_a_failed_group_that_reached_the_disk_all_the_same_is_void",
                "test_after_a_failure_nothing_is_acked_any_more_and_nothing_of_it_is_there",
            ),
            "store/test_weak_frames.py": ("test_frames_go_on_behind_the_last_durable_one_after_a_failed_sync",),
            "store/test_descriptors.py": (
                "test_no_descriptor_is_closed_between_a_write_and_its_sync_but_for_prefixes_which_a_start_writes_again",
            ),
            "home/test_home_storage_failure.py": ("test_after_a_failed_sync_a_home_is_not_ready_takes_nothing_and_serves_what_it_acked",),
            "home/test_client_reconnecting.py": ("test_a_publish_happens_once_wherever_its_connection_is_cut",),
            CRASHES: POWER_CUTS,
        },
    ),
    7: Shown(
        "a torn tail, a flipped bit and a stale frame are told apart: a tail is cut and said, with what may have been acked; a flip before a later "
        "group is damage that is named",
        {
            "store/test_journal.py": (
                "test_a_torn_last_group_is_cut_whole_and_said",
                "test_a_flip_before_a_later_group_is_damage_that_names_file_and_offset",
                "test_a_flip_in_the_last_group_before_a_seal_is_damage",
                "test_a_flip_in_an_older_file_is_damage_when_it_is_read",
                "test_bytes_of_a_payload_do_not_pass_for_a_group",
                "test_what_a_former_use_of_the_bytes_of_a_file_left_is_neither_read_nor_taken_for_damage",
                "test_groups_start_on_pages_and_the_file_is_zero_filled_ahead",
            ),
            "store/test_repair.py": ("test_whatever_bit_is_flipped_a_repair_loses_the_value_it_hits_and_keeps_the_rest",),
            CRASHES: ("test_a_flipped_bit_is_found_or_harmless",),
        },
    ),
    8: Shown(
        "no position is given twice: a start that may have lost the tail of a weak link begins an incarnation, and who was ahead is told how many "
        "values are lost; a value of an `fsync` link is seen by nobody before its sync",
        {
            CRASHES: POWER_CUTS,
            **SIMULATED,
            "core/test_durability_of_frames.py": (
                "test_weak_links_begin_an_incarnation_where_their_tail_may_be_lost",
                "test_who_was_ahead_is_told_how_many_values_are_lost",
            ),
            "home/test_home_durability.py": (
                "test_after_the_power_was_gone_weak_links_go_on_in_a_new_incarnation",
                "test_nobody_sees_a_value_of_a_link_of_fsync_before_its_sync",
            ),
            "home/test_consumer_deaths.py": ("test_a_consumer_that_was_ahead_of_what_the_power_left_is_told_what_is_lost",),
        },
    ),
    9: Shown(
        "a commit is one frame, and as durable as the strongest of the links it touches, all parts of it",
        {
            "core/test_durability_of_frames.py": ("test_a_commit_has_the_strongest_durability_of_all_links_it_touches",),
            "home/test_home_durability.py": ("test_a_commit_is_worth_the_strongest_of_its_links",),
            "simulation/test_mixed_durability.py": ("test_a_commit_is_lost_or_kept_with_all_its_parts",),
            CRASHES: POWER_CUTS,
            **SIMULATED,
        },
    ),
    10: Shown(
        "portions name rows of a value: windows of rows and key slots are handed out and settled by themselves, and a value is done when all of "
        "it is; sources cut values at the same rows however they are read; a value that was folded is byte for byte what was published",
        {
            "core/test_composition.py": (
                "test_windows_of_rows_begin_and_end_inside_values",
                "test_a_value_is_done_when_every_window_that_has_rows_of_it_is",
                "test_rows_are_counted_in_bounded_steps_and_once",
            ),
            "home/test_home_windows.py": ("test_a_client_sees_only_the_rows_that_belong_to_its_window",),
            "home/test_home_group_terms.py": ("test_values_of_one_key_stay_in_order_while_others_go_on",),
            "adapters/test_file_dialect.py": ("test_reading_goes_on_without_a_header_too",),
            "store/test_recycling.py": ("test_the_journal_keeps_a_few_files_and_everything_can_still_be_read",),
        },
    ),
    11: Shown(
        "bounded links deadlock no graph that can run: the diamond that filters, the window larger than the bound, the input that is taken whole; "
        "a commit waits for all its outputs holding none, and a circle of waits is named and ends",
        {
            "home/test_home_flow.py": (
                "test_a_diamond_of_which_one_branch_filters_runs_with_small_bounds",
                "test_a_window_larger_than_the_bound_fills",
                "test_a_window_of_rows_larger_than_the_bound_fills",
                "test_an_input_that_is_taken_whole_is_never_full",
                "test_a_huge_input_does_not_eat_the_credit_of_a_tiny_one",
                "test_a_commit_waits_for_all_its_outputs_and_holds_none",
                "test_a_circle_of_waits_is_named_and_ends",
                "test_who_only_waits_is_in_no_circle",
            ),
            "core/test_flow.py": ("test_a_circle_is_found_whenever_there_is_one",),
        },
    ),
    13: Shown(
        "equal work has equal ids and other work others (a seek and a new run are other work); what a snapshot is made of is recorded before it is "
        "handed out; other content under one identity is a conflict and never dropped",
        {
            "core/test_ids.py": ("test_equal_work_has_equal_ids_and_other_work_others",),
            "core/test_commits.py": (
                "test_values_of_equal_work_have_equal_ids",
                "test_a_repeat_is_answered_and_a_contradiction_is_a_conflict",
            ),
            "core/test_publishing.py": ("test_ids_of_a_source_come_from_its_position",),
            "home/test_home_windows.py": (
                "test_swap_is_durable_before_it_is_handed_out_and_comes_again_as_it_was",
                "test_windows_of_rows_go_on_where_they_were_after_a_crash",
            ),
            "home/test_home_snapshots.py": ("test_the_same_snapshot_with_other_content_is_a_conflict",),
            "home/test_home_group_terms.py": ("test_a_seek_voids_what_is_on_lease_and_the_group_goes_on_there",),
        },
    ),
    14: Shown(
        "a producer is known by name, epoch and number, not by a window of time: a repeat is answered as the first was, over restarts, and what is "
        "remembered is bounded (two homes and their links are a later step)",
        {
            "core/test_producers.py": (
                "test_every_publish_happens_once_whatever_is_repeated_restarted_or_fenced",
                "test_answers_are_bounded_over_all_producers",
            ),
            "home/test_home_producers.py": (
                "test_a_repeat_is_recognised_behind_a_seal_and_a_restart",
                "test_opening_a_name_fences_the_one_before",
                "test_other_content_under_a_number_is_a_conflict_and_told",
            ),
            **SIMULATED,
        },
    ),
    15: Shown(
        "many commits share a sync, one for each segment file with new bulk and one for the journal; a frame joins when its payload is synced",
        {
            "store/test_store.py": ("test_many_in_flight_are_committed_in_order_in_few_groups",),
            "store/test_weak_frames.py": ("test_a_payload_that_was_not_synced_takes_its_frame_with_it",),
            CRASHES: POWER_CUTS,
        },
    ),
    16: Shown(
        "disk is bounded by a budget that counts all that linkd holds, deleted files that are still open too; before it is full publishing pauses, "
        "consumers go on, and cursors move in a reserve; a link costs the room of its values",
        {
            "home/test_home_disk.py": (
                "test_what_is_held_is_counted_as_it_is_written",
                "test_publishing_pauses_while_consumers_go_on_and_resumes",
                "test_commits_with_outputs_wait_and_those_that_only_free_go_on",
                "test_in_the_reserve_whatever_ends_or_moves_on_is_journaled_and_nothing_is_published",
                "test_without_a_budget_others_keep_a_reserve_on_the_volume",
                "test_a_real_volume_that_runs_full_loses_nothing_and_goes_on_when_there_is_room",
            ),
            "core/test_flow.py": ("test_publishing_pauses_at_nine_tenths_and_goes_on_clearly_below",),
            "store/test_counted_files.py": ("test_a_deleted_file_counts_until_its_last_writer_and_reader_have_left",),
            "store/test_room_of_many_links.py": ("test_many_links_take_no_more_room_than_their_values",),
            "store/test_weak_frames.py": ("test_the_reserve_of_the_journal_takes_small_frames_when_the_volume_is_full",),
        },
    ),
    17: Shown(
        "linkd maps nothing: what a publisher cuts off or stretches is refused, or told to its readers, and counts on the disk as what linkd made",
        {
            "home/test_lane_attacks.py": ("test_a_file_that_its_writer_cuts_or_stretches_costs_only_what_was_in_it",),
            "store/test_counted_files.py": ("test_what_somebody_else_does_to_a_file_changes_no_count",),
        },
    ),
    18: Shown(
        "whatever comes over the lane, in frames, messages or flatbuffers, is taken or refused, and everybody else goes on; nothing of it is "
        "queued or kept without bound",
        {
            "home/test_lane_fuzz.py": (
                "test_whatever_bytes_come_over_connections_of_the_lane_others_go_on",
                "test_whatever_a_publisher_says_of_places_is_stored_or_refused",
            ),
            "home/test_lane_attacks.py": (
                "test_compressed_and_dictionary_batches_are_refused_by_place_too",
                "test_metadata_of_another_shape_than_the_schema_fails_its_readers_and_nobody_else",
            ),
            "home/test_lane_sessions.py": (
                "test_empty_messages_that_nobody_reads_are_bounded_too",
                "test_descriptors_that_a_client_sends_are_not_kept",
            ),
            "wire/test_arrow_ipc.py": ("test_hostile_bytes_are_refused_and_never_crash", "test_any_metadata_is_read_or_refused"),
            "wire/test_lane_frames.py": ("test_whatever_comes_is_frames_or_refused_and_never_more_than_came",),
        },
    ),
    20: Shown(
        "the end of a link is a record: written with its last position, its one result, or the exit of its program with code 0 and nothing on lease; "
        "also without a value; never after another exit",
        {
            "core/test_publishing.py": (
                "test_a_seal_ends_the_generation_once_and_a_publish_reopens_it",
                "test_the_last_step_seals_all_links_of_the_source_and_ends_its_task",
            ),
            "core/test_tasks.py": (
                "test_each_value_in_turn_then_the_end",
                "test_an_empty_generation_ends_a_task_at_once",
                "test_a_seal_that_is_not_durable_fires_nothing",
            ),
            "home/test_home_snapshots.py": (
                "test_an_exit_with_code_0_seals_and_ends_the_leases",
                "test_an_exit_with_another_code_seals_nothing",
                "test_whole_inputs_without_a_value_fire_all_the_same",
            ),
            "e2e/test_kill.py": ("test_a_run_that_lost_a_process_is_completed_by_the_next",),
        },
    ),
    21: Shown(
        "what is handed out ahead is reserved and can be asked back; a lease is renewed by the client, bounded by the task's timeout, and fenced by "
        "a token; attempts are durable; two late refusals double the lease",
        {
            "core/test_groups.py": (
                "test_what_is_reserved_has_no_deadline_and_renewing_has_an_end",
                "test_half_of_what_a_busy_member_has_in_reserve_is_asked_back_for_one_that_is_idle",
                "test_only_the_newest_token_holds",
                "test_a_lease_lasts_twice_as_long_when_two_acks_came_too_late",
            ),
            "home/test_home_leases.py": (
                "test_renewing_keeps_a_lease_for_the_timeout_of_the_task",
                "test_a_replica_takes_over_from_one_that_hangs_and_the_late_commit_is_refused",
                "test_failures_are_counted_through_a_restart",
                "test_two_late_refusals_double_the_lease_of_a_snapshot",
                "test_without_an_order_an_idle_session_gets_what_another_has_not_begun",
            ),
            "home/test_home_group_terms.py": ("test_an_idle_member_gets_of_what_a_busy_one_has_in_reserve",),
        },
    ),
    22: Shown(
        "who keeps tables of values holds back neither retention nor producers: files go, and tables stay; clients hold a share of the disk at most, "
        "and get copies of the rest",
        {
            "home/test_lane_sessions.py": (
                "test_who_never_releases_holds_back_neither_retention_nor_others_nor_more_than_a_share_of_the_disk",
            ),
            "store/test_mapped_tables.py": (
                "test_a_mapped_table_stays_what_it_was_when_its_values_are_dropped_and_ten_times_as_many_are_written",
            ),
            "home/test_home_subscriptions.py": ("test_a_slow_consumer_holds_no_memory",),
        },
    ),
    23: Shown(
        "a segment has one schema and one generation; values are self-contained: dictionaries are refused with the remedy",
        {
            "store/test_segments.py": ("test_a_new_file_begins_with_another_schema_generation_or_when_one_is_full",),
            "wire/test_arrow_ipc.py": (
                "test_dictionary_columns_are_refused_with_the_remedy",
                "test_one_message_is_read_alone",
                "test_the_schema_id_is_that_of_the_schema_message",
            ),
            "core/test_schema.py": ("test_a_plain_schema_has_no_metadata_and_only_nullable_fields",),
        },
    ),
    24: Shown(
        "what a window or `swap` still needs stays though it was settled, and the state of a policy changes in the frame that fires it",
        {
            "core/test_composition.py": (
                "test_the_state_of_a_policy_goes_through_a_checkpoint",
                "test_windows_begin_again_where_they_were_after_a_crash",
            ),
            **SIMULATED,
            "home/test_home_windows.py": ("test_windows_of_rows_go_on_where_they_were_after_a_crash",),
        },
    ),
    25: Shown(
        "no clock that jumped deletes anything or ends a lease; times of values never run backwards, and order uses no clock",
        {
            "core/test_steady_clock.py": (
                "test_a_clock_that_jumped_is_believed_again_when_it_ran_steadily_for_an_hour",
                "test_however_the_clock_is_set_it_is_believed_only_behind_an_hour_without_a_jump",
            ),
            "home/test_home_clocks.py": ("test_a_clock_that_jumps_ends_no_lease",),
            "home/test_home_expiry.py": (
                "test_values_go_when_they_are_too_old_and_not_because_the_clock_jumped",
                "test_times_of_values_never_run_backwards",
                "test_a_machine_that_comes_up_with_a_wrong_date_deletes_nothing",
            ),
            "core/test_publishing.py": ("test_dates_never_go_back_within_a_link",),
            **SIMULATED,
        },
    ),
    26: Shown(
        "a flipped bit of the index is found by verify or at first use, and mended from the rest; none is ever served",
        {
            "store/test_bit_flips.py": (
                "test_every_flipped_bit_is_found_or_read_by_nothing_and_none_is_served",
                "test_bits_of_the_index_that_were_once_mistaken",
            ),
            "store/test_store.py": (
                "test_a_catalog_row_that_changed_is_read_again_from_the_journal",
                "test_a_catalog_that_does_not_fit_is_made_again",
            ),
            "store/test_repair.py": ("test_a_damaged_index_is_made_again_by_a_start_that_cannot_write_to_it",),
        },
    ),
    28: Shown(
        "envelopes outlive the values as long as anything descends from them; a hold has a name and ends; who asks for what is gone is told why",
        {
            "core/test_retention.py": ("test_envelopes_stay_as_long_as_something_was_made_from_them",),
            "home/test_home_retention.py": ("test_where_something_came_from_is_known_as_long_as_it_is_there",),
            "home/test_home_expiry.py": (
                "test_a_link_keeps_the_last_values_and_says_of_others_why_they_are_gone",
                "test_holds_and_readers_keep_what_they_name",
                "test_a_query_or_export_holds_what_it_reads_and_lets_go_when_it_dies",
            ),
            "core/test_expiry.py": ("test_a_hold_keeps_what_it_names_for_its_time",),
            "store/test_freeing.py": ("test_envelopes_stay_in_a_few_files_until_they_are_forgotten",),
        },
    ),
    29: Shown(
        "a backup is taken while linkd works and has all that was acked before; a directory is upgraded when that is asked for, and not before",
        {
            "store/test_backup.py": (
                "test_a_backup_of_a_store_that_works_has_all_that_was_acked_before",
                "test_a_backup_without_its_manifest_is_none",
                "test_a_file_of_a_backup_that_has_changed_is_named_before_anything_is_written",
            ),
            "store/test_formats.py": (
                "test_a_linkd_goes_on_with_the_format_before_its_own_until_it_is_told_to_upgrade",
                "test_a_directory_of_a_newer_format_names_who_wrote_it_and_what_to_do",
            ),
            "app/test_cli_operating.py": ("test_a_backup_comes_back_as_it_was",),
        },
    ),
    30: Shown(
        "names are synced with what they name; zeros are written ahead; an ack claims no more than its disk does; drops keep their place in the "
        "order as ranges that stay few; the oldest to go is nothing on lease; the chain is over records, not files",
        {
            "core/test_gone.py": (
                "test_every_sequence_is_gone_once_for_the_first_reason_it_was_dropped_for",
                "test_a_link_that_sheds_while_it_is_cut_for_ever_needs_no_more_room",
            ),
            "store/test_holdings.py": ("test_what_was_dropped_by_itself_is_not_live_and_all_else_is",),
            "store/test_files.py": ("test_unsynced_names_come_or_go",),
            CRASHES: POWER_CUTS,
            "store/test_weak_frames.py": ("test_names_that_a_killed_process_left_are_durable_before_anything_rests_on_them",),
            "store/test_journal.py": ("test_groups_start_on_pages_and_the_file_is_zero_filled_ahead",),
            "home/test_home_durability.py": (
                "test_no_ack_of_a_volatile_directory_says_more_than_memory",
                "test_a_link_of_fsync_on_a_disk_that_lies_goes_on_in_a_new_incarnation_after_the_power_was_gone",
            ),
            "app/test_cli_operating.py": ("test_doctor_knows_a_disk_that_lies_one_that_forgets_and_one_that_is_elsewhere",),
            "core/test_groups.py": ("test_what_was_dropped_before_it_went_out_is_passed_over_and_told_once",),
            "home/test_home_flow.py": ("test_the_oldest_make_room_but_never_what_is_on_lease",),
            "store/test_commit_log.py": ("test_a_record_that_was_changed_or_taken_out_is_named",),
        },
    ),
}

ELSEWHERE = {
    12: "the committer beside the loop: figures of the benchmarks",
    19: "SQL runs in a process of its own since the first step",
    27: "bars: figures of the benchmarks",
}
"""Findings about other steps."""


def test_all_findings_have_their_place() -> None:
    assert sorted(FINDINGS | ELSEWHERE) == list(range(1, 31))
    assert not set(FINDINGS) & set(ELSEWHERE)


@pytest.mark.parametrize("number", FINDINGS)
def test_every_test_that_is_named_exists(number: int) -> None:
    named = list(FINDINGS[number].node_ids())
    assert named
    assert not [node_id for node_id in named if not exists(node_id)]
