"""What went out of a consumer group, in whose hands it is, and what is to be done next: see `core.groups`."""

from __future__ import annotations

from dataclasses import dataclass, field

from linkd.model.frozen import frozen


@dataclass(slots=True)
class GroupLease:
    """One value that went out, or with keys was looked at. `session` is None while nobody has it; a `token` of 0 is good for nothing; one that
    `failed` is counted.

    `attempt` counts how often a program may have seen it, `failures` how often that failed, `reason` says why the last time, and `delay_ms` how
    long it had to wait then.
    """

    sequence: int
    token: int
    attempt: int
    failures: int = 0
    reason: str = ""
    delay_ms: int = 0
    failed: bool = False
    session: int | None = None
    started_s: float | None = field(default=None, compare=False)
    asked_back: bool = field(default=False, compare=False)
    refused_late: int = field(default=0, compare=False)


@dataclass(slots=True)
class Member:
    """One connection. `tokens` has all that it holds, to sequences; `recalls` are the tokens that it has not been told of being asked back.

    One that `yields` takes nothing until it has worked off its reserve: some of that was asked back for others. One that `hangs` let a lease end,
    and takes nothing until it is heard of.
    """

    session: int
    says_started: bool = True
    tokens: dict[int, int] = field(default_factory=dict)
    reserved: set[int] = field(default_factory=set)
    working: set[int] = field(default_factory=set)
    recalls: list[int] = field(default_factory=list)
    yields: bool = False
    hangs: bool = False


@frozen()
class GroupOffer:
    """Hand this value out."""

    sequence: int
    attempt: int


@frozen()
class GiveUp:
    """This value failed as often as it may: its dead letter is due."""

    sequence: int


@frozen()
class Look:
    """Nothing can be said before the slots of this value are known: `Group.looked`."""

    sequence: int


Decision = GroupOffer | GiveUp | Look | float | None
