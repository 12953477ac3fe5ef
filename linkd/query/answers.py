"""What is known of statements, as the faces see it. Importing this imports neither DuckDB nor pyarrow."""

from __future__ import annotations

import enum

from linkd.model.frozen import frozen


class StatementKind(enum.StrEnum):
    """What a statement does."""

    SELECT = "select"
    INSERT = "insert"


@frozen()
class Prepared:
    """A statement that may run.

    `schema` is the Arrow schema message of the rows that a SELECT gives (of an INSERT empty), `parameters_schema` that of its parameters, which
    are named `1`, `2`, ... where they have no names; one that nothing decides is text. An INSERT is into `target`; `links` are what is read.
    """

    kind: StatementKind
    schema: bytes
    parameters: tuple[str, ...]
    parameters_schema: bytes
    target: str
    links: tuple[str, ...]
