"""What is known of one value, as lines of text; and of a value and its ancestors, as a JSON document. Pure."""

from __future__ import annotations

import dataclasses
from typing import Any

from linkd.app.cli.cells import printable
from linkd.app.wording import counted, moment_text, sequence_text
from linkd.client.lineage import Ancestor, Lineage, SinkCommit
from linkd.core.dead_letters import is_dead_link
from linkd.core.tasks import SOURCE_PREFIX
from linkd.model.values import Envelope, Parent, value_id_text

_LABEL_WIDTH = 11


def passport_lines(envelope: Envelope) -> list[str]:
    """The passport of a value: name, id, who made it of what, when, and how much it is."""
    entries = [
        ("id", value_id_text(envelope.id)),
        ("made by", _maker(envelope)),
        ("version", envelope.task_version),
        ("made at", moment_text(envelope.created_at_ns)),
        ("holds", f"{counted(envelope.rows, 'row')}, {counted(envelope.size_bytes, 'byte')}"),
        ("payload", f"xxh3 {envelope.payload_xxh3:016x}"),
        ("generation", str(envelope.generation)),
        ("made of", ", ".join(range_text(parent) for parent in envelope.parents)),
        *((printable(name), printable(text)) for name, text in sorted(envelope.attributes.items())),
    ]
    return [envelope.name, *(f"  {label:<{_LABEL_WIDTH}} {text}" for label, text in entries if text)]


def range_text(parent: Parent) -> str:
    """`flown@1..6`, or `flown@3` of one value, or `flown` where there was none."""
    if parent.last_sequence < parent.first_sequence:
        return f"{parent.link} (no values)"
    return sequence_text(parent.link, parent.first_sequence, parent.last_sequence)


def document(lineage: Lineage, *, forward: bool = False) -> dict[str, Any]:
    """The value and its ancestors, nearest first, or (`forward`) its descendants and what was written of them, as JSON has them."""
    told: dict[str, Any] = {"value": lineage.value.name, "ancestors": [_ancestor(each) for each in lineage.ancestors], "cut": lineage.cut}
    if forward:
        told["descendants"] = [_entry(each.envelope, each.depth) for each in lineage.descendants]
        told["sinks"] = [_sink(sink) for sink in lineage.sinks]
    return told


def _ancestor(ancestor: Ancestor) -> dict[str, Any]:
    source = dataclasses.asdict(ancestor.source) if ancestor.source is not None else None
    if source is not None:
        del source["position"]  # opaque, the adapter's own
    return {**_entry(ancestor.envelope, ancestor.depth), "source": source}


def _entry(envelope: Envelope, depth: int) -> dict[str, Any]:
    return {
        "name": envelope.name,
        "id": value_id_text(envelope.id),
        "depth": depth,
        "link": envelope.link,
        "incarnation": envelope.position.incarnation,
        "sequence": envelope.position.sequence,
        "generation": envelope.generation,
        "rows": envelope.rows,
        "size_bytes": envelope.size_bytes,
        "payload_xxh3": f"{envelope.payload_xxh3:016x}",
        "created_at": moment_text(envelope.created_at_ns),
        "task": envelope.task,
        "task_version": envelope.task_version,
        "attempt": envelope.attempt,
        "parents": [dataclasses.asdict(parent) for parent in envelope.parents],
        "attributes": dict(envelope.attributes),
        "traceparent": envelope.traceparent,
    }


def _sink(sink: SinkCommit) -> dict[str, Any]:
    return {
        "task": sink.task,
        "committed_at": moment_text(sink.committed_at_ns),
        "portions": [dataclasses.asdict(portion) for portion in sink.portions],
        "attributes": dict(sink.attributes),
    }


def _maker(envelope: Envelope) -> str:
    if is_dead_link(envelope.link):
        return f"linkd: {envelope.task or 'a consumer group'} had failed {counted(envelope.attempt, 'time')}"
    if not envelope.task:
        return "somebody outside the pipeline"
    if envelope.task.startswith(SOURCE_PREFIX):
        return f"the source of {envelope.link}"
    return f"task {envelope.task}" + (f", attempt {envelope.attempt}" if envelope.attempt > 1 else "")
