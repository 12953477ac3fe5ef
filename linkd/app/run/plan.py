"""Whether there is anything to do, and why: decided from the journal, under the home's lock, without starting a server.

In this version a change of anything starts everything again. What tells a change: the fingerprint of the pipeline file and of the programs
(`app.versions`), the source files (unchanged if size, mtime_ns and inode are as recorded, else if their BLAKE3 is), values that outsiders
appended to an `in*` link, and a sink's file that is gone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from linkd.app.versions import explain, file_digest, fingerprint, source_stat, task_version
from linkd.core.layout import Layout
from linkd.core.ledger import Ledger
from linkd.core.links import GenerationState
from linkd.core.pipeline import Pipeline
from linkd.core.rights import sink_task
from linkd.core.runs import is_complete
from linkd.errors import InvalidArgument
from linkd.model.records import SourceMoved, TaskKind
from linkd.plugin.contract import LinkOptions, Role
from linkd.plugin.registry import installed_adapters, scheme_of
from linkd.store.store import Store


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run is to do. `reason` is the first line that people see; empty `pending` is nothing to do."""

    fresh: bool
    reason: str
    pending: tuple[str, ...]
    fingerprint: Mapping[str, str]
    versions: Mapping[str, str]
    again: tuple[str, ...] = ()


async def make_plan(pipeline: Pipeline, layout: Layout, directory: Path) -> Plan:
    """Reads the journal and compares. The home's lock must be held. Raises InvalidArgument for sources that are not there, StateDamaged."""
    ledger = Ledger(shapes=layout.tasks)
    store = Store.open(directory)
    for _, records in store.replay():
        ledger.restore(records)
    await store.close()
    check_places(pipeline)
    now = fingerprint(pipeline)
    versions = {name: task_version(task, Path(pipeline.directory)) for name, task in pipeline.tasks.items()}
    every = tuple(layout.tasks)
    if ledger.run is None:
        return Plan(True, "first run", every, now, versions)
    changed = explain(ledger.run.fingerprint, now) or _changed_sources(pipeline, ledger) or _appended(layout, ledger)
    if changed:
        return Plan(True, f"{changed}: everything starts again", every, now, versions)
    gone = _gone_sinks(pipeline, ledger)
    again = tuple(sink_task(link) for link in gone)
    pending = tuple(name for name in every if name in again or name not in ledger.tasks or not ledger.tasks[name].ended)
    if is_complete(ledger) and not again:
        return Plan(False, "", (), now, versions)
    if is_complete(ledger):
        paths = ", ".join(str(pipeline.links[link].sink) for link in gone)
        return Plan(False, f"{paths} is not there any more: written again", pending, now, versions, again)
    return Plan(False, "going on where the last run stopped", pending, now, versions, again)


def check_places(pipeline: Pipeline) -> None:
    """What the adapters find wrong with sources and sinks, without reading data. InvalidArgument with all of it."""
    problems: list[str] = []
    for spec in pipeline.links.values():
        for location, role in ((spec.source, Role.SOURCE), (spec.sink, Role.SINK)):
            if location is None or spec.rejects_of is not None:
                continue
            options = LinkOptions(spec.name, location, Path(pipeline.directory), spec.format, spec.nulls, spec.schema, spec.on_bad_row)
            problems += [f"{pipeline.path}: {problem}" for problem in installed_adapters().serving(location).check(options, role)]
    if problems:
        raise InvalidArgument("\n".join(problems))


def _changed_sources(pipeline: Pipeline, ledger: Ledger) -> str:
    """The source files that are not as they were, in one line; "" if all are."""
    changed = []
    for spec in pipeline.links.values():
        if spec.source is None or spec.rejects_of is not None or scheme_of(spec.source) is not None:
            continue
        link = ledger.links.get(spec.name)
        current = link.current if link is not None else None
        if current is None or current.source is None:
            continue
        if _differs(Path(pipeline.directory) / spec.source, current.source):
            changed.append(spec.source)
    return f"{', '.join(changed)} changed" if changed else ""


def _differs(path: Path, recorded: SourceMoved) -> bool:
    found = source_stat(path)
    told = tuple(recorded.attributes.get(name, "") for name in ("size_bytes", "mtime_ns", "inode"))
    if told == (str(found.size_bytes), str(found.mtime_ns), str(found.inode)):
        return False
    return file_digest(path) != recorded.digest


def _appended(layout: Layout, ledger: Ledger) -> str:
    """The `in*` links that grew since the last run sealed them."""
    grown = []
    for name in sorted(layout.open_links):
        link = ledger.links.get(name)
        current = link.current if link is not None else None
        if current is not None and current.state is GenerationState.GROWING and current.values:
            grown.append(name)
    return f"{', '.join(grown)} grew" if grown else ""


def _gone_sinks(pipeline: Pipeline, ledger: Ledger) -> list[str]:
    """Links whose sink is complete, but whose file is not there."""
    gone = []
    for spec in pipeline.links.values():
        if spec.sink is None or scheme_of(spec.sink) is not None:
            continue
        task = ledger.tasks.get(sink_task(spec.name))
        if task is not None and task.ended and not (Path(pipeline.directory) / spec.sink).exists():
            gone.append(spec.name)
    return gone


def programs(layout: Layout, plan: Plan) -> list[str]:
    """The tasks of the plan that are processes of their own."""
    return [name for name in plan.pending if layout.tasks[name].kind in (TaskKind.RUN, TaskKind.SQL)]


def has_adapters(layout: Layout, plan: Plan) -> bool:
    """Whether the plan has a source or a sink in it."""
    return any(layout.tasks[name].kind in (TaskKind.SOURCE, TaskKind.SINK) for name in plan.pending)
