"""`cli.md`: every verb with its arguments and options, from the signatures and docstrings that the command line itself is made of."""

from __future__ import annotations

import enum
import inspect
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any, get_type_hints

from typer.models import ArgumentInfo, OptionInfo

from linkd.app.cli.verbs import VERBS, Verb
from linkd.core import value_names
from pages.error_tree import exit_codes
from pages.markdown import code, document, indented_block, prose, table, ticked

VARIABLES = {
    "LINKD_ENDPOINT": "The pipeline that is meant where there is no `-p`: an address, as tasks have it.",
    "LINKD_TOKEN_FILE": "The file with the token of the task that a client takes the place of (see `linkd env`).",
    "LINKD_DEBUG": "`1`: the traceback of a defect, as `-v` shows it.",
    "NO_COLOR": "Anything: no colours.",
    "XDG_STATE_HOME": "Below it lies the history of `linkd sql`; else below `~/.local/state`.",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "Where traces go to (and the other `OTEL_*` of OpenTelemetry); without it there are none.",
}


def page() -> str:
    headings = dict.fromkeys(verb.heading for verb in VERBS.values())
    overview = (
        (heading, ", ".join(f"[`{verb.name}`](#linkd-{verb.name})" for verb in VERBS.values() if verb.heading == heading))
        for heading in headings
    )
    return document(
        "The command line",
        "`linkd VERB --help` says the same in the terminal; `linkd --version` prints the version. Results go to standard output, remarks and "
        "errors to standard error. Looking works while a pipeline runs and when it does not, and never holds up a run.",
        table(("", "verbs"), overview),
        *(part for verb in VERBS.values() for part in _verb(verb)),
        "## Names of values",
        code(indented_block(value_names.__doc__)),
        "Both ends of an extent belong to it; an end that is missing is that of the generation.",
        "## Exit codes",
        exit_codes(),
        "## Environment",
        table(("variable", "meaning"), ((ticked(name), meaning) for name, meaning in VARIABLES.items())),
    )


def _verb(verb: Verb) -> Iterator[str]:
    function = getattr(import_module(f"linkd.app.cli.{verb.name}"), verb.name)
    infos = list(_parameters(function))
    arguments = [(name, info, default) for name, info, default in infos if isinstance(info, ArgumentInfo)]
    options = [(name, info, default) for name, info, default in infos if isinstance(info, OptionInfo) and not info.hidden]
    yield f"## linkd {verb.name}"
    yield prose(function.__doc__)
    usage = " ".join(["linkd", verb.name, "[OPTIONS]", *(_argument(info, default) for _, info, default in arguments)])
    yield code(f"{usage}\n\n$ {verb.example}")
    if arguments:
        yield table(("argument", "meaning"), ((ticked(str(info.metavar)), _meaning(info, default)) for _, info, default in arguments))
    yield table(("option", "meaning"), ((_spelling(name, info), _meaning(info, default)) for name, info, default in options))


def _parameters(function: Callable[..., Any]) -> Iterator[tuple[str, ArgumentInfo | OptionInfo, object]]:
    """What the verb takes: the name in Python, what is declared of it, and its default."""
    hints = get_type_hints(function, include_extras=True)
    for name, parameter in inspect.signature(function).parameters.items():
        for declared in getattr(hints[name], "__metadata__", ()):
            yield name, declared, parameter.default


def _argument(info: ArgumentInfo, default: object) -> str:
    """As usages have it: in brackets if it may be left out."""
    return str(info.metavar) if default is inspect.Parameter.empty else f"[{info.metavar}]"


def _spelling(name: str, info: OptionInfo) -> str:
    """As it is typed. What stands first in `typer.Option(...)` is a spelling too, where the default is that of the signature."""
    declared = [spelled for spelled in (info.default, *(info.param_decls or ())) if isinstance(spelled, str)]
    spelled = ", ".join(declared or [f"--{name.replace('_', '-')}"])
    return ticked(f"{spelled} {info.metavar or ('N' if info.min is not None else '')}".strip())


def _meaning(info: ArgumentInfo | OptionInfo, default: object) -> str:
    notes = []
    if isinstance(default, enum.Enum):
        notes.append(f"one of {', '.join(f'`{choice}`' for choice in type(default))}")
    if info.min is not None:
        notes.append(f"{info.min} to {info.max}" if info.max is not None else f"at least {info.min}")
    if default not in (None, False, inspect.Parameter.empty):
        notes.append(f"default `{default}`")
    return f"{info.help} ({'; '.join(notes)})" if notes else str(info.help)
