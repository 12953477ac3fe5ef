"""From a pipeline file to what a home serves."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from linkd.app.pipeline_file import Settings, load_pipeline
from linkd.core.layout import Layout, layout
from linkd.core.pipeline import Pipeline


def layout_of(path: Path, params: Mapping[str, str]) -> Layout:
    """The layout of the pipeline file at `path`, with these parameters in place of its own. Raises PipelineFileInvalid."""
    pipeline = load_pipeline(path, Settings(params, None))
    return layout(pipeline, declared_schemas(pipeline))


def declared_schemas(pipeline: Pipeline) -> Mapping[str, tuple[bytes, bytes]]:
    """(schema id, schema message) of each link whose `schema:` the file declares."""
    declared = {name: spec.schema for name, spec in pipeline.links.items() if spec.schema is not None}
    if not declared:
        return {}
    import pyarrow as pa

    from linkd.core.schema import parse_type
    from linkd.wire.arrow_ipc import schema_id

    messages = {}
    for name, columns in declared.items():
        message = pa.schema([pa.field(column, parse_type(kind)) for column, kind in columns.items()]).serialize().to_pybytes()
        messages[name] = (schema_id(message), message)
    return messages
