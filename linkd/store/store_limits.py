"""The bounds that the store keeps, as one value: the numbers of `linkd.limits`, shrunk by tests so that they meet every edge."""

from __future__ import annotations

from linkd import limits
from linkd.model.frozen import frozen


@frozen()
class StoreLimits:
    """See `linkd.limits` for what each is and why."""

    inline_payload_max_bytes: int = limits.INLINE_PAYLOAD_MAX_BYTES
    frame_inline_max_bytes: int = limits.JOURNAL_FRAME_INLINE_MAX_BYTES
    frame_max_bytes: int = limits.JOURNAL_FRAME_MAX_BYTES
    group_max_bytes: int = limits.JOURNAL_GROUP_MAX_BYTES
    journal_file_max_bytes: int = limits.JOURNAL_FILE_MAX_BYTES
    preallocate_bytes: int = limits.JOURNAL_PREALLOCATE_BYTES
    journal_files_kept: int = limits.JOURNAL_FILES_KEPT
    checkpoint_frames: int = limits.CHECKPOINT_FRAMES
    checkpoint_at_close_frames: int = limits.CHECKPOINT_AT_CLOSE_FRAMES
    fold_part_bytes: int = limits.FOLD_PART_BYTES
    segment_file_max_bytes: int = limits.SEGMENT_FILE_MAX_BYTES
    segment_roll_min_bytes: int = limits.SEGMENT_ROLL_MIN_BYTES
    shared_padding_max_bytes: int = limits.SHARED_PADDING_MAX_BYTES
    lineage_kept_bytes: int = limits.LINEAGE_KEPT_BYTES
    lineage_kept_s: float = limits.LINEAGE_KEPT_S
    envelope_files_max: int = limits.ENVELOPE_FILES_MAX
    unsynced_max_bytes: int = limits.UNSYNCED_MAX_BYTES
    full_look_s: float = limits.STORE_FULL_LOOK_S
    queue_max_bytes: int = limits.JOURNAL_QUEUE_MAX_BYTES
    bulk_queue_max_bytes: int = limits.BULK_QUEUE_MAX_BYTES
    staged_in_memory_max_bytes: int = limits.STAGED_IN_MEMORY_MAX_BYTES
    inline_commit_max_s: float = limits.INLINE_COMMIT_MAX_S
    write_stalled_s: float = limits.WRITE_STALLED_S
    inline_commit_max_frames: int = limits.INLINE_COMMIT_MAX_FRAMES
    inline_write_max_frames: int = limits.INLINE_WRITE_MAX_FRAMES
    catalog_batch_values: int = limits.CATALOG_BATCH_VALUES
    catalog_tail_max_values: int = limits.CATALOG_TAIL_MAX_VALUES
    catalog_idle_s: float = limits.CATALOG_IDLE_S
    open_files_max: int = limits.OPEN_FILES_MAX
    read_bytes: int = limits.STORE_READ_BYTES
