"""Column types as adapters need them: the type words of `schema:`, and the one plain form in which links keep values.

Words and forms are those of `linkd.core.arrow_types`; adapters see them here, since they see nothing below the contract.
"""

from __future__ import annotations

import pyarrow as pa

from linkd.core.arrow_types import parse_type, plain_schema, plain_type, type_text
from linkd.core.casts import CastLoses, lossless, plain_array
from linkd.errors import InvalidArgument
from linkd.plugin.contract import LinkOptions

__all__ = ["CastLoses", "declared_types", "declared_words", "lossless", "plain_array", "plain_schema", "plain_type", "type_text"]


def declared_types(options: LinkOptions) -> dict[str, pa.DataType] | None:
    """The types of `schema:` by column, or `None` if the link declares none.

    Raises `InvalidArgument` naming link, column and word.
    """
    if options.schema is None:
        return None
    types: dict[str, pa.DataType] = {}
    for column, word in options.schema.items():
        try:
            types[column] = parse_type(word)
        except InvalidArgument as error:
            raise InvalidArgument(f"links.{options.link}.schema.{column}: {error}") from error
    return types


def declared_words(message: bytes) -> dict[str, str] | None:
    """The types of a link, given by its schema message, as `schema:` would declare them; `None` where there is none yet, or a type has no word."""
    if not message:
        return None
    words = {field.name: type_text(field.type) for field in pa.ipc.read_schema(pa.py_buffer(message))}
    try:
        for word in words.values():
            parse_type(word)
    except InvalidArgument:
        return None
    return words
