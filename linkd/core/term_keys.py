"""What the file says of the terms of a link and of a task: durability, retention, bounds, order, attempts."""

from __future__ import annotations

from collections.abc import Mapping

from linkd import limits
from linkd.core.document import Node, Reader, Record, Text
from linkd.core.durations import parse_duration
from linkd.model.terms import Handover, LinkTerms, OnFull, Order, Retain, TaskTerms
from linkd.model.values import Durability

LINK_TERMS = ("durability", "interval", "retain", "bound", "on_full", "handover")
TASK_TERMS = ("order", "key", "lease", "max_attempts")
_RETAIN_EXAMPLE = "retain: {age: 7d, size: 10GB}"
_RETAIN = ("age", "size", "values", "hard")


def read_link_terms(reader: Reader, name: str, fields: Mapping[str, Node]) -> LinkTerms:
    """The terms of a link; `name` is that of its entry in the file. What is wrong with them goes to the reader."""
    durability = Durability(reader.choice(fields.get("durability"), f"{name}.durability", tuple(Durability), Durability.FSYNC))
    interval_s = reader.duration(
        fields.get("interval"), f"{name}.interval", "interval: 100ms", limits.DURABILITY_INTERVAL_MIN_S, limits.DURABILITY_INTERVAL_MAX_S
    )
    if "interval" in fields and durability is not Durability.INTERVAL:
        what = f"`interval` says how long values may wait for the disk, and the durability of `{name}` is `{durability}`"
        reader.note(fields["interval"].span, what, "add `durability: interval`, or take it out")
    bound_bytes = reader.size(fields.get("bound"), f"{name}.bound", "bound: 64MB", 1)
    on_full = OnFull(reader.choice(fields.get("on_full"), f"{name}.on_full", tuple(OnFull), OnFull.BLOCK))
    if "on_full" in fields and "bound" not in fields:
        reader.note(fields["on_full"].span, f"`{name}` is never full: it has no `bound:`", "add `bound: 64MB`, or take it out")
    return LinkTerms(
        durability,
        limits.DURABILITY_INTERVAL_S if interval_s is None else interval_s,
        _retain(reader, name, fields.get("retain")),
        bound_bytes,
        on_full,
        Handover(reader.choice(fields.get("handover"), f"{name}.handover", tuple(Handover), Handover.PLACE)),
    )


def read_task_terms(reader: Reader, name: str, fields: Mapping[str, Node], timeout_s: float | None) -> TaskTerms:
    """The terms of a task; `name` is that of its entry in the file. What is wrong with them goes to the reader."""
    order = Order(reader.choice(fields.get("order"), f"{name}.order", tuple(Order), Order.LINK))
    key = reader.text(fields.get("key"), f"{name}.key", "key: carrier")
    if "key" in fields and order is not Order.KEY:
        reader.note(fields["key"].span, f"`key` names the column of `order: key`, and the order of `{name}` is `{order}`", "take it out")
    if order is Order.KEY and key is None:
        reader.note(fields["order"].span, f"`{name}` is ordered by key, and no column is named", "add `key: COLUMN`")
    lease_s = reader.duration(fields.get("lease"), f"{name}.lease", "lease: 30s", limits.LEASE_MIN_S, limits.LEASE_MAX_S)
    attempts = reader.count(fields.get("max_attempts"), f"{name}.max_attempts", "max_attempts: 5", limits.ATTEMPTS_MAX)
    if attempts == 0:
        reader.note(
            fields["max_attempts"].span, f"`{name}.max_attempts` of 0 would try nothing at all", "write at least 1, or leave it out"
        )
    for option in TASK_TERMS:
        if option in fields and "sql" in fields:
            reader.note(fields[option].span, f"`{option}` is for programs, and `{name}` is a SELECT", "take it out")
    return TaskTerms(order, key.value if key else "", limits.LEASE_S if lease_s is None else lease_s, timeout_s, attempts or None)


def _retain(reader: Reader, name: str, node: Node | None) -> Retain | None:
    """`retain: 7d` is an age; a mapping says more."""
    if node is None:
        return None
    name = f"{name}.retain"
    if isinstance(node, Text) and parse_duration(node.value) is not None:
        return Retain(age_s=reader.duration(node, name, "retain: 7d", limits.RETAIN_AGE_MIN_S, limits.RETAIN_AGE_MAX_S))
    if not isinstance(node, Record):
        reader.note(node.span, f"`{name}` is neither an age nor a mapping", f"write `retain: 7d`, or `{_RETAIN_EXAMPLE}`")
        return None
    fields = reader.fields(reader.record(node, name, _RETAIN_EXAMPLE), f"`{name}`", _RETAIN, ())
    values = reader.count(fields.get("values"), f"{name}.values", "values: 1000", limits.RETAIN_VALUES_MAX)
    retain = Retain(
        reader.duration(fields.get("age"), f"{name}.age", "age: 7d", limits.RETAIN_AGE_MIN_S, limits.RETAIN_AGE_MAX_S),
        reader.size(fields.get("size"), f"{name}.size", "size: 10GB", 0),
        values,
        reader.flag(fields.get("hard"), f"{name}.hard", False),
    )
    if not {"age", "size", "values"} & fields.keys():
        reader.note(node.span, f"`{name}` bounds nothing", f"say how much is kept: `{_RETAIN_EXAMPLE}`")
    return retain
