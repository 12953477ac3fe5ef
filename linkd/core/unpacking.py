"""How large dictionary-encoded columns are when they are decoded: a text of a dictionary is there once, and as often as there are rows with it."""

from __future__ import annotations

import pyarrow as pa

from linkd.core import arrow_compute as pc
from linkd.core.arrow_types import is_varying_list
from linkd.errors import InvalidArgument


def unpacked_bytes(batch: pa.RecordBatch) -> int:
    """Of all columns. Raises InvalidArgument for a dictionary of lists or structs, and for one within a map. The batch was validated."""
    sizes: list[int] = [_unpacked(column) for column in batch.columns]
    return sum(sizes)


def _unpacked(array: pa.Array) -> int:
    kind = array.type
    if not _has_dictionary(kind):
        return int(array.nbytes)
    if isinstance(kind, pa.BaseExtensionType):
        return _unpacked(array.storage)
    if pa.types.is_dictionary(kind):
        return _of_dictionary(array)
    if pa.types.is_struct(kind):
        children: list[int] = [_unpacked(child) for child in array.flatten()]
        return len(array) + sum(children)
    if is_varying_list(kind) or pa.types.is_fixed_size_list(kind):
        return 8 * len(array) + _unpacked(array.flatten())
    raise _refused(kind)


def _of_dictionary(array: pa.DictionaryArray) -> int:
    values, types = array.dictionary, pa.types
    if types.is_boolean(values.type) or types.is_primitive(values.type) or types.is_fixed_size_binary(values.type):
        return int(len(array) * max(8, values.type.bit_width)) // 8
    is_text = types.is_string(values.type) or types.is_large_string(values.type) or types.is_string_view(values.type)
    is_bytes = types.is_binary(values.type) or types.is_large_binary(values.type) or types.is_binary_view(values.type)
    if not is_text and not is_bytes:
        raise _refused(array.type)
    lengths = pc.cast(pc.binary_length(values), pa.int64())
    return 4 * len(array) + int(pc.sum(pc.take(lengths, array.indices)).as_py() or 0)


def _refused(kind: pa.DataType) -> InvalidArgument:
    return InvalidArgument(
        f"a column is dictionary-encoded in a way that is not taken ({kind}): send it decoded, column.dictionary_decode()"
    )


def _has_dictionary(kind: pa.DataType) -> bool:
    if isinstance(kind, pa.BaseExtensionType):
        return _has_dictionary(kind.storage_type)
    return bool(pa.types.is_dictionary(kind)) or any(_has_dictionary(kind.field(index).type) for index in range(kind.num_fields))
