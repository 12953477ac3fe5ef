"""The JSON Schema (draft 2020-12) of the pipeline file, for editors: from the same tables of keys that the file is read by.

It is wider than what is accepted: an editor completes keys and shows what they mean, and `linkd check` says what is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from linkd.core.durations import DURATION_PATTERN
from linkd.core.file_keys import LINK_KEYS, TASK_KEYS, TASK_KINDS, TOP_KEYS
from linkd.core.file_terms import FILE_FORMATS, FILE_MODES, PIPE_COMMITS
from linkd.core.names import NAME_PATTERN
from linkd.core.sizes import SIZE_PATTERN
from linkd.limits import ATTEMPTS_MAX, TASK_ENV_MAX, TASK_PARALLEL_MAX, TASK_RETRIES_MAX, TASK_VERSION_MAX_CHARS
from linkd.model.terms import Handover, OnFull, Order
from linkd.model.values import Durability

JsonSchema = dict[str, Any]

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_NAME = f"^{NAME_PATTERN.pattern}$"
_SCALAR: JsonSchema = {"type": ["string", "number", "boolean"]}
"""linkd takes what is written for a text, and an editor that reads YAML for a number."""
_TEXT: JsonSchema = {"type": "string", "minLength": 1}
_FLAG: JsonSchema = {"type": "boolean"}
_DURATION: JsonSchema = {"type": "string", "pattern": rf"^({DURATION_PATTERN}|.*\$\{{params\..*)$"}
_SIZE: JsonSchema = {"type": "string", "pattern": rf"^({SIZE_PATTERN}|.*\$\{{params\..*)$"}
_ON_CHANGE: JsonSchema = {"enum": ["rerun", "continue"]}


def _of_wires(words: tuple[str, ...]) -> JsonSchema:
    """A word for each wire of a task."""
    return {"type": "object", "minProperties": 1, "propertyNames": {"pattern": _NAME}, "additionalProperties": {"enum": list(words)}}


_OF_LINKS: Mapping[str, JsonSchema] = {
    "from": _TEXT,
    "to": _TEXT,
    "format": {"anyOf": [{"enum": ["csv", "jsonl", "parquet", "arrow"]}, _TEXT]},
    "nulls": {"type": "array", "items": {"type": ["string", "number", "boolean", "null"]}},
    "schema": {"type": "object", "minProperties": 1, "additionalProperties": _TEXT},
    "on_bad_row": {"enum": ["stop", "reject"]},
    "header": _FLAG,
    "separator": {"type": "string", "minLength": 1, "maxLength": 3},
    "quote": {"type": "string", "maxLength": 3},
    "encoding": _TEXT,
    "decimal": {"enum": [".", ","]},
    "mode": {"enum": ["replace", "append", "upsert", "parts"]},
    "query": _TEXT,
    "key": {"anyOf": [_TEXT, {"type": "array", "items": _TEXT, "minItems": 1}]},
    "overwrite": _FLAG,
    "every": _DURATION,
    "durability": {"enum": list(Durability)},
    "interval": _DURATION,
    "retain": {
        "anyOf": [
            _DURATION,
            {
                "type": "object",
                "properties": {"age": _DURATION, "size": _SIZE, "values": {"type": "integer", "minimum": 0}, "hard": _FLAG},
                "additionalProperties": False,
            },
        ]
    },
    "bound": _SIZE,
    "on_full": {"enum": list(OnFull)},
    "handover": {"enum": list(Handover)},
}
_OF_TASKS: Mapping[str, JsonSchema] = {
    "run": {"anyOf": [_TEXT, {"type": "array", "items": _SCALAR, "minItems": 1}]},
    "pipe": _TEXT,
    "sql": _TEXT,
    "files": {"anyOf": [{"enum": list(FILE_MODES)}, _of_wires(FILE_MODES)]},
    "format": {"anyOf": [{"enum": list(FILE_FORMATS)}, _of_wires(FILE_FORMATS)]},
    "header": _FLAG,
    "each": _FLAG,
    "parallel": {"type": "integer", "minimum": 1, "maximum": TASK_PARALLEL_MAX},
    "commit": {"enum": list(PIPE_COMMITS)},
    "cache": _FLAG,
    "env": {
        "type": "object",
        "maxProperties": TASK_ENV_MAX,
        "propertyNames": {"pattern": "^(?!LINKD_)[A-Za-z_][A-Za-z0-9_]*$"},
        "additionalProperties": {"type": ["string", "number", "boolean", "null"]},
    },
    "retries": {"type": "integer", "minimum": 0, "maximum": TASK_RETRIES_MAX},
    "timeout": _DURATION,
    "on_change": _ON_CHANGE,
    "every": _DURATION,
    "order": {"enum": list(Order)},
    "key": _TEXT,
    "lease": _DURATION,
    "max_attempts": {"type": "integer", "minimum": 1, "maximum": ATTEMPTS_MAX},
    "version": {**_SCALAR, "maxLength": TASK_VERSION_MAX_CHARS},
}


def pipeline_json_schema() -> JsonSchema:
    """The schema, as a document of its own."""
    link = _mapping(LINK_KEYS, _OF_LINKS)
    task = _mapping(TASK_KEYS, _OF_TASKS) | {"oneOf": [{"required": [kind]} for kind in TASK_KINDS]}
    top = {
        "pipeline": {"type": "string", "pattern": _NAME},
        "params": _named({"type": ["string", "number", "boolean", "null"]}),
        "wiring": _TEXT,
        "links": _named(link),
        "tasks": _named(task),
        "on_change": _ON_CHANGE,
    }
    return {
        "$schema": _DIALECT,
        "title": "A pipeline of linkd",
        **_mapping(TOP_KEYS, top),
        "required": ["pipeline"],
    }


def _mapping(keys: Mapping[str, str], values: Mapping[str, JsonSchema]) -> JsonSchema:
    """A mapping of these keys and no others, each with what it says."""
    properties = {key: {"description": about, **values[key]} for key, about in keys.items()}
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _named(value: JsonSchema) -> JsonSchema:
    """A mapping by name; also what YAML has where nothing stands below a key."""
    return {"type": ["object", "null"], "propertyNames": {"pattern": _NAME}, "additionalProperties": value}
