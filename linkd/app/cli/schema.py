"""`linkd schema LINK`: the columns of a link; `--yaml` to be pasted into the pipeline file, `--editor` for its editor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from linkd.app.cli.options import JsonOption, PipelineOption, QuietOption, VerboseOption
from linkd.app.cli.target import ask, readable_target
from linkd.errors import LinkNotFound, UsageFault

if TYPE_CHECKING:
    import pyarrow as pa

    from linkd.client.description import LinkDescription


def schema(
    link: Annotated[str | None, typer.Argument(metavar="LINK", help="The link to look at.", show_default=False)] = None,
    yaml: Annotated[bool, typer.Option("--yaml", help="As a `schema:` block for the pipeline file.")] = False,
    editor: Annotated[bool, typer.Option("--editor", help="Instead: the JSON Schema of pipeline files, for editors.")] = False,
    pipeline: PipelineOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Print the columns of a link.

    Their names, their types in the words of the pipeline file, and whether it declares them. Every column may hold nulls.
    """
    if editor:
        from linkd.app.cli.terminal import print_json
        from linkd.core.file_schema import pipeline_json_schema

        print_json(pipeline_json_schema())
        return
    if link is None:
        raise UsageFault("the schema of which link? linkd schema LINK; `linkd ls` shows the links")
    found = ask(readable_target(pipeline), lambda client: client.describe(link)).links[0]
    columns = _columns(found)
    if yaml:
        print(block(link, columns))
    elif json:
        from linkd.app.cli.terminal import print_json

        told = [{"name": name, "type": kind, "nullable": True} for name, kind in columns.items()]
        print_json({"link": link, "declared": found.declared, "columns": told})
    else:
        _print(found, columns, quiet=quiet)


def block(link: str, columns: dict[str, str]) -> str:
    """The columns as the pipeline file has them. Raises UsageFault for a type that it cannot declare."""
    from linkd.core.column_types import NoType, parse_column_type

    for name, kind in columns.items():
        if isinstance(parse_column_type(kind), NoType):
            raise UsageFault(f"{link}.{name} has type {kind}, which a pipeline file cannot declare: leave the schema of {link} to its data")
    inside = ", ".join(f"{_quoted(name)}: {_quoted(kind)}" for name, kind in columns.items())
    return f"links:\n  {_quoted(link)}: {{schema: {{{inside}}}}}"


def _quoted(text: str) -> str:
    """A word of YAML's flow style, in quotes where it would be read as anything else than this text."""
    import yaml

    try:
        plain = yaml.safe_load(f"{{{text}: {text}}}") == {text: text}
    except yaml.YAMLError:
        plain = False
    if plain:
        return text
    from json import dumps

    return dumps(text, ensure_ascii=False)


def _columns(found: LinkDescription) -> dict[str, str]:
    """The type of each column. Raises LinkNotFound while nothing is known."""
    if not found.schema:
        raise LinkNotFound(f"{found.name} has no columns yet: nothing was published to it, and the pipeline file declares none")
    import pyarrow as pa

    from linkd.core.arrow_types import type_text

    fields: pa.Schema = pa.ipc.read_schema(pa.py_buffer(found.schema))
    return {field.name: type_text(field.type) for field in fields}


def _print(found: LinkDescription, columns: dict[str, str], *, quiet: bool) -> None:
    from linkd.app.cli.cells import printable
    from linkd.app.cli.tables import Column, print_columns
    from linkd.app.cli.terminal import remark, result_console
    from linkd.app.wording import counted

    shown = [Column("column", [printable(name) for name in columns]), Column("type", [printable(kind) for kind in columns.values()])]
    print_columns(result_console(), shown)
    origin = "declared in the pipeline file" if found.declared else "as its data has them"
    remark(f"{found.name}: {counted(len(columns), 'column')}, {origin}; all may hold nulls", quiet=quiet)
