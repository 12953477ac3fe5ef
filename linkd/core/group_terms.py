"""What the members of a consumer group agreed on when it was made. Pure."""

from __future__ import annotations

from linkd.errors import InvalidArgument
from linkd.limits import ATTEMPTS_MAX, LEASE_MAX_S, LEASE_MIN_S, LEASE_RENEWED_MAX_S, LEASE_S
from linkd.model.frozen import frozen
from linkd.model.terms import Order


@frozen()
class GroupTerms:
    """The terms of a group, kept with it. `key` is the column of `Order.KEY`.

    What is in a member's hands and not settled within `lease_s` of its last renewal goes to another one; the member's process renews it, for
    `timeout_s` at most. What failed `max_attempts` times goes to the link's dead-letter link; None: it is tried for ever.
    """

    order: Order = Order.LINK
    key: str = ""
    lease_s: float = LEASE_S
    timeout_s: float = LEASE_RENEWED_MAX_S
    max_attempts: int | None = None


@frozen()
class AskedTerms:
    """The terms as members ask for them, and as records have them. "" and 0 leave it to the group, or to the defaults if it is made."""

    order: str = ""
    key: str = ""
    lease_ms: int = 0
    timeout_ms: int = 0
    max_attempts: int = 0

    def check(self) -> None:
        """InvalidArgument for what cannot be a term."""
        if self.order and self.order not in list(Order):
            raise InvalidArgument(f"order is {self.order[:40]!r}: it is {', '.join(Order)}")
        if self.key and self.order not in ("", Order.KEY):
            raise InvalidArgument(f"key is a column for `order: key`, and the order asked for is {self.order}")
        if self.order == Order.KEY and not self.key:
            raise InvalidArgument("`order: key` needs the column that is the key: key='COLUMN'")
        if self.lease_ms and not LEASE_MIN_S <= self.lease_ms / 1000 <= LEASE_MAX_S:
            raise InvalidArgument(f"a lease of {self.lease_ms / 1000:g} s: it lasts between {LEASE_MIN_S:g} and {LEASE_MAX_S:g} s")
        if self.timeout_ms and not LEASE_MIN_S <= self.timeout_ms / 1000 <= LEASE_MAX_S:
            raise InvalidArgument(f"a timeout of {self.timeout_ms / 1000:g} s: it is between {LEASE_MIN_S:g} and {LEASE_MAX_S:g} s")
        if self.max_attempts > ATTEMPTS_MAX:
            raise InvalidArgument(f"max_attempts is {self.max_attempts:,}: it is {ATTEMPTS_MAX:,} at most")

    def of_new_group(self) -> GroupTerms:
        """The terms of a group that is made with these."""
        order = Order(self.order) if self.order else Order.KEY if self.key else Order.LINK
        return GroupTerms(
            order,
            self.key,
            self.lease_ms / 1000 if self.lease_ms else LEASE_S,
            self.timeout_ms / 1000 if self.timeout_ms else LEASE_RENEWED_MAX_S,
            self.max_attempts or None,
        )

    @staticmethod
    def of(terms: GroupTerms) -> AskedTerms:
        """As records have them."""
        return AskedTerms(str(terms.order), terms.key, round(terms.lease_s * 1000), round(terms.timeout_s * 1000), terms.max_attempts or 0)

    def check_against(self, group: str, link: str, terms: GroupTerms) -> None:
        """InvalidArgument, naming the first difference, if these are not what the group has."""
        pairs = (
            ("order", self.order, str(terms.order)),
            ("key", self.key, terms.key),
            ("lease_s", self.lease_ms / 1000, terms.lease_s),
            ("timeout_s", self.timeout_ms / 1000, terms.timeout_s),
            ("max_attempts", self.max_attempts, terms.max_attempts),
        )
        for name, asked, has in pairs:
            if asked and asked != has:
                shown = "none" if has is None else has if isinstance(has, str) else f"{has:g}"
                raise InvalidArgument(
                    f"the group {group} of {link} has {name} {shown}, and this member asks for {asked}: "
                    f"members of one group have the same terms; leave {name} out, or take another group"
                )
