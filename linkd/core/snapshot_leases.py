"""Who holds which snapshot of a task, and whose turn it is. Pure.

A snapshot that was put together is *waiting* (nobody holds it), *reserved* (handed to a session, whose program has not begun with it) or
*started*. Only a started one has a deadline, which its client renews while the program works, for the task's `timeout` at most. What is
reserved has none: the home may ask for it back (`recalled`), which the client answers for itself, so that nothing is taken from a program that
has begun a moment ago; without an answer within a lease the home takes it.

A session that lets a deadline pass is *silent*: it hangs. What it reserved goes back too, and it gets nothing more until it shows that it
lives. The token of what it lost stays good until the snapshot is handed out again, so one who comes back before that goes on.

How often a snapshot failed is counted: it was given back, its lease ended, or the process died that had started it. What failed as often as
the task's `max_attempts` is *given up*, which the next session that comes by does.

With `Order.LINK` one session at a time has snapshots, the others stand by; what comes back goes out before anything newer. With `Order.NONE`
sessions compete, and an idle one gets what another has reserved and not begun. So it does with `Order.KEY`, but snapshots that have a hash slot
of the key in common (`core.group_order`) go out in order, to one session at a time: one that failed, or is delayed, holds back its slots only.
For that the rows of a snapshot are looked at before it goes out. Where a task has one snapshot at a time in any case, keys mean nothing.

Of a task whose outcomes are remembered (`core.memo`) it is asked before a snapshot goes out whether one of the same content is known
(`MemoState`). What is known stands by until all before it is settled, where there is an order, and is then settled by the home; what somebody
else works at stands by until that is over. Newer ones go out meanwhile.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from linkd.limits import (
    DEAD_LETTER_REASON_MAX_CHARS,
    LATE_REFUSALS_DOUBLE,
    LEASE_MAX_S,
    LEASE_MIN_S,
    LEASE_RENEWED_MAX_S,
    MEMO_AHEAD_SNAPSHOTS,
    TASK_KEY_AHEAD_SNAPSHOTS,
)
from linkd.model.frozen import frozen
from linkd.model.terms import Order, TaskTerms
from linkd.model.values import Parent

_DOUBLINGS_MAX = math.ceil(LEASE_MAX_S / LEASE_MIN_S).bit_length()
"""More make no lease longer."""


class MemoState(enum.Enum):
    """What is known of the outcome of a snapshot before anybody works at it."""

    NONE = 0  # nobody asks: outcomes of its task are not remembered
    UNASKED = 1  # it is to be found out before it goes out
    ASKED = 2  # that is being found out now
    KNOWN = 3  # it is remembered: no program has to run
    AWAITED = 4  # a snapshot of the same content is in somebody's hands: its outcome will be this one's
    UNKNOWN = 5  # a program has to run


@dataclass(slots=True)
class Lease:
    """A snapshot that was put together. `session` names the connection that holds it, or is None while it waits to be handed out again.

    `since_ns` dates the handing out, for those who look on; 0 if that was in an earlier life of the home. `settles` is what no later snapshot
    holds, none where that is the portions; `rows` counts what was handed out of it, by link. A `token` of 0 is good for nothing. `reason` is
    that of the last failure.
    """

    snapshot_id: bytes
    token: int
    attempt: int
    portions: tuple[Parent, ...]
    session: int | None
    since_ns: int = 0
    settles: tuple[Parent, ...] = ()
    partial: bool = False
    rows: Mapping[str, int] = field(default_factory=dict, compare=False)
    failures: int = 0
    reason: str = ""
    unsaid: bool = field(default=False, compare=False)
    """The journal does not have the last failure yet."""
    started_s: float | None = field(default=None, compare=False)
    tried: bool = field(default=True, compare=False)
    """Its program began with it when it was handed out last, as far as is known: the next time is another attempt."""
    recalled: bool = field(default=False, compare=False)
    delayed: bool = field(default=False, compare=False)
    leaving: bool = field(default=False, compare=False)
    """It is being put aside."""
    refused_late: int = field(default=0, compare=False)
    lost_by: int | None = field(default=None, compare=False)
    wanted_by: int | None = field(default=None, compare=False)
    """The idle session that it was asked back for."""
    slots: frozenset[int] | None = field(default=None, compare=False)
    """With keys: those of its rows, once they were looked at."""
    memo: MemoState = field(default=MemoState.NONE, compare=False)
    memo_key: bytes = field(default=b"", compare=False)
    """By which its outcome is remembered, once that is known."""

    @property
    def stands_by(self) -> bool:
        """It goes to nobody, for its outcome is known or will be, and newer ones need not wait for it."""
        return self.memo in (MemoState.KNOWN, MemoState.AWAITED)

    @property
    def beginning(self) -> tuple[tuple[int, int], ...]:
        """By which snapshots of a task are in order."""
        return tuple((portion.first_sequence, portion.first_row) for portion in self.portions)

    def free(self) -> None:
        """Nobody holds it any more."""
        self.session, self.started_s, self.recalled = None, None, False


@frozen()
class TakenBack:
    """A client is to forget this snapshot if its program has not begun with it; else its lease is over, and the work perhaps in vain."""

    snapshot_id: bytes
    token: int


@dataclass(slots=True)
class Holders:
    """The sessions of one task, in the order in which they came, and what each of them has of `leases`, which are the task's.

    `sessions` maps a session to whether its client says what it has started; of one that does not, all it was handed counts as started, without
    a deadline.
    """

    terms: TaskTerms
    leases: dict[bytes, Lease]
    by_key: bool = False
    """Snapshots go out in order of their keys, several at a time."""
    sessions: dict[int, bool] = field(default_factory=dict)
    failures: int = field(default=0, compare=False)
    """Attempts that failed, of all snapshots, in this life of the home."""
    overran: int = field(default=0, compare=False)
    """How many of these had taken the whole `timeout_s`."""
    _silent: dict[int, int] = field(default_factory=dict)
    _active: int | None = None
    _told: dict[int, list[TakenBack]] = field(default_factory=dict)

    @property
    def one_at_a_time(self) -> bool:
        return self.terms.order is not Order.NONE and not self.by_key

    @property
    def timeout_s(self) -> float:
        """How long a started snapshot may be renewed."""
        return LEASE_RENEWED_MAX_S if self.terms.timeout_s is None else self.terms.timeout_s

    def lease_s(self, lease: Lease) -> float:
        """How long the program may be silent. It doubles with every second commit of the snapshot that was refused for being late."""
        doublings = min(lease.refused_late // LATE_REFUSALS_DOUBLE, _DOUBLINGS_MAX)
        return min(self.terms.lease_s * 2.0**doublings, LEASE_MAX_S)

    # -- sessions come and go -------------------------------------------------------------------------------------------------------------

    def join(self, session: int, *, says_started: bool) -> None:
        self.sessions[session] = says_started

    def leave(self, session: int) -> list[Lease]:
        """The connection is gone: what it held waits for the next one, and its tokens stay good until then. Returns that."""
        says_started = self.sessions.pop(session, False)
        self._silent.pop(session, None)
        self._told.pop(session, None)
        if self._active == session:
            self._active = None
        held = [lease for lease in self.leases.values() if lease.session == session]
        for lease in held:
            lease.tried = lease.started_s is not None or not says_started
            lease.free()
        return held

    def may_take(self, session: int) -> bool:
        """Whether the session may be handed the next snapshot."""
        return session not in self._silent and (not self.one_at_a_time or self._turn() == session)

    def _turn(self) -> int | None:
        holder = next((lease.session for lease in self.leases.values() if lease.session is not None), None)
        if holder is not None:
            self._active = holder
        elif self._active is None or self._active in self._silent:
            self._active = next((session for session in self.sessions if session not in self._silent), None)
        return self._active

    # -- what a session says --------------------------------------------------------------------------------------------------------------

    def start(self, session: int, snapshot_id: bytes, token: int, now_s: float) -> Lease | None:
        """The program begins with a snapshot: the lease, which has a deadline from now on; None if it is not the session's any more."""
        lease = self.leases.get(snapshot_id)
        if lease is None or lease.token != token or lease.session != session or lease.started_s is not None:
            return None
        self._silent.pop(session, None)
        lease.started_s, lease.recalled = now_s, False
        return lease

    def renew(self, session: int, snapshot_id: bytes, token: int, now_s: float) -> Lease | None:
        """The program works on: the lease, which begins anew; None if it is not to be renewed, or not the session's any more.

        A lease that ended is the session's again as long as nobody else has had the turn.
        """
        lease = self.leases.get(snapshot_id)
        if lease is None or lease.token != token or lease.started_s is None or now_s - lease.started_s >= self.timeout_s:
            return None
        if lease.session == session:
            return lease
        if lease.lost_by != session or lease.session is not None or self.is_given_up(lease) or lease.leaving:
            return None
        if self.one_at_a_time and (any(other.session is not None for other in self.leases.values()) or self.next_waiting()[0] is not lease):
            return None
        if self.by_key and any(self._had_the_turn(other, lease, session) for other in self.leases.values()):
            return None
        self._silent.pop(session, None)
        lease.session, lease.lost_by = session, None
        self._active = session
        return lease

    def _had_the_turn(self, other: Lease, lease: Lease, session: int) -> bool:
        """With keys: whether somebody else works in a slot of the lease, or an older snapshot of one has to go first."""
        if other is lease or (lease.slots or frozenset()).isdisjoint(other.slots or ()):
            return False
        return other.session != session and (other.session is not None or other.beginning < lease.beginning)

    def give_back(self, session: int, snapshot_id: bytes, token: int, *, untried: bool) -> Lease | None:
        """The session does not want the snapshot: it waits to be handed out again. None if it is not the session's any more.

        Where there is an order, the session is asked for what it has reserved behind it. What is `untried` is given back by the client itself,
        whatever its program does: that is no sign of life, unless it was this answer that was waited for.
        """
        if not untried or self._silent.get(session) == token:
            self._silent.pop(session, None)
        lease = self.leases.get(snapshot_id)
        if lease is None or lease.token != token or lease.session != session:
            return None
        lease.free()
        lease.tried = not untried
        for other in self._behind(lease):
            if other.session == session and self._is_reserved(other):
                self._recall(other)
        return lease

    def heard(self, token: int) -> None:
        """Somebody still uses this token, which is of no use any more: its session lives."""
        for session, lost in list(self._silent.items()):
            if lost == token:
                del self._silent[session]

    def lost(self, lease: Lease) -> None:
        """A lease that ended will not be anybody's again under its token: the session that had it is told, for its program works in vain."""
        if lease.lost_by in self.sessions:
            self._told.setdefault(lease.lost_by, []).append(TakenBack(lease.snapshot_id, lease.token))

    # -- what the home decides ------------------------------------------------------------------------------------------------------------

    def fail(self, lease: Lease, reason: str) -> None:
        """An attempt at the snapshot failed."""
        lease.failures += 1
        self.failures += 1
        lease.reason, lease.unsaid = reason[:DEAD_LETTER_REASON_MAX_CHARS], True

    def overruns(self, lease: Lease, now_s: float) -> bool:
        """Whether a lease that ends now was renewed for as long as it may be."""
        return lease.started_s is not None and now_s - lease.started_s >= self.timeout_s

    def is_given_up(self, lease: Lease) -> bool:
        return self.terms.max_attempts is not None and lease.failures >= self.terms.max_attempts

    def over(self, snapshot_id: bytes, token: int) -> Lease | None:
        """The deadline of a lease has passed: its session is silent, and loses this and what it reserved. None if it is not held any more."""
        lease = self.leases.get(snapshot_id)
        if lease is None or lease.token != token or lease.session is None:
            return None
        session = lease.session
        self._silent[session] = token
        if lease.recalled:
            self._take_back(lease)
        else:
            lease.session, lease.lost_by, lease.tried = None, session, True
        for other in self.leases.values():
            if other.session == session and self._is_reserved(other):
                self._take_back(other)
        return lease

    def recall_for(self, session: int) -> Lease | None:
        """What an idle session may have of what another one has reserved: the lease, which is asked for now. None: nothing, or it is on its way.

        It is the newest of the session that has most, if that keeps something; so nothing goes to and fro.
        """
        held: dict[int, list[Lease]] = {}
        for lease in self.leases.values():
            if lease.session is not None:
                held.setdefault(lease.session, []).append(lease)
        if self.one_at_a_time or session in held or session in self._silent or any(one.recalled for of in held.values() for one in of):
            return None
        for of_session in sorted(held.values(), key=len, reverse=True):
            reserved = [lease for lease in of_session if self._is_reserved(lease) and not self._is_tied(lease, of_session)]
            if len(of_session) > 1 and reserved:
                newest = max(reserved, key=lambda lease: lease.beginning)
                newest.wanted_by = session
                self._recall(newest)
                return newest
        return None

    def recalled(self) -> list[Lease]:
        """What was asked for and has not come back."""
        return [lease for lease in self.leases.values() if lease.recalled]

    def to_tell(self, session: int) -> list[TakenBack]:
        """What the session's client has to be told, once."""
        return self._told.pop(session, [])

    def unknown(self) -> Lease | None:
        """With keys: the first snapshot whose slots are not known; nothing goes out before they are."""
        unknown = (lease for lease in self.leases.values() if self.by_key and lease.slots is None)
        return min(unknown, key=lambda lease: lease.beginning, default=None)

    @property
    def ahead(self) -> int:
        """How many snapshots nobody has."""
        return sum(lease.session is None for lease in self.leases.values())

    @property
    def is_far_ahead(self) -> bool:
        """So many stand by or wait for their slot that no newer one is put together."""
        if self.by_key and self.ahead >= TASK_KEY_AHEAD_SNAPSHOTS:
            return True
        return sum(lease.stands_by for lease in self.leases.values()) >= MEMO_AHEAD_SNAPSHOTS

    def next_waiting(self, session: int = 0) -> tuple[Lease | None, bool]:
        """The snapshot that goes out first, to this session, and whether newer ones have to wait where there is none."""
        if self.by_key:
            return self._next_by_key(session), False
        if not self.one_at_a_time:
            waiting = [lease for lease in self.leases.values() if lease.session is None and self._may_go(lease, session)]
            return min(waiting, key=lambda lease: lease.beginning, default=None), False
        back = [lease for lease in self.leases.values() if lease.session is None or lease.recalled]
        first = min(self.leases.values(), key=lambda lease: lease.beginning, default=None)
        back = [lease for lease in back if not lease.stands_by or (lease is first and lease.memo is MemoState.KNOWN)]
        oldest = min(back, key=lambda lease: lease.beginning, default=None)
        if oldest is None:
            return None, False
        blocked = oldest.recalled or oldest.delayed or oldest.leaving or oldest.memo is MemoState.ASKED
        return (None if blocked else oldest), blocked

    def _next_by_key(self, session: int) -> Lease | None:
        """The oldest one that nobody has, with no slot in common with what others have, or what is on its way back, or an older one that waits."""
        blocked: set[int] = set()
        waiting = []
        for lease in self.leases.values():
            if lease.session is None:
                waiting.append(lease)
            elif lease.session != session or lease.recalled:
                blocked |= lease.slots or frozenset()
        for lease in sorted(waiting, key=lambda lease: lease.beginning):
            slots = lease.slots or frozenset()
            if self._may_go(lease, session) and blocked.isdisjoint(slots):
                return lease
            blocked |= slots
        return None

    def _may_go(self, lease: Lease, session: int) -> bool:
        """What was asked back for an idle session goes to that, as long as it is idle: whoever gave it back would be asked for it again."""
        if lease.delayed or lease.leaving or lease.memo in (MemoState.ASKED, MemoState.AWAITED):
            return False
        wanted_by = lease.wanted_by
        if wanted_by in (None, session) or wanted_by not in self.sessions or wanted_by in self._silent:
            return True
        return any(other.session == wanted_by for other in self.leases.values())

    def _behind(self, lease: Lease) -> list[Lease]:
        """What has to wait for `lease` when that goes back: in order, all that is newer; with keys what has a slot of those in common."""
        found, blocked = [], set(lease.slots or ())
        for other in sorted(self.leases.values(), key=lambda other: other.beginning):
            if other.beginning <= lease.beginning or (not self.one_at_a_time and not self.by_key):
                continue
            if self.one_at_a_time or not blocked.isdisjoint(other.slots or ()):
                found.append(other)
                blocked.update(other.slots or ())
        return found

    def _is_tied(self, lease: Lease, among: Sequence[Lease]) -> bool:
        """With keys: it comes behind another one of these, which goes first."""
        return self.by_key and any(one is not lease and not (one.slots or frozenset()).isdisjoint(lease.slots or ()) for one in among)

    def _is_reserved(self, lease: Lease) -> bool:
        return lease.started_s is None and lease.session is not None and self.sessions.get(lease.session, False)

    def _recall(self, lease: Lease) -> None:
        assert lease.session is not None
        lease.recalled = True
        self._told.setdefault(lease.session, []).append(TakenBack(lease.snapshot_id, lease.token))

    def _take_back(self, lease: Lease) -> None:
        assert lease.session is not None
        if not lease.recalled:
            self._told.setdefault(lease.session, []).append(TakenBack(lease.snapshot_id, lease.token))
        lease.free()
        lease.tried = False
