"""What a member of a consumer group asks for, and what goes out to it beside values."""

from __future__ import annotations

from dataclasses import field

from linkd.core.group_start import check_start
from linkd.core.group_terms import AskedTerms
from linkd.core.names import check_group_name
from linkd.home.outgoing import Out
from linkd.limits import CREDIT_BYTES
from linkd.model.frozen import frozen
from linkd.model.values import Position

NOT_KEPT = "not kept any more"
"""The reason of values of which only their absence is known."""


@frozen()
class SubscribeCall:
    """What a member asks for. `start` and `asked` are of the group: see `core.group_start` and `core.group_terms`.

    `seen` is the newest value that the member has had, or the one before the position that it starts at.
    """

    link: str
    group: str
    follow: bool = False
    credit_bytes: int = CREDIT_BYTES
    form: str = "arrow"
    says_started: bool = False
    start: str = ""
    asked: AskedTerms = field(default_factory=AskedTerms)
    seen: Position | None = None

    def check(self) -> None:
        """InvalidArgument for what can be seen to be wrong without looking at the link."""
        check_group_name(self.group)
        check_start(self.link, self.start)
        self.asked.check()


@frozen()
class Opened:
    """`lost` are values that the member may have had and the link has no more."""

    generation: int
    schema: bytes
    lease_s: float
    lost: int = 0


@frozen()
class EndOfLink:
    """The generation is sealed and all of it is done."""

    generation: int


@frozen()
class Recalled:
    """These tokens are asked back from the member."""

    tokens: tuple[int, ...]


@frozen()
class Skipped:
    """These values were dropped before the group had them."""

    first: int
    last: int
    reason: str


Part = Opened | Out | Recalled | Skipped | EndOfLink
