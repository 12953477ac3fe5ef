"""Options that several verbs have, so that they read the same everywhere."""

from __future__ import annotations

from typing import Annotated

import typer

PipelineOption = Annotated[
    str | None,
    typer.Option(
        "-p",
        "--pipeline",
        metavar="FILE|DIR|ENDPOINT",
        help="Which pipeline; else LINKD_ENDPOINT, else the one pipeline file here or in a parent directory.",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
QuietOption = Annotated[bool, typer.Option("-q", "--quiet", help="Print nothing beside the result.")]
VerboseOption = Annotated[bool, typer.Option("-v", "--verbose", help="Say more; show the traceback of a defect.")]
FormatOption = Annotated[
    str | None,
    typer.Option("--format", metavar="FORMAT", help="csv, jsonl, parquet or arrow; else by the name of the file.", show_default=False),
]
OutputOption = Annotated[
    str | None, typer.Option("-o", "--output", metavar="FILE", help="Write to this file, in place of what is there.", show_default=False)
]
