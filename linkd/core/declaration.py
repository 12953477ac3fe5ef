"""The schema of the pipeline file: from a tree of texts to what it declares about links and tasks, or what is wrong with it.

    pipeline: NAME
    params: {NAME: VALUE, ...}
    wiring: TEXT                                    the grammar of `wiring`; without tasks it may be missing: then links that have no
                                                    source are for people and programs outside
    on_change: rerun | continue
    links:
      LINK: {from: TEXT, to: TEXT, format: TEXT, nulls: [TEXT, ...], schema: {COLUMN: TYPE, ...}, on_bad_row: stop | reject,
             header: true | false, separator: CHARACTER, quote: CHARACTER, encoding: CODEC, decimal: . | ",",
             mode: replace | append | upsert | parts, query: SELECT, key: COLUMN or [COLUMN, ...], overwrite: true | false, every: DURATION}
    tasks:
      TASK: {run: TEXT or [TEXT, ...], env: {NAME: TEXT, ...}, retries: NUMBER, timeout: DURATION, on_change: ..., every: DURATION, version: TEXT}
      TASK: {pipe: TEXT, format: csv | jsonl | raw, header: true | false, each: true | false, parallel: NUMBER, commit: run | line | none, env: ...}
      TASK: {run: ..., files: MODE or {WIRE: MODE, ...}, format: FORMAT or {WIRE: FORMAT, ...}, header: ..., each: ..., parallel: NUMBER}
            with MODE whole | stream, and FORMAT csv | jsonl | parquet | arrow | raw
      TASK: {sql: SELECT or PATH.sql, retries: ..., timeout: ..., on_change: ..., every: ..., version: TEXT}

Texts may hold placeholders (`substitution`). Whether links and tasks exist is decided in `assembly`, where the wiring is at hand.
"""

from __future__ import annotations

from collections.abc import Sequence

from linkd.core.declared import Declaration, Knowledge, LinkDeclaration, TaskDeclaration
from linkd.core.document import Node, Reader, Record
from linkd.core.file_keys import LATER_KEYS, TOP_KEYS
from linkd.core.link_keys import read_link
from linkd.core.names import name_problem
from linkd.core.parameters import read_parameters
from linkd.core.substitution import Substitution
from linkd.core.task_keys import read_on_change, read_task


def read_declaration(root: Record, knowledge: Knowledge, lines: Sequence[str] = ()) -> Declaration:
    """What the tree declares; with the `lines` of the file, problems inside a text point at their place.

    Never raises; what cannot be used is left out and is among the problems.
    """
    reader = Reader(lines)
    params = read_parameters(reader, {key.value: node for key, node in root.entries}.get("params"), knowledge.said)
    substitution = Substitution(reader, params, knowledge.surroundings)
    root = substitution.record(root)
    fields = reader.fields(root.entries, "a pipeline file", tuple(TOP_KEYS), LATER_KEYS)
    name = _pipeline_name(reader, fields.get("pipeline"))
    wiring = reader.text(fields.get("wiring"), "wiring", "wiring: |")
    links: dict[str, LinkDeclaration] = {}
    for key, node in reader.record(fields.get("links"), "links", "links: {flights: {from: flights.csv}}"):
        links[key.value] = read_link(reader, key, node, knowledge)
    on_change = read_on_change(reader, fields.get("on_change"), "on_change")
    tasks: dict[str, TaskDeclaration] = {}
    for key, node in reader.record(fields.get("tasks"), "tasks", 'tasks: {clean: {run: "python clean.py"}}'):
        tasks[key.value] = read_task(reader, key, node, params, on_change)
    if "wiring" not in fields and (tasks or not links or any(link.has_source and not link.is_copy for link in links.values())):
        reader.note(None, "the file wires nothing", "add `wiring: |`, and below it lines such as `(flights) clean (flown)`")
    return Declaration(name, wiring, links, tasks, tuple(reader.problems), params, tuple(substitution.secrets))


def _pipeline_name(reader: Reader, node: Node | None) -> str:
    if node is None:
        reader.note(None, "the file does not say which pipeline it is", "begin it with `pipeline: NAME`")
        return ""
    name = reader.text(node, "pipeline", "pipeline: flights")
    if name is None:
        return ""
    if found := name_problem(name.value, "pipeline"):
        reader.note(name.span, *found)
    return name.value
