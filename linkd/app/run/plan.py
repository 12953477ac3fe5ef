"""What a run is to do, and why: decided from the journal, under the home's lock, without starting a server.

`core.planning` decides; here is found out what it has to know: digests of programs and settings (`app.versions`), whether the sources hold
what they held (a file is as it was if size, mtime_ns and inode are as recorded, else if its BLAKE3 is), whether what sinks wrote is there.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import field
from pathlib import Path

from linkd.app.link_options import link_options
from linkd.app.versions import Versions, changes, merged, versions
from linkd.core.checkpoint import restored
from linkd.core.layout import Layout
from linkd.core.ledger import Ledger
from linkd.core.pipeline import LinkSpec, Pipeline
from linkd.core.planning import RUNS, Action, Facts, Step, Wishes, given_up, left_unread, plan_steps
from linkd.core.rights import sink_task, source_task
from linkd.errors import InvalidArgument, PlaceAway, UsageFault
from linkd.model.frozen import frozen
from linkd.model.records import SourceMoved, TaskKind
from linkd.plugin.contract import Role, Source, SourceStat
from linkd.plugin.registry import Adapters, installed_adapters, scheme_of
from linkd.store.store import Store


@frozen()
class PlanOptions:
    """What the person asked for: links that are to be current (all of them if none), tasks whose place stays open.

    With `check_cache` all tasks whose outcomes are remembered begin again.
    """

    only: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    follow: bool = False
    check_cache: bool = False


@frozen()
class Plan:
    """What a run is to do. `fingerprint` is to be recorded with it; `values` is how many there are now, in all links.

    `unread` is what programs that have nothing to do left of their inputs, in values, by task and link; `given_up` the snapshots in the
    dead-letter links of tasks that have nothing to do.
    """

    steps: tuple[Step, ...]
    versions: Versions
    fingerprint: Mapping[str, str]
    first: bool
    values: int = 0
    places: tuple[str, ...] = ()
    follow: bool = False
    unread: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    given_up: Mapping[str, int] = field(default_factory=dict)

    @property
    def pending(self) -> tuple[str, ...]:
        """The tasks that have something to do."""
        return tuple(step.task for step in self.steps if step.action in RUNS)

    def having(self, action: Action) -> tuple[str, ...]:
        return tuple(step.task for step in self.steps if step.action is action)

    @property
    def selected(self) -> tuple[str, ...]:
        """The tasks that take part; empty for all."""
        return tuple(step.task for step in self.steps if step.action is not Action.SKIP) if self.having(Action.SKIP) else ()


async def make_plan(pipeline: Pipeline, layout: Layout, directory: Path, options: PlanOptions) -> Plan:
    """Reads the journal and compares. The home's lock must be held.

    Raises InvalidArgument for sources that are not there, UsageFault for options that name what is not, StateDamaged.
    """
    check_places(pipeline, follow=options.follow)
    check_options(layout, options)
    store = Store.open(directory)
    ledger = restored(store.kept, layout.tasks)
    for _, records in store.replay():
        ledger.restore(records)
    await store.close()
    now = versions(pipeline)
    before = ledger.run.fingerprint if ledger.run is not None else {}
    sources = Sources(pipeline, installed_adapters())
    news = await sources.news(ledger, options.follow)
    facts = Facts(
        changes={**_checked(now, options), **changes(before, now.fingerprint), **news.changed},
        grown=news.grown,
        lost=_lost_sinks(pipeline, ledger),
        followed=sources.growing() if options.follow else frozenset(),
    )
    on_change = {task.name: task.on_change for task in pipeline.tasks.values() if task.on_change is not None}
    steps = plan_steps(ledger, layout, facts, Wishes(frozenset(options.only), options.follow, on_change))
    taking_part = frozenset(step.task for step in steps if step.action is not Action.SKIP)
    values = sum(generation.values for link in ledger.links.values() for generation in link.generations.values())
    recorded = merged(before, now.fingerprint, taking_part)
    unread, dead = left_unread(ledger, layout, steps), given_up(ledger, steps)
    return Plan(steps, now, recorded, ledger.run is None, values, options.without, options.follow, unread, dead)


def _checked(now: Versions, options: PlanOptions) -> dict[str, str]:
    """The tasks that begin again so that what is remembered of them can be compared."""
    return dict.fromkeys(now.memo, "its cache is checked") if options.check_cache else {}


def check_options(layout: Layout, options: PlanOptions) -> None:
    """UsageFault for links and tasks that the pipeline does not have."""
    for name in options.only:
        if name not in layout.links:
            raise UsageFault(f"--only {name}: there is no such link (links: {', '.join(layout.links)})")
    programs_of = [name for name, shape in layout.tasks.items() if shape.kind is TaskKind.RUN]
    for name in options.without:
        if name not in programs_of:
            raise UsageFault(
                f"--without {name}: there is no such task with a program of its own (tasks: {', '.join(programs_of) or 'none'})"
            )


def check_places(pipeline: Pipeline, *, follow: bool = False) -> None:
    """What the adapters find wrong with sources and sinks, without reading data. InvalidArgument with all of it. With `follow` files may come."""
    problems: list[str] = []
    for spec in pipeline.links.values():
        for location, role in ((spec.source, Role.SOURCE), (spec.sink, Role.SINK)):
            if location is None or spec.rejects_of is not None:
                continue
            options = link_options(pipeline, spec, location, growing=follow)
            problems += [f"{pipeline.path}: {problem}" for problem in installed_adapters().serving(location).check(options, role)]
    if problems:
        raise InvalidArgument("\n".join(problems))


@frozen()
class SourceNews:
    """Of sources, by the name of their task: what changed, and which have more behind what was read of them."""

    changed: Mapping[str, str]
    grown: frozenset[str]


@frozen()
class Sources:
    """The sources of a pipeline, asked through their adapters."""

    pipeline: Pipeline
    adapters: Adapters

    def growing(self) -> frozenset[str]:
        """Those that can be followed as they grow, by the name of their task."""
        return frozenset(source_task(spec.name) for spec, source in self._each() if source.can_follow)

    async def news(self, ledger: Ledger, follow: bool) -> SourceNews:
        """What the sources hold by now. One that is followed changes by growing; one that is away then is waited for by the worker."""
        changed: dict[str, str] = {}
        grown: set[str] = set()
        for spec, source in self._each():
            link = ledger.links.get(spec.name)
            current = link.current if link is not None else None
            follows = follow and source.can_follow
            try:
                if current is None or current.source is None or (follows and not await source.exists()):
                    continue
                if not await self._is_other(source, current.source, follows):
                    continue
                if source.only_grows and await source.begins_with(current.source.position):
                    grown.add(source_task(spec.name))
                else:
                    changed[source_task(spec.name)] = f"{spec.source} changed"
            except PlaceAway:
                if not follows:
                    raise
        return SourceNews(changed, frozenset(grown))

    async def _is_other(self, source: Source, read: SourceMoved, follows: bool) -> bool:
        stat = await source.stat()
        recorded = tuple(read.attributes.get(name, "") for name in ("size_bytes", "mtime_ns", "inode"))
        is_same = recorded == (str(stat.size_bytes), str(stat.mtime_ns), str(stat.inode)) and stat != SourceStat()
        if is_same or await source.digest() == read.digest:
            return False
        # One that has grown since it was followed, or is to be followed now, is read on behind what was read.
        return not ((follows or not read.final) and await source.begins_with(read.position))

    def _each(self) -> Iterator[tuple[LinkSpec, Source]]:
        for spec in self.pipeline.links.values():
            if spec.source is not None and spec.rejects_of is None:
                yield spec, self.adapters.serving(spec.source).source(link_options(self.pipeline, spec, spec.source, environ=os.environ))


def _lost_sinks(pipeline: Pipeline, ledger: Ledger) -> dict[str, str]:
    """Sinks that are complete, but what they wrote is not there."""
    lost = {}
    for spec in pipeline.links.values():
        if spec.sink is None or scheme_of(spec.sink) is not None:
            continue
        task = ledger.tasks.get(sink_task(spec.name))
        if task is not None and task.ended and not (Path(pipeline.directory) / spec.sink).exists():
            lost[sink_task(spec.name)] = f"{spec.sink} is not there any more"
    return lost


def programs(layout: Layout, plan: Plan) -> list[str]:
    """The tasks of the plan that are processes of their own."""
    return [name for name in plan.pending if layout.tasks[name].kind in (TaskKind.RUN, TaskKind.SQL) and name not in plan.places]


def has_adapters(layout: Layout, plan: Plan) -> bool:
    """Whether the plan has a source or a sink in it; in a run that follows, any source is watched."""
    kinds = {layout.tasks[name].kind for name in plan.pending}
    return bool(kinds & {TaskKind.SOURCE, TaskKind.SINK}) or (
        plan.follow and TaskKind.SOURCE in {shape.kind for shape in layout.tasks.values()}
    )
