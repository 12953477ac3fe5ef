"""What the pipeline file says of one end of a link, as its adapter takes it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from linkd.app.secrets import reveal
from linkd.core.pipeline import LinkSpec, Pipeline
from linkd.plugin.contract import LinkOptions


def link_options(
    pipeline: Pipeline, spec: LinkSpec, location: str, *, growing: bool = False, environ: Mapping[str, str] | None = None
) -> LinkOptions:
    """The options of `location`, which is the link's source or its sink. With `environ` its secrets are put in.

    Raises InvalidArgument for a secret that cannot be had.
    """
    revealed = location if environ is None else reveal(location, environ)
    return LinkOptions(
        link=spec.name,
        location=revealed,
        base=Path(pipeline.directory),
        format=spec.format,
        nulls=spec.nulls,
        schema=spec.schema,
        on_bad_row=spec.on_bad_row,
        dialect=spec.dialect,
        mode=spec.mode,
        overwrite=spec.overwrite,
        query=spec.query,
        key=spec.key,
        every_s=spec.every_s,
        growing=growing,
        written=location,
    )
