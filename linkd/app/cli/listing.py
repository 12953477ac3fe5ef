"""A description of a pipeline as tables and as a JSON document. Pure."""

from __future__ import annotations

import dataclasses
from typing import Any

import pyarrow as pa

from linkd.app.cli.cells import printable
from linkd.app.cli.tables import Column
from linkd.app.wording import age_text, moment_text, number_text, rate_text, sequence_text, size_text
from linkd.client.description import Description, HoldDescription, LeaseDescription, LinkDescription, TaskDescription
from linkd.core.arrow_types import type_text
from linkd.core.tasks import SINK_PREFIX, SOURCE_PREFIX

_ADAPTER_KINDS = ("source", "sink")
_VERSION_SHOWN_CHARS = 8
_PORTIONS_SHOWN = 4


def headline(found: Description, *, verbose: bool = False) -> str:
    """One line: which pipeline, and how its newest run stands."""
    if found.run is None:
        state = "whoever can reach the socket makes links" if found.open else "has not run yet"
    else:
        complete = ", complete" if found.run.complete else ""
        reason = f" ({found.run.reason})" if found.run.reason and verbose else ""
        state = f"run {found.run.epoch} {found.run.outcome}{complete}, begun {moment_text(found.run.began_at_ns)}{reason}"
    if found.artifacts_bytes:
        state += f"; {size_text(found.artifacts_bytes)} in artifacts"
    more = f"; {found.directory}, pid {found.pid}, linkd {found.version}" if verbose else ""
    return f"{found.pipeline}: {state}{more}"


def link_columns(found: Description, *, steady: bool = False, verbose: bool = False) -> list[Column]:
    """What each link holds for readers: its newest complete generation, or the growing one while none is.

    Rates only while something runs; `steady` keeps the column, for a table that is looked at while it changes. What was dropped where anything
    was; `verbose` adds the terms.
    """
    lags = found.lags
    links = found.links
    reads = [link.read for link in links]
    columns = [
        Column("link", [link.name for link in links]),
        Column("rows", [number_text(read.rows) if read else "" for read in reads], True),
        Column("values", [number_text(read.values) if read else "" for read in reads], True, rank=3),
        Column("size", [size_text(link.size_bytes) if link.values else "" for link in links], True, rank=2),
        Column("gen", [str(read.generation) if read else "" for read in reads], True, rank=5),
        Column("state", [_state(link) for link in links]),
        Column("rows/s", [rate_text(link.rate.rows_per_s) if link.rate is not None else "" for link in links], True),
        Column("last", [_age(found, link.last_created_at_ns) for link in links], rigid=True, rank=1),
        Column("lag", [number_text(lags[link.name]) if link.name in lags else "" for link in links], True),
        Column("dropped", [_dropped(link) for link in links], rank=1),
        Column("written by", [_writer(link) for link in links], rank=4),
        Column("read by", [_readers(link, found) for link in links], rank=4),
    ]
    if verbose:
        columns.append(Column("when full", [_bound(link) for link in links], rank=4))
        columns.append(Column("keeps", [link.retain for link in links], rank=4))
    moves = steady or is_running(found) or any(link.rate is not None for link in links)
    hidden = {"rows/s"} if not moves else set()
    hidden.update(column.heading for column in columns if column.heading in ("dropped", "when full", "keeps") and not any(column.cells))
    return [column for column in columns if column.heading not in hidden]


def task_columns(found: Description, *, verbose: bool = False, steady: bool = False) -> list[Column]:
    """The programs and SQL of the pipeline; sources and sinks stand with their links.

    What is held and what waits only where something does; `steady` keeps these columns.
    """
    tasks = [task for task in found.tasks if task.kind not in _ADAPTER_KINDS]
    columns = [
        Column("task", [task.name for task in tasks]),
        Column("kind", [task.kind for task in tasks], rank=3),
        Column("state", [task.state for task in tasks], rigid=True),
        Column("held", [number_text(task.leased) if task.leased else "" for task in tasks], True, rank=1),
        Column("commits", [number_text(task.commits) for task in tasks], True),
        Column("done", [number_text(sum(each.done_values for each in task.inputs)) for task in tasks], True, rank=2),
        Column("lag", [_task_lag(task) for task in tasks]),
        Column("inputs", [", ".join(f"{each.link} {each.policy}" for each in task.inputs) for task in tasks], rank=1),
        Column("outputs", [", ".join(task.outputs) for task in tasks], rank=2),
    ]
    if verbose:
        columns.append(Column("version", [task.version[:_VERSION_SHOWN_CHARS] for task in tasks], rigid=True, rank=1))
    return [column for column in columns if steady or column.heading not in ("held", "lag") or any(column.cells)]


def lease_columns(found: Description) -> list[Column]:
    """Which snapshot of which task is in somebody's hands, and since when."""
    held = [(task.name, lease) for task in found.tasks for lease in task.leases]
    return [
        Column("on lease to", [task for task, _ in held]),
        Column("snapshot", [_portions(lease) for _, lease in held]),
        Column("attempt", [str(lease.attempt) for _, lease in held], True),
        Column("since", [_age(found, lease.since_ns) for _, lease in held], rigid=True),
    ]


def hold_columns(found: Description) -> list[Column]:
    """Which values stay, whatever retention says: for whom, and until when."""
    holds = found.holds
    return [
        Column("held", [_held(hold) for hold in holds]),
        Column("by", [printable(hold.name or hold.holder or "an outsider") for hold in holds]),
        Column("until", [moment_text(hold.until_ns) if hold.until_ns else "it is read" for hold in holds], rigid=True),
        Column("for", [printable(hold.reason) for hold in holds], rank=1),
    ]


def group_columns(found: Description) -> list[Column]:
    """The consumer groups of outsiders. What they lost only where there is anything."""
    groups = found.groups
    columns = [
        Column("group", [printable(group.group) for group in groups]),
        Column("link", [group.link for group in groups]),
        Column("done", [f"{group.link}@{group.done_sequence}" if group.done_sequence else "" for group in groups]),
        Column("lag", [number_text(group.lag_values) for group in groups], True),
        Column("leased", [number_text(group.leased) for group in groups], True),
        Column("members", [number_text(group.connections) for group in groups], True),
        Column("lost", [number_text(group.lost_values) if group.lost_values else "" for group in groups], True),
    ]
    return [column for column in columns if column.heading != "lost" or any(column.cells)]


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


def _dropped(link: LinkDescription) -> str:
    return ", ".join(f"{number_text(one.values)} {one.reason}" for one in link.dropped)


def _bound(link: LinkDescription) -> str:
    return f"{link.on_full} ({size_text(link.waiting_bytes)} of {size_text(link.bound_bytes)})" if link.bound_bytes else ""


def _held(hold: HoldDescription) -> str:
    if hold.last_sequence:
        return sequence_text(hold.link, hold.first_sequence, hold.last_sequence)
    return f"{hold.link}@{hold.first_sequence}.."


def _writer(link: LinkDescription) -> str:
    if link.source:
        return printable(link.source)
    return link.writer.removeprefix(SOURCE_PREFIX) or ("anyone" if link.open else "")


def _readers(link: LinkDescription, found: Description) -> str:
    tasks = [printable(link.sink) if name.startswith(SINK_PREFIX) and link.sink else name for name in link.readers]
    return ", ".join([*tasks, *(printable(group.group) for group in found.groups if group.link == link.name)])


def waits(found: Description) -> list[str]:
    """Who waits for whom, a line each: tasks of a run that have nothing to do, and the links they wait for."""
    links = {link.name: link for link in found.links}
    lines = []
    for task in found.tasks:
        if not is_running(found) or task.state not in ("waiting", "open", "starting") or task.kind in _ADAPTER_KINDS:
            continue
        growing = [links[each.link] for each in task.inputs if not _is_complete(links.get(each.link))]
        if task.state == "open":
            lines.append(f"{task.name}: its place is open, nobody has taken it")
        elif task.state == "starting":
            lines.append(f"{task.name} waits for its program")
        elif growing:
            lines.append(f"{task.name} waits for " + ", ".join(f"{link.name} (of {_writer(link) or 'outsiders'})" for link in growing))
    return lines


def _is_complete(link: LinkDescription | None) -> bool:
    return link is None or (link.current is not None and link.current.state == "sealed")


def is_running(found: Description) -> bool:
    """Whether a run is on, as far as the home knows."""
    return found.run is not None and found.run.outcome == "running"


def _age(found: Description, at_ns: int) -> str:
    return age_text((found.told_at_ns - at_ns) / 1e9) if at_ns else ""


def _portions(lease: LeaseDescription) -> str:
    shown = [sequence_text(portion.link, portion.first_sequence, portion.last_sequence) for portion in lease.portions[:_PORTIONS_SHOWN]]
    return ", ".join([*shown, "…"] if len(lease.portions) > _PORTIONS_SHOWN else shown)


def _task_lag(task: TaskDescription) -> str:
    """Values that the task has still to take, by input."""
    behind = [f"{each.link} {number_text(each.waiting_values)}" for each in task.inputs if each.waiting_values]
    return ", ".join(behind)
