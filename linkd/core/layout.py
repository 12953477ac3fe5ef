"""From a pipeline file to what a home serves: links with their writers, and tasks, among which sources and sinks are. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from linkd.core.dead_letters import DEAD_LETTER_TERMS, dead_link, is_dead_link
from linkd.core.links import LinkShape
from linkd.core.pipeline import REJECTS_SUFFIX, Pipeline
from linkd.core.rights import Rights
from linkd.core.tasks import EACH, SINK_PREFIX, SOURCE_PREFIX, WHOLE, TaskShape
from linkd.model.frozen import frozen
from linkd.model.records import TaskKind
from linkd.model.terms import LinkTerms


@frozen()
class Layout:
    """What a pipeline file means for a home: its links and tasks, sources and sinks among them, writers before readers."""

    name: str
    links: Mapping[str, LinkShape]
    tasks: Mapping[str, TaskShape]
    open_links: frozenset[str] = frozenset()
    anyone: bool = False
    pipeline: Pipeline | None = None

    @property
    def rights(self) -> Rights:
        return Rights(self.tasks, self.open_links, self.anyone)

    def terms(self, link: str) -> LinkTerms:
        """What is promised of `link`, whether the file knows it or not (all links of `--open`, dead-letter links of groups)."""
        shape = self.links.get(link)
        if shape is not None:
            return shape.terms
        return DEAD_LETTER_TERMS if is_dead_link(link) else LinkTerms()


OPEN = Layout("open", {}, {}, anyone=True)
"""`linkd serve --open`: no pipeline; whoever can open the socket creates links by using them."""


def layout(pipeline: Pipeline, declared: Mapping[str, tuple[bytes, bytes]]) -> Layout:
    """The layout of a pipeline file. `declared` has (schema id, schema message) of each link with a `schema:`."""
    tasks: dict[str, TaskShape] = {}
    links: dict[str, LinkShape] = {}
    for spec in pipeline.links.values():
        if spec.rejects_of is not None:
            writer = SOURCE_PREFIX + spec.rejects_of
        elif spec.source is not None:
            writer = SOURCE_PREFIX + spec.name
            outputs = [spec.name] + [f"{spec.name}{REJECTS_SUFFIX}"] * (spec.on_bad_row == "reject")
            tasks[writer] = TaskShape(writer, TaskKind.SOURCE, (), tuple(outputs))
        else:
            writer = spec.writer or ""
        links[spec.name] = LinkShape(spec.name, writer, declared.get(spec.name), spec.terms)
    for task in _writers_first(pipeline):
        if pipeline.tasks[task].terms.max_attempts is not None:
            links[dead_link(task)] = LinkShape(dead_link(task), task, terms=DEAD_LETTER_TERMS)
        inputs = tuple((wire.link, wire.policy) for wire in pipeline.tasks[task].inputs)
        told = pipeline.tasks[task]
        has_own_types = told.kind is TaskKind.SQL or told.files is not None
        tasks[task] = TaskShape(task, told.kind, inputs, told.outputs, told.terms, has_own_types)
    for spec in pipeline.links.values():
        if spec.sink is not None:
            name = SINK_PREFIX + spec.name
            policy = WHOLE if spec.mode == "replace" else EACH
            tasks[name] = TaskShape(name, TaskKind.SINK, ((spec.name, policy),), ())
    order = dict.fromkeys(name for task in tasks.values() for name in task.outputs)
    ordered = {name: links[name] for name in (*(n for n in links if n not in order), *order)}
    open_links = frozenset(spec.name for spec in pipeline.links.values() if spec.is_open)
    return Layout(pipeline.name, ordered, tasks, open_links, pipeline=pipeline)


def _writers_first(pipeline: Pipeline) -> list[str]:
    """The tasks in an order in which each comes behind those that write its inputs (the file has no cycles)."""
    ordered: dict[str, None] = {}
    waiting: list[str] = list(pipeline.tasks)[::-1]
    while waiting:
        name = waiting[-1]
        writers = [pipeline.links[wire.link].writer for wire in pipeline.tasks[name].inputs]
        before = [writer for writer in writers if writer is not None and writer not in ordered]
        if before and name not in ordered:
            waiting.extend(reversed(before))
        else:
            ordered.setdefault(waiting.pop())
    return list(ordered)
