"""`pipeline-file.md`: every key that a pipeline file may have.

Keys and meanings are those of `linkd.core.file_keys`, types those of the JSON Schema for editors, defaults those of what a file without the
key declares. Only the examples are written here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from linkd.app.run import variables
from linkd.core import column_types, substitution
from linkd.core.declared import FilesDeclaration, LinkDeclaration, TaskDeclaration
from linkd.core.diagnostics import Span
from linkd.core.durations import duration_text
from linkd.core.file_keys import LATER_KEYS, LINK_KEYS, TASK_KEYS, TOP_KEYS
from linkd.core.file_schema import pipeline_json_schema
from linkd.core.link_keys import OF_CSV, OF_SINKS, OF_SOURCES
from pages.markdown import code, document, indented_block, table, ticked

WHOLE_FILE = """\
pipeline: flights
params: {year: 2013}
wiring: |
  (flights)          clean   (flown, cancelled)
  (flown, airlines)  sum_up  (totals)
links:
  flights:  {from: data/flights.csv.zip, nulls: [NA], on_bad_row: reject}
  airlines: {from: data/airlines.csv, schema: {carrier: string, name: string}}
  totals:   {to: out/totals.csv}
tasks:
  clean:  {run: "python clean.py --year ${params.year}", env: {TZ: UTC}, retries: 2, timeout: 10m}
  sum_up: {sql: "SELECT a.name AS airline, count(*) AS flights FROM flown JOIN airlines a USING (carrier) WHERE year = $year GROUP BY airline"}
"""

TOP_EXAMPLES = {
    "pipeline": "pipeline: flights",
    "params": "params: {year: 2013}",
    "wiring": 'wiring: "(flights) clean (flown)"',
    "links": "links: {flights: {from: data/flights.csv}}",
    "tasks": 'tasks: {clean: {run: "python clean.py"}}',
    "on_change": "on_change: continue",
}
LINK_EXAMPLES = {
    "from": 'from: "data/2013-*.csv"',
    "to": "to: out/totals.parquet",
    "format": "format: jsonl",
    "nulls": "nulls: [NA, -]",
    "schema": 'schema: {carrier: string, at: "timestamp[us, UTC]"}',
    "on_bad_row": "on_bad_row: reject",
    "header": "header: false",
    "separator": 'separator: ";"',
    "quote": 'quote: "\'"',
    "encoding": "encoding: latin-1",
    "decimal": 'decimal: ","',
    "mode": "mode: append",
    "query": 'query: "SELECT id, total FROM orders"',
    "key": "key: id",
    "overwrite": "overwrite: true",
    "every": "every: 1m",
    "durability": "durability: memory",
    "interval": "interval: 250ms",
    "retain": "retain: {age: 7d, size: 10GB}",
    "bound": "bound: 256MB",
    "on_full": "on_full: drop_oldest",
    "handover": "handover: copy",
}
TASK_EXAMPLES = {
    "run": "run: [python, clean.py]",
    "pipe": """pipe: "grep -v ',NA,'\"""",
    "sql": "sql: totals.sql",
    "files": "files: {flights: stream}",
    "format": "format: parquet",
    "header": "header: false",
    "each": "each: true",
    "parallel": "parallel: 4",
    "commit": "commit: line",
    "cache": "cache: false",
    "env": 'env: {PGPASSWORD: "${secret.DB}"}',
    "retries": "retries: 2",
    "timeout": "timeout: 10m",
    "on_change": "on_change: continue",
    "every": "every: 30s",
    "order": "order: key",
    "key": "key: carrier",
    "lease": "lease: 5m",
    "max_attempts": "max_attempts: 5",
    "version": 'version: "1.4"',
}
_NO_DEFAULT = {"from": "", "to": "", "run": "", "pipe": "", "sql": "", "pipeline": "", "wiring": "", "links": "", "tasks": "", "params": ""}
_DERIVED = {
    "format": "by the name",
    "schema": "from the data",
    "version": "a digest",
    "cache": "by what it is",
    "on_change": "by the run",
    "timeout": "none",
    "retain": "two generations",
    "key": "",
    "files": "",
}
_ATTRIBUTES = {"timeout": "timeout_s", "every": "every_s", "interval": "interval_s", "lease": "lease_s", "bound": "bound_bytes"}
_TYPES = {"string": "text", "array": "list", "integer": "number", "boolean": "`true` or `false`", "object": "mapping"}
HEADINGS = ("key", "type", "default", "example", "meaning")


def page() -> str:
    schema = pipeline_json_schema()["properties"]
    links, tasks = (schema[key]["additionalProperties"]["properties"] for key in ("links", "tasks"))
    place = Span(1, 1)
    return document(
        "The pipeline file",
        "YAML, one file a pipeline. `linkd check FILE` says all that is wrong with one, with line, column and remedy. Editors complete and "
        "check it by [pipeline.schema.json](../pipeline.schema.json), which `linkd schema --editor > pipeline.schema.json` writes too, as it is "
        "in the version that is installed: put `# yaml-language-server: $schema=pipeline.schema.json`, or another path, in the first line.",
        code(WHOLE_FILE, "yaml"),
        "Names of pipelines, links, tasks and parameters are lower-case letters, digits and `_`, a letter first, 40 characters at most. Files "
        "are relative to the pipeline file. Durations are a number and a unit: `500ms`, `10s`, `1.5h`, `2d`; sizes too: "
        "`500KB`, `64MiB`, `1.5GB`.",
        "## The file",
        table(HEADINGS, _rows(TOP_KEYS, schema, TOP_EXAMPLES, None)),
        "## links",
        "A link with both `from:` and `to:` needs no wire: it copies.",
        table(HEADINGS, _rows(LINK_KEYS, links, LINK_EXAMPLES, LinkDeclaration("link", place))),
        f"{_ticks(OF_SOURCES)} speak of sources, {_ticks(OF_SINKS)} of sinks; {_ticks(OF_CSV)} of CSV, `encoding` of CSV and JSON lines. "
        "CSV and JSON lines may be packed (`.gz`, `.zip`).",
        "### Types of columns",
        code(column_types.__doc__.partition("\n\n")[2] if column_types.__doc__ else ""),
        "## tasks",
        "A task has `run:`, `pipe:` or `sql:`. A text of `run:` and of `pipe:` goes to `sh -c` in the pipeline file's directory, with linkd's own "
        "Python first in `PATH` if no virtual environment is active. [Files and pipes](../files.md) says what programs that know only files "
        "meet.",
        table(HEADINGS, _rows(TASK_KEYS, tasks, TASK_EXAMPLES, TaskDeclaration("task", place, files=FilesDeclaration()))),
        "A program finds in its environment, beside what `env:` says:",
        code(indented_block(variables.__doc__)),
        "## Placeholders",
        code(indented_block(substitution.__doc__)),
        "A secret X is the environment variable X, or the content of the file that X_FILE names. It is `***` in all that is printed or logged.",
        "## Later",
        f"Known, and refused until they have a meaning: {_ticks(sorted(LATER_KEYS))}.",
    )


def _rows(
    keys: Mapping[str, str], schema: Mapping[str, Any], examples: Mapping[str, str], declared: LinkDeclaration | TaskDeclaration | None
) -> Iterator[tuple[str, ...]]:
    for key, meaning in keys.items():
        yield (ticked(key), _type(key, schema[key]), _default(key, declared), ticked(examples[key]), meaning)


def _type(key: str, schema: Mapping[str, Any]) -> str:
    """In words, as short as the JSON Schema of the value allows."""
    if key in ("every", "timeout", "interval", "lease"):
        return "duration"
    if key == "bound":
        return "size"
    if "enum" in schema:
        return ", ".join(ticked(choice) for choice in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys("text" if "enum" in each else _type(key, each) for each in schema["anyOf"]))
    kind = schema["type"] if isinstance(schema["type"], str) else schema["type"][0]
    return _TYPES[kind]


def _default(key: str, declared: LinkDeclaration | TaskDeclaration | None) -> str:
    """What holds where the key is not there."""
    if key in _NO_DEFAULT:
        return ""
    part = declared.dialect if isinstance(declared, LinkDeclaration) else declared.files if declared is not None else None
    if key in _DERIVED and not hasattr(part, key):
        return _DERIVED[key]
    owner = part if hasattr(part, key) else declared
    attribute = _ATTRIBUTES.get(key, key)
    terms = declared.terms if declared is not None else None
    value = getattr(terms if hasattr(terms, attribute) and not hasattr(owner, attribute) else owner, attribute)
    if isinstance(value, bool):
        return ticked(str(value).lower())
    if isinstance(value, float):
        return ticked(duration_text(value))
    return ticked(str(value)) if value or value == 0 else "none"


def _ticks(names: Any) -> str:
    return ", ".join(map(ticked, names))
