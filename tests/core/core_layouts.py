"""Layouts of small pipelines, from their tasks alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from linkd.core.layout import Layout
from linkd.core.links import LinkShape
from linkd.core.tasks import TaskShape
from linkd.model.records import TaskKind


def pipeline(*tasks: TaskShape, outside: Iterable[str] = ()) -> Layout:
    """A layout of these tasks, writers first; `outside` are the links that outsiders append to."""
    links = {name: LinkShape(name, "") for name in outside}
    for task in tasks:
        links |= {name: LinkShape(name, task.name) for name in task.outputs}
    return Layout("p", links, {task.name: task for task in tasks}, frozenset(outside))


def source(link: str) -> TaskShape:
    return TaskShape(f"from:{link}", TaskKind.SOURCE, (), (link,))


def sink(link: str) -> TaskShape:
    return TaskShape(f"to:{link}", TaskKind.SINK, ((link, "whole"),), ())


def run_task(name: str, inputs: Mapping[str, str], *outputs: str) -> TaskShape:
    return TaskShape(name, TaskKind.RUN, tuple(inputs.items()), outputs)
