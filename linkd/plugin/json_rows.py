"""JSON values as links have them: the types they suggest, how they are read for a column, and rows written as JSON lines."""

from __future__ import annotations

from linkd.core.json_inference import Differs, json_type, unified
from linkd.core.json_values import Unfit, has_json_form, reader, storage_type
from linkd.core.rows import batch_to_rows

__all__ = ["Differs", "Unfit", "batch_to_rows", "has_json_form", "json_type", "reader", "storage_type", "unified"]
