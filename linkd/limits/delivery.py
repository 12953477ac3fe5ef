"""Between a publish and its ack: memory and flow, producers, leases and groups, and how long what was delivered is kept."""

from __future__ import annotations

from linkd.limits.units import GIB, MIB
from linkd.limits.values import VALUE_SIZE_MAX_BYTES

# -- memory and flow -----------------------------------------------------------------------------------------------------------------------
MEMORY_BUDGET_BYTES = 256 * MIB
"""Payload bytes the home holds at once, where no cgroup says less."""
MEMORY_BUDGET_MIN_BYTES = 16 * MIB
"""Of `--memory`: a value of ordinary size on its way in, one on its way out, and a group of the journal."""
MEMORY_SHARE_OF_CGROUP = 4
"""A quarter of a cgroup's limit is for payloads: the rest is the interpreter, its libraries and the page cache of what was just written."""
STAGED_IN_MEMORY_MAX_BYTES = 64 * MIB
"""Payloads staged for commits that stay in memory; what is above goes to files under `staging/`."""
CREDIT_BYTES = 8 * MIB
"""Bytes a subscriber may have been sent without having given the credit back: a few values of ordinary size."""
CREDIT_MAX_BYTES = 256 * MIB
"""What a client may ask for: all that the home holds in memory."""
PREFETCH_SNAPSHOTS = 2
"""Snapshots handed out ahead of the one a program works on: one hides the round trip, a second the jitter."""
PREFETCH_SNAPSHOTS_MAX = 256
"""What a client may ask for: each is a lease that others do not get, and is looked at whenever one is handed out."""
WINDOW_VALUES_MAX = 100_000
"""Values of one window of an input: the program holds all of them, and each costs it about a KiB beside its rows."""
WINDOW_ROWS_MAX = 10_000_000
"""Rows of one window of an input: about a GiB of ordinary rows, which the program holds at once."""
WINDOW_TALLY_VALUES = 256
"""Values whose rows are counted in one decision on a window of rows: some milliseconds of the event loop."""
STAGED_KEPT_MAX_BYTES = 64 * MIB
"""What a client keeps of a snapshot's outputs to stage them again if linkd is restarted; above it the work is done again, which is as rare."""
JOURNAL_QUEUE_MAX_BYTES = 64 * MIB
"""Bytes waiting for the committer; above this publishing waits."""
BULK_QUEUE_MAX_BYTES = 4 * MIB
"""Large payloads in line at the committer: about one of ordinary size, which it writes. A small publish waits some milliseconds behind it, where all
that many streams have in flight would make it wait for a quarter of a second; publishers of bulk go on in turn, a publish at a time."""

# -- publishing ----------------------------------------------------------------------------------------------------------------------------
PUBLISH_WINDOW_VALUES = 256
"""Values a publish stream may have unacknowledged."""
PRODUCERS_MAX = 4_096
"""Producers whose count the home remembers. Clients make one each up for themselves: the one of them that published longest ago is forgotten
first, and one with a name only where there are names alone. It learns that when it publishes again."""
PRODUCER_ANSWERS_MAX = 32_768
"""Answers kept for publishes that may be repeated, over all producers: some 10 MiB of memory, and 128 producers with a full window each."""
PRODUCERS_ANEW_MAX = 3
"""Times in a row, without an answer between, that a client makes another producer up for itself because linkd does not know the one it is: none
that is seconds old is forgotten by a home in order, so what goes on is a defect and is told."""
PRODUCER_NAME_MAX_CHARS = 80
"""As long as that of a consumer group: people put the program and its place into it."""
PUBLISH_WINDOW_BYTES = 16 * MIB
"""Payload bytes a client has unacknowledged, and rows it gathers meanwhile: some 10 ms of the fastest road. One value always goes."""
PUBLISH_WINDOW_PLACED_BYTES = 48 * MIB
"""The same of a client that writes large payloads where they stay: they take no memory on their way, and a dozen of 4 MiB hide the round trip."""
GATHERED_ROWS_MAX = 65_536
"""Rows that a publisher gathers while its window is full: some 20 ms of the fastest program, and some 10 MiB of small Python objects."""
GATHERED_VALUE_ROWS_MAX = 8_192
"""Rows of one value of a publisher: made into Arrow in the program's event loop, 3 ms of dicts; of more the home's share of a row is no less."""
GATHERED_VALUE_BYTES = 8 * MIB
"""Of one value of a publisher, where its rows are large: half of the window, so that one is made while one is on its way."""
GATHERED_LOOK_ROWS = 64
"""Rows between two looks at how large they are: each look costs as much as gathering ten."""
GATHERED_LARGE_ROW = 4_096
"""Bytes of an opaque row, or columns of any other, above which each is counted: of smaller ones one in 64 says enough."""

# -- delivery ------------------------------------------------------------------------------------------------------------------------------
LEASE_S = 30.0
"""A consumer that does not say within this that it is still at work hangs: what it holds goes to another. A death is seen by its socket."""
LEASE_MIN_S = 1.0
LEASE_MAX_S = 24 * 3600.0
"""Of `lease:`: in less a busy machine looks like a hang, and after a day somebody looks."""
LEASE_RENEWED_EVERY = 1 / 3
"""Of a lease: a renewal may be late or lost twice before it matters."""
NACK_DELAY_MAX_S = 24 * 3600.0
"""Of what a consumer gives back for later: nothing newer goes out before it where there is an order, and after a day somebody looks."""
LEASE_RENEWED_MAX_S = 3600.0
"""Of work on one lease where nobody says a `timeout`: a client renews in the background, so it does that for a program that hangs, too."""
ATTEMPTS_MAX = 1_000
"""Of `max_attempts:`: what failed so often fails for a reason."""
LATE_REFUSALS_DOUBLE = 2
"""Acks of one value that were refused because its lease was over: from so many on its lease is too short, and lasts twice as long."""
GROUP_SLOTS = 256
"""Hash slots of `order: key`: far more than a group has members, few enough to look at all of them."""
TASK_KEY_AHEAD_SNAPSHOTS = 256
"""Snapshots of a task with `order: key` that were looked at and wait for their slot: they stand in the journal and in every checkpoint."""
MEMO_AHEAD_SNAPSHOTS = 256
"""Snapshots of a task whose outcome is known or awaited, and that stand by until it is their turn: as those that wait for their slot."""
GROUP_ACKS_KEPT = 1_024
"""Tokens of acks that a group remembers, in memory and in every checkpoint: more acks than a member has without an answer."""
GROUP_KEY_AHEAD_VALUES = 1_024
"""Values of `order: key` that were looked at and wait for their slot: beyond them a member that finds nothing waits."""
DEAD_LETTER_PAYLOAD_MAX_BYTES = 8 * MIB
"""A larger value is named in its dead letter and not copied into it: it would be kept twice, and read into memory to be put aside."""
DEAD_LETTERS_KEPT_BYTES = 1 * GIB
"""Of one dead-letter link: more than anybody looks at, and a consumer that fails at everything does not fill the disk."""
DEAD_LETTER_REASON_MAX_CHARS = 1_024
"""Of a reason: a sentence or the end of a traceback."""
DURABILITY_INTERVAL_S = 0.1
"""Between two syncs of what has `durability: interval`: ten syncs a second cost little, and no more than this is lost with the power."""
DURABILITY_INTERVAL_MIN_S = 0.005
DURABILITY_INTERVAL_MAX_S = 60.0
"""Of `interval:`: in less a sync for each value costs no more, and after a minute it is `memory`."""
COMMIT_RECORDS_KEPT = 256
"""Answers to repeated commits kept per task, in memory and in every checkpoint: as many as a client can have snapshots without an answer."""

# -- retention -----------------------------------------------------------------------------------------------------------------------------
RETAIN_AGE_MIN_S = 1.0
RETAIN_AGE_MAX_S = 100 * 365 * 86_400.0
"""Of an age that is kept: nothing is looked at more often, and longer is for ever."""
RETAIN_VALUES_MAX = 999_999_999
"""Of values that are kept; more of them are counted in bytes."""
RETENTION_STRETCHES_MAX = 128
"""Stretches in which a generation is counted: what is kept beyond a bound is a sixty-fourth of it at most, and an account some ten KiB."""
RETENTION_LOOK_INTERVAL_S = 1.0
"""Between two looks at what exceeds a bound, however fast values come: nobody sees a second of it, and each look costs a frame."""
RETENTION_HURRY_SHARE = 1.25
RETENTION_HURRY_INTERVAL_S = 0.02
"""Where there is so many times what is retained, it is looked at this often: at 5 GB/s a second of values would be 5 GB beyond the bound, of
which each page is new; and files that come free are used again while the cache has them."""
DROPPED_RANGES_KEPT = 64
"""Ranges of dropped values that a link tells of one by one; of older ones those that touch are told as one."""
CLOCK_JUMP_MAX_S = 3_600.0
"""Between two looks at the clock it may stray so far from the monotonic one: daylight saving does not move it, a wrong setting does."""
CLOCK_STEADY_S = 3_600.0
"""A clock that jumped counts for age again when it has run steadily for so long: somebody who set it wrong has noticed by then."""
HOLDS_MAX = 256
"""Named holds: each keeps values from going, and somebody has to remember it."""
HOLD_MAX_S = 7 * 86_400.0
"""Of a named hold: what needs values for longer than a week copies them."""

assert PREFETCH_SNAPSHOTS_MAX <= COMMIT_RECORDS_KEPT
assert 2 * PUBLISH_WINDOW_VALUES <= PRODUCER_ANSWERS_MAX
assert MEMORY_BUDGET_MIN_BYTES <= MEMORY_BUDGET_BYTES
assert VALUE_SIZE_MAX_BYTES <= MEMORY_BUDGET_BYTES
assert STAGED_IN_MEMORY_MAX_BYTES <= MEMORY_BUDGET_BYTES
