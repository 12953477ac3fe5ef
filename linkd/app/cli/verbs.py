"""The verbs of the command line: a table for the help, and the modules behind it, each imported when its verb is asked for.

The verb NAME is the function NAME in `linkd.app.cli.NAME`; the first line of its docstring is the text beside it in the help. A new verb is a
file there and a line in `VERBS`. Importing this module imports typer.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from linkd.core.diagnostics import with_suggestion
from linkd.model.frozen import frozen


@frozen()
class Verb:
    """What the help says of a verb: under which heading, in one line, and with which example."""

    heading: str
    name: str
    summary: str
    example: str


VERBS = {
    verb.name: verb
    for verb in (
        Verb("Start", "init", "Make the flights example, ready to run.", "linkd init demo"),
        Verb("Start", "check", "Check a pipeline file, running nothing.", "linkd check flights.yaml"),
        Verb("Start", "run", "Make every output of a pipeline current.", "linkd run flights.yaml"),
        Verb("Start", "env", "Print what a program needs to take a task's place.", "eval $(linkd env clean)"),
        Verb("Look", "ls", "List links, tasks, subscriptions and leases.", "linkd ls -p flights.yaml"),
        Verb("Look", "tail", "Print the last rows of a link, and with -f what comes.", "linkd tail flown -n 20 -f"),
        Verb("Look", "logs", "Print what a task printed.", "linkd logs clean -f"),
        Verb("Look", "top", "Watch links and tasks live.", "linkd top -p flights.yaml"),
        Verb("Look", "graph", "Draw the pipeline.", "linkd graph --svg flights.svg"),
        Verb("Look", "schema", "Print the columns of a link.", "linkd schema flown --yaml"),
        Verb("Data", "sql", "Ask the links one SELECT, or INSERT INTO a link.", 'linkd sql "SELECT count(*) FROM flown"'),
        Verb("Data", "cat", "Write the values of a link to a file or a pipe.", "linkd cat flown --format parquet -o flown.parquet"),
        Verb("Data", "append", "Append a file's rows to an open link.", "linkd append events new.csv"),
        Verb("Explain", "trace", "Tell where a value comes from.", "linkd trace totals@last"),
        Verb(
            "Operate",
            "serve",
            "Serve links on a unix socket, and on TCP where --listen says so.",
            "linkd serve --pipeline flights.yaml --http-port 9090",
        ),
        Verb("Operate", "seek", "Move a consumer group to another place of its link.", "linkd seek alerts flown --to earliest"),
        Verb("Operate", "verify", "Read everything that is kept, and say what is damaged.", "linkd verify -p flights.yaml"),
        Verb("Operate", "repair", "Mend what is damaged, and say what is lost.", "linkd repair -p flights.yaml --yes"),
        Verb("Operate", "backup", "Copy what a pipeline keeps, consistently, while it runs or not.", "linkd backup /backups/flights"),
        Verb("Operate", "restore", "Bring a backup back, into a directory without state.", "linkd restore /backups/flights"),
        Verb("Operate", "doctor", "See whether machine and directory are fit for linkd.", "linkd doctor -p flights.yaml"),
        Verb("Operate", "upgrade", "Take a directory to this linkd's newest format.", "linkd upgrade -p flights.yaml"),
    )
}
"""In the order of the help."""

SETTINGS: dict[str, Any] = {"help_option_names": ["-h", "--help"]}


class VerbCommand(TyperCommand):
    """One verb."""

    def get_params(self, ctx: Any) -> Any:
        return _light(super().get_params(ctx))


class VerbGroup(TyperGroup):
    """The group of all verbs: lists them from the table, and makes the one that is asked for."""

    def get_params(self, ctx: Any) -> Any:
        return _light(super().get_params(ctx))

    def list_commands(self, ctx: Any) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        return command_of(VERBS[cmd_name]) if cmd_name in VERBS else None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args[0] not in VERBS and not args[0].startswith("-"):
            ctx.fail(with_suggestion(f"there is no verb `{args[0]}`", args[0], VERBS))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        widest = max(map(len, VERBS))
        for heading in dict.fromkeys(verb.heading for verb in VERBS.values()):
            with formatter.section(heading):
                formatter.write_dl([(f"{verb.name:<{widest}}", verb.summary) for verb in VERBS.values() if verb.heading == heading])


def command_of(verb: Verb) -> Any:
    """The command behind a verb, from its module."""
    from linkd.app.cli.conclusion import conclude

    function = getattr(import_module(f"linkd.app.cli.{verb.name}"), verb.name)
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False, context_settings=SETTINGS)
    app.command(name=verb.name, cls=VerbCommand, epilog=f"Example: {verb.example}")(conclude(function))
    return get_command(app)


class _Unchecked:
    """Stands in for typer's check of a parameter: what is not given stays away, and the rest is as it was written."""

    def __init__(self, kind: type) -> None:
        self._kind = kind

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        return None if value is None else self._kind(value)


class _CheckedIfGiven:
    """Stands in for typer's check until there is something to check."""

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        if value is None or value == () or value is param.default:
            return value
        param._runtime_param = None
        return param.get_runtime_param().coerce(value, param=param, ctx=ctx)


def _light(parameters: list[Any]) -> list[Any]:
    """The parameters, of which flags, texts and paths are not checked, for there is nothing to check, and others only if they are given.

    Newer versions of typer check with pydantic, whose import alone takes longer than most verbs do. Older ones have no such place, and
    their parameters stay as they are.
    """
    for parameter in parameters:
        descriptor = getattr(parameter, "type_descriptor", None)
        if descriptor is None or getattr(parameter, "_runtime_param", parameter) is not None:
            continue
        if descriptor.annotation in (bool, str, Path) and not parameter.multiple and parameter.nargs == 1:
            parameter._runtime_param = _Unchecked(descriptor.annotation)
        else:
            parameter._runtime_param = _CheckedIfGiven()
    return parameters
