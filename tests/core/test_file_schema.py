"""The JSON Schema for editors: as the file is read, and as the checked-in copy is."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from linkd.core.file_keys import LATER_KEYS, LINK_KEYS, TASK_KEYS, TOP_KEYS
from linkd.core.file_schema import pipeline_json_schema

ROOT = Path(__file__).parents[2]
COPY = ROOT / "docs" / "pipeline.schema.json"
TYPES: dict[str, Any] = {
    "string": str,
    "number": (int, float),
    "integer": int,
    "boolean": bool,
    "object": dict,
    "array": list,
    "null": type(None),
}

EVERY_KEY = """\
pipeline: flights
params: {year: 2013, rate: 1.5, deep: true, who: "x"}
on_change: rerun
wiring: |
  (flights, in_more* whole)  clean  (flown)
links:
  flights:
    {from: data/flights.csv, format: csv, nulls: [NA, 0, ~], schema: {carrier: string, day: date32}, on_bad_row: reject, header: false,
     separator: ";", quote: "", encoding: latin-1, decimal: ",", every: 500ms}
  flown: {to: out/, mode: parts, overwrite: true, every: 1m, durability: interval, interval: 250ms,
          retain: {age: 7d, size: 1GB, values: 9, hard: true}, bound: 64MiB, on_full: refuse, handover: copy}
  orders: {from: "postgresql://db/shop", query: SELECT 1 AS id, key: [id]}
tasks:
  clean: {run: [python, clean.py, 1], env: {TZ: UTC, N: 1}, retries: 2, timeout: 10m, on_change: continue, every: 10s, version: 1.4,
          order: key, key: day, lease: 1m, max_attempts: 3}
  tidy: {pipe: "grep -v NA", header: false, commit: line}
  score: {run: "Rscript score.R", files: {flown: stream, flights: whole}, format: raw, each: true, parallel: 4, cache: true}
  total: {sql: "SELECT 1 AS one"}
"""


def faults(value: Any, schema: dict[str, Any], at: str = "$") -> list[str]:
    """What the schema has against a value: as much of JSON Schema as ours uses, and KeyError for more."""
    found: list[str] = []
    for keyword, said in schema.items():
        found += [f"{at}: {fault}" for fault in CHECKS[keyword](value, said, schema)]
    if isinstance(value, dict):
        for key, item in value.items():
            below = schema.get("properties", {}).get(key, schema.get("additionalProperties", {}))
            found += faults(item, below, f"{at}.{key}") if isinstance(below, dict) else [] if below else [f"{at}: no key {key}"]
    if isinstance(value, list):
        for item in value:
            found += faults(item, schema.get("items", {}), f"{at}[]")
    return found


def _has_type(value: Any, said: Any) -> bool:
    names = [said] if isinstance(said, str) else said
    if isinstance(value, bool):
        return "boolean" in names
    return any(isinstance(value, TYPES[name]) for name in names)


def _unless(fine: bool, fault: str) -> list[str]:
    return [] if fine else [fault]


def _matching(value: Any, options: list[dict[str, Any]]) -> int:
    return sum(not faults(value, option) for option in options)


CHECKS: dict[str, Any] = {
    **dict.fromkeys(("$schema", "title", "description", "properties", "additionalProperties", "items"), lambda value, said, schema: []),
    "type": lambda value, said, schema: _unless(_has_type(value, said), f"not {said}"),
    "enum": lambda value, said, schema: _unless(value in said, f"not one of {said}"),
    "required": lambda value, said, schema: _unless(all(key in value for key in said), f"lacks {said}"),
    "pattern": lambda value, said, schema: _unless(not isinstance(value, str) or re.search(said, value) is not None, f"not {said}"),
    "minLength": lambda value, said, schema: _unless(not isinstance(value, str) or len(value) >= said, "too short"),
    "maxLength": lambda value, said, schema: _unless(not isinstance(value, str) or len(value) <= said, "too long"),
    "minItems": lambda value, said, schema: _unless(len(value) >= said, "too few"),
    "minProperties": lambda value, said, schema: _unless(len(value) >= said, "too few"),
    "maxProperties": lambda value, said, schema: _unless(len(value) <= said, "too many"),
    "minimum": lambda value, said, schema: _unless(value >= said, "too small"),
    "maximum": lambda value, said, schema: _unless(value <= said, "too large"),
    "propertyNames": lambda value, said, schema: [fault for key in value or () for fault in faults(key, said)],
    "anyOf": lambda value, said, schema: _unless(_matching(value, said) > 0, "none fits"),
    "oneOf": lambda value, said, schema: _unless(_matching(value, said) == 1, "not exactly one fits"),
}


def test_its_keys_are_those_that_the_file_is_read_by() -> None:
    schema = pipeline_json_schema()
    links, tasks = (schema["properties"][key]["additionalProperties"]["properties"] for key in ("links", "tasks"))
    assert (set(schema["properties"]), set(links), set(tasks)) == (set(TOP_KEYS), set(LINK_KEYS), set(TASK_KEYS))
    assert all(entry["description"] for entry in (*schema["properties"].values(), *links.values(), *tasks.values()))
    assert not LATER_KEYS & {*TOP_KEYS, *LINK_KEYS, *TASK_KEYS}


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*/*.yaml")), ids=lambda path: path.name)
def test_it_accepts_the_examples(path: Path) -> None:
    assert faults(yaml.safe_load(path.read_text(encoding="utf-8")), pipeline_json_schema()) == []


def test_it_accepts_every_key() -> None:
    document = yaml.safe_load(EVERY_KEY)
    used = {*document, *(key for name in ("links", "tasks") for entry in document[name].values() for key in entry)}
    assert used == {*TOP_KEYS, *LINK_KEYS, *TASK_KEYS}
    assert faults(document, pipeline_json_schema()) == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("nulls:", "null:"),
        ("retries: 2", "retries: -1"),
        ("timeout: 10m", "timeout: 10"),
        ("mode: parts", "mode: add"),
        ("flown: stream", "flown: fifo"),
        ("parallel: 4", "parallel: 0"),
        ('{sql: "SELECT 1 AS one"}', "{}"),
        ('{sql: "SELECT 1 AS one"}', '{sql: "SELECT 1 AS one", run: x}'),
        ("TZ: UTC", "LINKD_TASK: UTC"),
        ("pipeline: flights", "pipeline: My Flights"),
    ],
)
def test_it_refuses_slips(before: str, after: str) -> None:
    assert before in EVERY_KEY
    assert faults(yaml.safe_load(EVERY_KEY.replace(before, after, 1)), pipeline_json_schema())


def test_the_copy_in_docs_is_current() -> None:
    written = json.loads(COPY.read_text(encoding="utf-8"))
    assert written == pipeline_json_schema(), (
        "write it anew: linkd schema --editor | python -m json.tool --indent 2 > docs/pipeline.schema.json"
    )
