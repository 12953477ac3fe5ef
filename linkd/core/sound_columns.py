"""Whether a batch that somebody else made is sound: no offset leads out of its column, every text is UTF-8. As Arrow looks, sooner for most texts.

Arrow looks at the characters of each row by themselves, and most rows are short. Where all characters of a column are ASCII, which one look at
them all says, every row's are, wherever it begins; what is left are the offsets, and Arrow looks at those alone where the texts are taken for bytes.
"""

from __future__ import annotations

import pyarrow as pa

from linkd.limits import TEXT_LOOKED_AT_BYTES


def check_columns(batch: pa.RecordBatch) -> None:
    """Raises `pa.ArrowInvalid` for what `batch.validate(full=True)` does."""
    batch.validate()
    for column in batch.columns:
        if column.type != pa.string() or not _is_long_ascii(column):
            column.validate(full=True)
        else:
            column.view(pa.binary()).validate(full=True)


def _is_long_ascii(column: pa.StringArray) -> bool:
    """Whether it is worth it, and there is no character beyond ASCII in what its rows lie in."""
    characters = column.buffers()[2]
    if characters is None or characters.size < TEXT_LOOKED_AT_BYTES:
        return False
    view = memoryview(characters)
    try:
        for at in range(0, len(view), TEXT_LOOKED_AT_BYTES):
            str(view[at : at + TEXT_LOOKED_AT_BYTES], "ascii")
    except UnicodeDecodeError:
        return False
    return True
