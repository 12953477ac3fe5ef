"""Where it is shown that the store does what DESIGN.md, section 4.3, says of it: its sentences, one by one.

What a review of an earlier draft found is in `test_store_review`.
"""

from __future__ import annotations

import pytest
from index import Shown, exists
from test_store_review import CRASHES, POWER_CUTS, SIMULATED

STORE = {
    "a frame is a commit: all of it is there, or none": Shown(
        "a commit is a frame",
        {
            CRASHES: POWER_CUTS,
            "wire/test_frames.py": ("test_every_kind_of_record_has_a_place_in_the_frame",),
            "store/test_store.py": ("test_small_and_bulk_payloads_are_read_back_as_published",),
            **SIMULATED,
        },
    ),
    "journal": Shown(
        "frames carry number and generation under a checksum, groups start on pages and name the last durable frame, a clean stop leaves a seal",
        {
            "store/test_journal.py": (
                "test_groups_start_on_pages_and_the_file_is_zero_filled_ahead",
                "test_a_flip_in_the_last_group_before_a_seal_is_damage",
                "test_what_a_former_use_of_the_bytes_of_a_file_left_is_neither_read_nor_taken_for_damage",
            ),
            "store/test_recycling.py": (
                "test_a_clean_stop_leaves_nothing_to_read",
                "test_an_end_of_the_journal_that_was_durable_and_is_gone_is_no_torn_tail",
            ),
        },
    ),
    "group commit": Shown(
        "what gathers while the last sync ran is the next group; no timer",
        {
            "store/test_store.py": ("test_many_in_flight_are_committed_in_order_in_few_groups",),
            "home/test_home_subscriptions.py": ("test_many_acks_are_made_durable_together",),
        },
    ),
    "durabilities": Shown(
        "`interval` is kept by the clock, `memory` waits for no sync, and a kill loses nothing of either",
        {
            "store/test_weak_frames.py": (
                "test_a_frame_that_need_not_be_durable_is_acked_without_a_sync",
                "test_an_interval_is_kept_by_the_clock",
                "test_what_no_sync_reached_may_be_lost_with_the_power_and_stays_without",
                "test_a_hole_in_what_was_not_synced_ends_the_journal_and_what_follows_is_void",
            ),
            "home/test_home_durability.py": (
                "test_the_ack_says_what_its_link_is_worth",
                "test_values_of_a_memory_link_are_delivered_before_any_sync",
            ),
            "home/test_home_kill.py": ("test_every_acked_value_survives_kill_9_once_and_in_order",),
        },
    ),
    "void marks": Shown(
        "after a failed sync a new file makes durable that what was not synced does not exist; only then is anyone told",
        {
            "store/test_void_marks.py": ("test_what_failed_does_not_come_back_whatever_bit_of_its_mark_is_flipped",),
            "store/test_store.py": ("test_a_failed_group_that_reached_the_disk_all_the_same_is_void",),
            "home/test_home_storage_failure.py": ("test_after_a_failed_sync_a_home_is_not_ready_takes_nothing_and_serves_what_it_acked",),
        },
    ),
    "segments": Shown(
        "plain Arrow streams with the envelope of each value; small values are folded in from the journal",
        {
            "store/test_segments.py": ("test_each_message_carries_its_envelope_for_anyone_to_read",),
            "store/test_room_of_many_links.py": ("test_many_links_take_no_more_room_than_their_values",),
            "simulation/test_arrow_readers.py": ("test_an_arrow_reader_sees_committed_values_in_order_at_every_instant_of_a_write",),
            "store/test_store.py": ("test_a_payload_that_changed_on_disk_is_never_served",),
        },
    ),
    "folding": Shown(
        "after a clean stop every value that is kept is in a segment; what there was no time for is folded behind the next start",
        {
            "store/test_folding.py": (
                "test_after_a_clean_stop_every_value_is_in_a_segment",
                "test_what_there_was_no_time_for_is_folded_behind_the_next_start",
                "test_power_that_fails_while_it_folds_loses_nothing",
            ),
        },
    ),
    "_commits": Shown(
        "every commit is folded into a chain of hashes that begins where its oldest file says, whenever power fails",
        {
            "store/test_commit_log.py": (
                "test_commits_outlive_the_journal_over_restarts_in_one_chain",
                "test_a_record_that_was_changed_or_taken_out_is_named",
                "test_verify_finds_whatever_changed_in_a_file_and_repair_says_that_something_is_lost",
                "test_a_file_that_is_gone_from_the_middle_is_noticed",
            ),
            "home/test_home_committed.py": ("test_what_was_committed_is_read_like_a_link_also_when_the_journal_that_said_it_is_gone",),
            "store/test_commit_log_crashes.py": (
                "test_every_commit_is_said_once_and_in_one_chain_whenever_power_fails",
                "test_what_is_too_old_goes_from_the_beginning_of_the_chain_whenever_power_fails",
            ),
        },
    ),
    "checkpoints": Shown(
        "a start reads what is behind the newest whole checkpoint; one that is damaged is named if it is needed",
        {
            "store/test_recycling.py": (
                "test_a_start_reads_what_is_behind_the_checkpoint_and_nothing_else",
                "test_a_checkpoint_that_changed_in_both_files_is_named_if_it_is_needed",
                "test_a_checkpoint_that_is_not_whole_does_not_count_while_the_journal_is_there",
            ),
            CRASHES: POWER_CUTS,
        },
    ),
    "catalog": Shown(
        "an index that says what it has applied, with a checksum for each row, always made again from the rest",
        {
            "store/test_recycling.py": ("test_an_index_of_another_time_is_made_again",),
            "store/test_store.py": ("test_reading_sees_all_values_while_the_index_is_being_written",),
            "store/test_freeing.py": ("test_an_index_that_stopped_in_the_middle_of_a_move_is_made_again",),
        },
    ),
    "devices": Shown(
        "memory and disks that lie are named in acks and by doctor; no journal lies on a network file system",
        {
            "test_device.py": (
                "test_a_disk_that_syncs_faster_than_any_is_volatile",
                "test_memory_is_known_for_what_it_is",
                "test_no_journal_lies_on_a_network_file_system",
            ),
            "home/test_home_durability.py": (
                "test_no_ack_of_a_volatile_directory_says_more_than_memory",
                "test_a_home_does_not_open_on_a_network_file_system",
            ),
        },
    ),
    "retention and freeing": Shown(
        "what is dropped gives its room back, at any crash once, and links that are cut keep their files small",
        {
            "store/test_freeing.py": (
                "test_a_link_that_is_cut_keeps_its_files_small",
                "test_what_is_left_of_a_file_is_moved_when_most_of_it_is_free",
            ),
            "simulation/test_seven_days.py": ("test_a_week_leaves_no_more_behind_than_a_day",),
        },
    ),
}


@pytest.mark.parametrize("name", STORE)
def test_every_test_that_is_named_exists(name: str) -> None:
    named = list(STORE[name].node_ids())
    assert named
    assert not [node_id for node_id in named if not exists(node_id)]
