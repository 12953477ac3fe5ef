"""The words of linkd as frozen values: what a link holds (`values`) and what a journal frame says (`records`).

`frozen` is what makes a class one of theirs, here and above.

No behaviour beyond what the values mean, no I/O, no protobuf: everything above imports this, and this imports only `errors` and `limits`.
"""

from linkd.model.values import (
    OUTSIDER,
    Durability,
    Envelope,
    Parent,
    Place,
    PlaceKind,
    Portion,
    Position,
    Producer,
    value_id_text,
)

__all__ = [
    "OUTSIDER",
    "Durability",
    "Envelope",
    "Parent",
    "Place",
    "PlaceKind",
    "Portion",
    "Position",
    "Producer",
    "value_id_text",
]
