"""What lies on the disk: journal, segments, catalog and checkpoints, the budget of all of them, and artifacts."""

from __future__ import annotations

from linkd.limits.units import GIB, KIB, MIB
from linkd.limits.values import ENVELOPE_MAX_BYTES, INLINE_PAYLOAD_MAX_BYTES, VALUE_SIZE_MAX_BYTES

# -- journal, segments and catalog ---------------------------------------------------------------------------------------------------------
PAGE_BYTES = 4 * KIB
"""Groups of the journal start on it, so that a torn write never touches what was acked before."""
JOURNAL_FILE_MAX_BYTES = 64 * MIB
"""Room comes free by whole files, so they are small; one holds the largest frame."""
JOURNAL_GROUP_MAX_BYTES = 4 * MIB
"""A group is closed at this size: one write of it takes a few milliseconds."""
JOURNAL_FRAME_MAX_BYTES = 32 * MIB
"""One commit's records and inline payloads; a frame above a group's size makes a group of its own, and must fit into a file."""
JOURNAL_FRAME_INLINE_MAX_BYTES = 1 * MIB
"""Inline payloads of one frame: of a commit with more, the rest goes to segments, whose bytes do not pass through the event loop."""
JOURNAL_PREALLOCATE_BYTES = 1 * MIB
"""Zeros are written this far ahead: 256 small groups, so that hardly any sync has to write file metadata too."""
JOURNAL_FILES_KEPT = 4
"""Journal files beside the one in use; what is still there of an older one is copied out of it. So 320 MiB hold what came last, as it came."""
INCARNATIONS_KEPT = 100
"""Incarnations of a link of which is remembered where they begin: each is a power cut, readers further behind are told of more than they lost."""
UNSYNCED_MAX_BYTES = 64 * MIB
"""Written and not synced, at most, of links whose durability is `memory` or `interval`: a start reads it all to see whether it is whole."""
STORE_FULL_LOOK_S = 1.0
"""While there is no room for the next group, this often is looked whether there is now: no system tells."""
PROBE_SYNCS = 40
"""Syncs by which a device is judged: a few milliseconds, or half a second on a slow disk."""
OPENING_SYNCS = 3
"""Syncs that a home tries where it opens its directory: one that is slow for another reason does not hide a disk that lies."""
SYNC_HONEST_S = 10e-6
"""A sync that takes less did not reach any device: the fastest with a cache of their own need some 15 us."""
BACKUP_MANIFEST_MAX_BYTES = 256 * MIB
"""Of the list of a backup's files: two million of them."""
VERIFY_TRIES_BESIDE_A_HOME = 5
"""Readings of a directory in use that may meet a file which its home has just deleted: it deletes one in minutes, and reading takes seconds."""
SYNC_SLOW_S = 0.02
"""A sync above this is worth a word: an ordinary disk that spins takes half of it."""
OPEN_FILES_NEEDED = 1_024
"""What Linux gives a process by default; a home has some hundred connections and files."""
CLOCK_EARLIEST_S = 1_767_225_600.0
"""2026-01-01, before which there was no linkd: a clock that says less was never set."""
CHECKPOINT_FRAMES = 20_000
"""A checkpoint at the latest behind so many commits: reading them again takes a second or two. Making one takes some milliseconds."""
CHECKPOINT_AT_CLOSE_FRAMES = 500
"""A store that closes makes a checkpoint if so many commits lie behind the last one: it costs two syncs, and the next start starts at once."""
CHECKPOINT_PIECE_ITEMS = 256
"""Links, generations, tasks and groups of one piece of a checkpoint: it is encoded and decoded piece by piece."""
SEGMENT_FILE_MAX_BYTES = 256 * MIB
"""Room comes free by whole files here too; one holds four of the largest values."""
SEGMENT_ROLL_MIN_BYTES = 1 * MIB
SEGMENT_ROLL_SHARE = 0.25
"""A segment file of a link from which values go by themselves is closed at so much of what the link holds, for room comes free by files; one
below a MiB is not worth a file of its own, nor copying what is left of it."""
SHARED_FILE_BYTES = 64 * MIB
"""A segment file that a publisher writes itself, at most. Its pages are made once, which takes longer than to fill them, and it is used again as
a whole: at 5 GB/s every 13 ms, with a sync of its directory each time. In smaller ones the largest values have no place, larger ones hold back
more of a small disk."""
SHARED_SPARE_FILES_MAX = 16
"""Shared files of one publisher and link that wait to be used again: a GiB, which is what comes free between two looks of retention."""
SHARED_NEWEST_MAX = 64
"""Values of one such file whose metadata is kept in memory for readers who keep up: as many as it has of a MiB each."""
SHARED_PADDING_MAX_BYTES = 64 * KIB
"""Of the metadata of a value in a shared file, to fill the room that was left before it: it is read with every value. A larger gap is passed over."""
LINEAGE_KEPT_BYTES = 1 * GIB
"""Of the records of commits that outlive the journal: some millions of them."""
LINEAGE_KEPT_S = 90 * 86_400.0
"""And so old they become: a quarter of a year is what audits ask for."""
ENVELOPE_FILES_MAX = 16
"""Files of envelopes of values that were dropped, of one generation; more are written into one."""
OPEN_FILES_MAX = 64
"""Read descriptors kept open by the store."""
CATALOG_TAIL_MAX_VALUES = 10_000
"""Index entries held in memory before they are written to the catalog, at the latest."""
CATALOG_BATCH_VALUES = 1_000
"""Index entries written in one transaction: a few milliseconds in the committer's thread."""
CATALOG_IDLE_S = 0.05
"""The committer writes the index when no commit came for this long: a client in a loop of single publishes never waits for it."""
INLINE_COMMIT_MAX_S = 0.001
"""The event loop commits by itself where no commit took longer lately: so long it may stand still at a time. A fast disk takes 0.1 ms."""
WRITE_STALLED_S = 0.02
"""A write without a sync that takes longer was held up by the kernel: to wait for the processor takes a few turns of some milliseconds."""
INLINE_COMMIT_MAX_FRAMES = 8
"""Of more the thread's share is small, and the loop has better things to do meanwhile."""
INLINE_WRITE_MAX_FRAMES = 64
"""The same where nothing is synced: to write them takes less than to wake a thread, which then contends for the interpreter."""
STORE_READ_BYTES = 1 * MIB
"""One read of a payload that is passed on in pieces."""
COPY_WRITE_BYTES = 1 * MIB
"""Small payloads that are copied out of the journal are written in pieces of this size."""
DAMAGE_NOTES_KEPT = 10
"""Damaged journal files that a home goes on telling of; the log and the quarantine have all of them."""
FOLD_PART_BYTES = 8 * MIB
"""Of the journal, folded between two checkpoints when a home closes: some tenths of a second, so that it ends when its time to drain does."""
HOME_FILE_MAX_BYTES = 4 * KIB
"""`home.json` and a token file hold one short line."""

# -- disk budget ---------------------------------------------------------------------------------------------------------------------------
SHARED_FILE_DISK_SHARE = 1 / 32
"""Of the disk budget, for one such file: a few publishers and what they published last must not be all of it."""
HELD_DISK_SHARE = 1 / 4
"""Of the disk budget, in segment files whose values clients have mapped. Retention cannot free them before they are released; beyond it values
are copied to who reads them, so that no client fills the disk by never letting go."""
HELD_BY_ONE_DISK_SHARE = 1 / 8
"""Of it by one client: the half, so that who hoards leaves something to the others."""
DISK_BUDGET_MIN_BYTES = 64 * MIB
"""Of `--disk-budget`: one full journal file; with less nothing could ever be recycled."""
DISK_RESERVE_MIN_BYTES = 2 * GIB
DISK_RESERVE_SHARE_OF_VOLUME = 0.05
"""Left to others on the volume where no budget is given: the larger of the two. A volume that is full to the last byte stops everybody."""
DISK_PAUSED_SHARE = 0.90
"""Of the budget: from here on nothing is published. What is left takes what was on its way, and the copies that freeing room needs."""
DISK_RESUMED_SHARE = 0.88
"""Of the budget: publishing goes on below this, so that it does not stop and go with every value."""
DISK_RESERVED_SHARE = 0.95
"""Of the budget: from here on only moves of cursors are journaled, which are small, and are what frees room."""
DISK_LOOK_BYTES = 16 * MIB
"""Written between two looks at the volume: others fill it, too."""
DISK_LOOK_INTERVAL_S = 1.0
"""Between two looks at the volume while room is short: nobody tells when others have made some."""
COMMIT_ROOM_WAIT_S = 5.0
"""A commit waits so long at the home for room in its outputs before its client is told to ask again: less than a client waits for an answer."""
RETRY_FULL_S = 1.0
"""What is refused for want of room may be tried again after this."""

# -- artifacts -----------------------------------------------------------------------------------------------------------------------------
ARTIFACT_PACKED_MAX_BYTES = 256 * KIB
"""An artifact up to this lies with others in a pack file: below it one sync for many is cheaper than a file and its name for each."""
ARTIFACT_PACK_FILE_BYTES = 64 * MIB
"""A pack file is closed at this size: room comes free by whole ones, and copying what is left of one takes less than a second."""
ARTIFACT_PACK_LIVE_SHARE = 0.5
"""A pack file of which less is left is copied into the newest one: what is dead takes no more room than what is there."""
ARTIFACT_GROUP_MAX_BYTES = 8 * MIB
"""Packed with one write and one sync: some thousands of small ones; a disk takes it in some 10 ms."""
ARTIFACT_QUEUE_MAX_BYTES = 32 * MIB
"""Waiting to be packed: above it uploads wait. Half of what the journal may have."""
ARTIFACT_CHUNK_BYTES = 1 * MIB
"""Of a large artifact each such piece has a checksum of its own, so that a range is read without the rest, and no wrong byte ever leaves."""
ARTIFACT_INDEX_BATCH = 1_000
"""Entries of the index written in one transaction: some milliseconds of a thread."""
ARTIFACT_INDEX_TAIL_MAX = 20_000
"""Entries held in memory before they are written to the index, at the latest: some MiB, and a start reads as many again at most."""
ARTIFACT_INDEX_IDLE_S = 0.2
"""The index is written when nothing was put for this long."""
ARTIFACTS_DISK_SHARE = 0.5
"""Of the disk budget, for artifacts: links must go on when somebody has put more files than there is room for."""
ARTIFACTS_FREED_SHARE = 0.05
"""Of the quota, made free at a time: so that not every upload looks for the least recently used one."""
ARTIFACT_LEASE_S = 600.0
"""What was put, read or found by its digest stays so long, whatever is named by then: the value that names it is on its way."""
ARTIFACT_UPLOADS_MAX = 256
"""Uploads begun and not ended: each has a file, and what was taken of it."""
ARTIFACT_UPLOAD_KEPT_S = 600.0
"""What came of an upload whose client is gone waits so long for it to come back: as long as a laptop looks for its network."""
ARTIFACT_UPLOAD_ID_MAX_BYTES = 64
"""Of the name that a client gives its upload: 16 bytes of chance are enough."""
ARTIFACTS_STAT_MAX = 1_000
"""Digests asked for at once: some tens of milliseconds of the index."""
ARTIFACT_PUT_WINDOW = 4_096
"""Small artifacts that a client has under way on one stream: some groups of the disk."""
ARTIFACT_PUT_WINDOW_BYTES = 8 * MIB
"""The same in bytes: a group is being written while the next one comes."""
ARTIFACT_STEP_BYTES = 8 * MIB
"""Written, hashed or copied at once where an artifact goes by place: so far linkd is behind the client that writes, some milliseconds."""
ARTIFACT_HASHED_BYTES = 256 * KIB
"""Read, hashed and written at once: a core has it in its cache for all three, which is a third faster than to read it twice."""
ARTIFACT_REFERENCES_MAX = 200
"""Artifacts that one value names: they are written in its envelope."""
ARTIFACT_NAME_MAX_BYTES = 1_024
"""Of the name of a file that is a value, and of each path in a directory that is one: four times what file systems take."""
DIRECTORY_FILES_MAX = 100_000
"""Files of a directory that is a value: its list is read into memory whole, some 20 MiB of it."""
DIRECTORY_LIST_MAX_BYTES = 32 * MIB
"""Of that list."""

# The memo: what tasks made of which snapshots
MEMO_OUTCOMES_MAX = 100_000
"""Outcomes that are remembered, of all tasks: the least recently used go first. A row of some hundred bytes each."""
MEMO_INLINED_MAX_BYTES = 64 * KIB
"""Outputs of one outcome that lie in the memo itself, so that they outlive their generation: what a journal frame holds, too. Larger ones are
the values of the link, and remembered as long as those are kept."""
MEMO_HELD_MAX_BYTES = 128 * MIB
"""Payload bytes in the memo: thousands of small outcomes, and little of any disk."""
MEMO_OUTPUTS_MAX = 1_024
"""Values of one outcome: one with more is made again rather than remembered."""
MEMO_SNAPSHOT_MAX_BYTES = 8 * GIB
"""Of a snapshot whose outcome is remembered: its content is read for that, some seconds of a disk and a core behind the commit."""
MEMO_AT_HAND_MAX = 1_024
"""Outcomes that were found and wait for their turn, in memory: those of some tasks that stand by as far ahead as they may."""
MEMO_AT_HAND_MAX_BYTES = 4 * MIB
"""The same in payload bytes: what is beyond it is read again from the memo."""
MEMO_DIGESTS_KEPT = 4_096
"""Digests of values that several tasks read, or that windows share, in memory: some 400 KiB."""
MEMO_WORKED_AT_MAX = 4_096
"""Snapshots that are in somebody's hands and that others of the same content wait for; outcomes that wait to be remembered."""
MEMO_DIFFERENCES_TOLD_MAX = 20
"""Outputs of one task that `--check-cache` names: whoever sees so many looks at the program."""

assert JOURNAL_GROUP_MAX_BYTES <= JOURNAL_FILE_MAX_BYTES
assert JOURNAL_FRAME_INLINE_MAX_BYTES < JOURNAL_FRAME_MAX_BYTES
assert JOURNAL_FRAME_MAX_BYTES + 2 * PAGE_BYTES <= JOURNAL_FILE_MAX_BYTES
assert CATALOG_BATCH_VALUES <= CATALOG_TAIL_MAX_VALUES
assert CHECKPOINT_AT_CLOSE_FRAMES < CHECKPOINT_FRAMES
assert INLINE_PAYLOAD_MAX_BYTES + ENVELOPE_MAX_BYTES < JOURNAL_GROUP_MAX_BYTES
assert VALUE_SIZE_MAX_BYTES <= SEGMENT_FILE_MAX_BYTES
assert 0 < DISK_RESUMED_SHARE < DISK_PAUSED_SHARE < DISK_RESERVED_SHARE < 1
assert PAGE_BYTES & (PAGE_BYTES - 1) == 0
assert MEMO_INLINED_MAX_BYTES <= INLINE_PAYLOAD_MAX_BYTES
