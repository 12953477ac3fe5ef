"""A description of a pipeline as tables and as a JSON document. Pure."""

from __future__ import annotations

import dataclasses
from typing import Any

import pyarrow as pa

from linkd.app.cli.cells import printable
from linkd.app.cli.tables import Column
from linkd.app.cli.wording import moment_text, number_text, size_text
from linkd.client.description import Description, LinkDescription, TaskDescription
from linkd.core.arrow_types import type_text
from linkd.core.tasks import SINK_PREFIX, SOURCE_PREFIX

_ADAPTER_KINDS = ("source", "sink")
_VERSION_SHOWN_CHARS = 8


def headline(found: Description, *, verbose: bool = False) -> str:
    """One line: which pipeline, and how its newest run stands."""
    if found.run is None:
        state = "whoever can reach the socket makes links" if found.open else "has not run yet"
    else:
        complete = ", complete" if found.run.complete else ""
        reason = f" ({found.run.reason})" if found.run.reason and verbose else ""
        state = f"run {found.run.epoch} {found.run.outcome}{complete}, begun {moment_text(found.run.began_at_ns)}{reason}"
    more = f"; {found.directory}, pid {found.pid}, linkd {found.version}" if verbose else ""
    return f"{found.pipeline}: {state}{more}"


def link_columns(found: Description) -> list[Column]:
    """What each link holds for readers: its newest sealed generation, or the growing one while none is sealed."""
    lags = _lags(found)
    links = found.links
    reads = [link.read for link in links]
    return [
        Column("link", [link.name for link in links]),
        Column("values", [number_text(read.values) if read else "" for read in reads], True),
        Column("rows", [number_text(read.rows) if read else "" for read in reads], True),
        Column("size", [size_text(link.size_bytes) if link.values else "" for link in links], True),
        Column("state", [_state(link) for link in links]),
        Column("gen", [str(read.generation) if read else "" for read in reads], True),
        Column("writer", [_writer(link) for link in links]),
        Column("readers", [_readers(link, found) for link in links]),
        Column("lag", [number_text(lags[link.name]) if link.name in lags else "" for link in links], True),
    ]


def task_columns(found: Description, *, verbose: bool = False) -> list[Column]:
    """The programs and SQL of the pipeline; sources and sinks stand with their links."""
    tasks = [task for task in found.tasks if task.kind not in _ADAPTER_KINDS]
    columns = [
        Column("task", [task.name for task in tasks]),
        Column("kind", [task.kind for task in tasks]),
        Column("state", [_task_state(task) for task in tasks]),
        Column("values read", [number_text(sum(each.done_values for each in task.inputs)) for task in tasks], True),
        Column("waiting", [number_text(sum(each.waiting_values for each in task.inputs)) for task in tasks], True),
        Column("commits", [number_text(task.commits) for task in tasks], True),
        Column("inputs", [", ".join(f"{each.link} {each.policy}" for each in task.inputs) for task in tasks]),
        Column("outputs", [", ".join(task.outputs) for task in tasks]),
    ]
    if verbose:
        columns.append(Column("version", [task.version[:_VERSION_SHOWN_CHARS] for task in tasks]))
    return columns


def group_columns(found: Description) -> list[Column]:
    """The consumer groups of outsiders."""
    groups = found.groups
    return [
        Column("group", [printable(group.group) for group in groups]),
        Column("link", [group.link for group in groups]),
        Column("done", [f"{group.link}@{group.done_sequence}" if group.done_sequence else "" for group in groups]),
        Column("lag", [number_text(group.lag_values) for group in groups], True),
        Column("leased", [number_text(group.leased) for group in groups], True),
        Column("members", [number_text(group.connections) for group in groups], True),
    ]


def document(found: Description) -> dict[str, Any]:
    """Everything, as JSON has it: columns and types in place of encoded schemas, no opaque positions."""
    described = dataclasses.asdict(found)
    for link in described["links"]:
        link["columns"] = _columns(link.pop("schema"))
        if link["source_state"] is not None:
            del link["source_state"]["position"]
    return described


def _columns(schema: bytes) -> list[dict[str, str]]:
    if not schema:
        return []
    return [{"name": field.name, "type": type_text(field.type)} for field in pa.ipc.read_schema(pa.py_buffer(schema))]


def _state(link: LinkDescription) -> str:
    """Of what readers see; and of the newer one, if there is."""
    if link.read is None:
        return link.current.state if link.current is not None else "empty"
    newer = link.current is not None and link.current.generation > link.read.generation
    return f"{link.read.state}, {link.current.generation} {link.current.state}" if newer and link.current else link.read.state


def _writer(link: LinkDescription) -> str:
    if link.source:
        return printable(link.source)
    return link.writer.removeprefix(SOURCE_PREFIX) or ("anyone" if link.open else "")


def _readers(link: LinkDescription, found: Description) -> str:
    tasks = [printable(link.sink) if name.startswith(SINK_PREFIX) and link.sink else name for name in link.readers]
    return ", ".join([*tasks, *(printable(group.group) for group in found.groups if group.link == link.name)])


def _lags(found: Description) -> dict[str, int]:
    """Of each link that has readers: values that the slowest has still to take."""
    waiting = [(each.link, each.waiting_values) for task in found.tasks for each in task.inputs]
    waiting += [(group.link, group.lag_values) for group in found.groups]
    lags: dict[str, int] = {}
    for link, values in waiting:
        lags[link] = max(lags.get(link, 0), values)
    return lags


def _task_state(task: TaskDescription) -> str:
    if not task.execution:
        return "not begun"
    if task.ended:
        return "done"
    return "running" if task.connections else "stopped"
