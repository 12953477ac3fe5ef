"""Where values come from and what became of them, as plain values: the answers of `trace`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from linkd.client.description import SourceDescription, source_of
from linkd.model.frozen import frozen
from linkd.model.values import Envelope, Parent
from linkd.wire.messages import envelope_of, portions_of


@frozen()
class Ancestor:
    """A value that another was made from, `depth` steps up; `source` is set where it came from a source."""

    envelope: Envelope
    depth: int
    source: SourceDescription | None = None


@frozen()
class Descendant:
    """A value that was made from another, `depth` steps down."""

    envelope: Envelope
    depth: int


@frozen()
class SinkCommit:
    """A sink (`to:LINK`) wrote these values of its link; `attributes` are the adapter's: `path`, `rows` and `digest` of a file."""

    task: str
    portions: tuple[Parent, ...]
    committed_at_ns: int
    attributes: Mapping[str, str]


@frozen()
class Lineage:
    """Where a value comes from: itself (depth 0) and its ancestors, nearest first. `cut` says that there are more.

    Asked forward, what became of it: the value is the only ancestor, and `descendants` and `sinks` are what was made and written of it.
    """

    ancestors: tuple[Ancestor, ...]
    cut: bool
    descendants: tuple[Descendant, ...] = ()
    sinks: tuple[SinkCommit, ...] = ()

    @property
    def value(self) -> Envelope:
        """Of the value that was asked about."""
        return self.ancestors[0].envelope

    def __str__(self) -> str:
        lines = [_line(each.envelope, each.depth) for each in self.ancestors]
        lines += [_line(each.envelope, each.depth) for each in self.descendants]
        lines += [f"  {sink.attributes.get('path', sink.task)}  by {sink.task}" for sink in self.sinks]
        return "\n".join([*lines, "..."] if self.cut else lines)


def lineage(answer: Any) -> Lineage:
    """The lineage in a `TraceResponse`."""
    return Lineage(
        tuple(Ancestor(envelope_of(item.envelope), item.depth, source_of(item)) for item in answer.ancestors),
        answer.cut,
        tuple(Descendant(envelope_of(item.envelope), item.depth) for item in answer.descendants),
        tuple(_sinks(answer.sinks)),
    )


def _sinks(messages: Iterable[Any]) -> Iterable[SinkCommit]:
    for message in messages:
        yield SinkCommit(message.task, portions_of(message.portions), message.committed_at_ns, dict(message.attributes))


def _line(envelope: Envelope, depth: int) -> str:
    line = f"{'  ' * depth}{envelope.name}  {envelope.rows:,} rows"
    if envelope.task:
        line += f"  by {envelope.task} {envelope.task_version[:8]}".rstrip()
    return line + "".join(f"  {key}={value}" for key, value in sorted(envelope.attributes.items()))
