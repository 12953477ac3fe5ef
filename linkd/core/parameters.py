"""Parameters of a pipeline: what `params:` declares, and what the command line says instead.

The type of a parameter is how its value is written: `2013` a whole number, `1.5` (or `1e3`) a number, `true` and `false`, and text in every
other case and in quotes. Whole numbers have 64 bits, as in a link.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping

from linkd.core.diagnostics import Span, one_of, with_suggestion
from linkd.core.document import Node, Reader, Text
from linkd.core.names import NAME_PATTERN
from linkd.core.pipeline import ParamValue
from linkd.limits import NAME_MAX_CHARS, PARAM_TEXT_MAX_CHARS

PARAMS_VARIABLE = "LINKD_PARAMS"
"""Where a SQL task finds `parameters_json`."""

_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]*)")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_BOOLEANS = {"true": True, "false": False}
_TYPE_NAMES: Mapping[type, str] = {int: "a whole number", float: "a number", bool: "`true` or `false`", str: "a text"}


def read_parameters(reader: Reader, node: Node | None, said: Mapping[str, str]) -> dict[str, ParamValue]:
    """The parameters of a file, with what was said on the command line (`-s name=value`) in place of the file's values."""
    found: dict[str, ParamValue] = {}
    spans: dict[str, Span] = {}
    for key, value_node in reader.record(node, "params", "params: {year: 2013}"):
        if not NAME_PATTERN.fullmatch(key.value):
            rule = f"lower-case letters, digits and `_`, a letter first, at most {NAME_MAX_CHARS} characters"
            reader.note(key.span, f"`{key.value}` cannot be the name of a parameter: names are {rule}")
            continue
        if not isinstance(value_node, Text):
            reader.text(value_node, f"params.{key.value}", f"{key.value}: 2013")
            continue
        spans[key.value] = value_node.span
        value = _declared(reader, key.value, value_node)
        if value is not None:
            found[key.value] = value
    for name, text in said.items():
        if name in spans:
            _replace(reader, found, name, text, spans[name])
        else:
            what = with_suggestion(f"`-s {name}=...`: the file declares no parameter `{name}`", name, spans)
            reader.note(None, what, f"parameters are {one_of(list(spans))}" if spans else "declare it: `params: {year: 2013}`")
    return found


def parameter_text(value: ParamValue) -> str:
    """A value as it is pasted into strings and passed to programs."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, float) else str(value)


def parameters_json(params: Mapping[str, ParamValue]) -> str:
    """All of them, typed, in one line: how they travel to a SQL task."""
    return json.dumps(dict(params), ensure_ascii=False, allow_nan=False, sort_keys=True)


def parse_parameters_json(text: str) -> dict[str, ParamValue]:
    """The inverse. Raises ValueError for what is none."""
    params = json.loads(text) if text else {}
    if not isinstance(params, dict) or not all(isinstance(value, str | int | float) for value in params.values()):
        raise ValueError("not a JSON object of texts, numbers and booleans")
    return params


def _declared(reader: Reader, name: str, text: Text) -> ParamValue | None:
    if text.style or not (_WHOLE.fullmatch(text.value) or _NUMBER.fullmatch(text.value) or text.value in _BOOLEANS):
        return _bounded(reader, name, text.value, text.span)
    kind = bool if text.value in _BOOLEANS else int if _WHOLE.fullmatch(text.value) else float
    value = _parse(text.value, kind)
    if value is not None:
        return value
    reader.note(text.span, f"`params.{name}` is a number that 64 bits cannot hold", "put it in quotes to have it as text")
    return None


def _replace(reader: Reader, found: dict[str, ParamValue], name: str, text: str, span: Span) -> None:
    if name not in found:
        return  # what the file says of it is wrong already
    kind = type(found[name])
    if kind is str:
        value: ParamValue | None = _bounded(reader, name, text, span)
    else:
        value = _parse(text, kind)
        if value is None:
            what = f"`-s {name}={text[:40]}`: `{name}` is {_TYPE_NAMES[kind]} here, and that is none"
            reader.note(span, what, "put the value in the file in quotes to have the parameter as text")
    if value is not None:
        found[name] = value


def _bounded(reader: Reader, name: str, text: str, span: Span) -> str | None:
    if len(text) > PARAM_TEXT_MAX_CHARS or "\0" in text:
        what = f"the parameter `{name}` has {len(text):,} characters" if "\0" not in text else f"the parameter `{name}` has a NUL in it"
        reader.note(span, what, f"it has {PARAM_TEXT_MAX_CHARS:,} at most: put data into a file, and the file's name here")
        return None
    return text


def _parse(text: str, kind: type) -> ParamValue | None:
    if kind is bool:
        return _BOOLEANS.get(text)
    if kind is int:
        if not _WHOLE.fullmatch(text) or len(text) > 20:
            return None
        value = int(text)
        return value if -(2**63) <= value < 2**63 else None
    if not _NUMBER.fullmatch(text) or (_WHOLE.fullmatch(text) and len(text) > 20):
        return None
    number = float(text)
    return number if math.isfinite(number) else None
