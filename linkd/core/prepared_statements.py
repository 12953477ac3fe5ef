"""Prepared statements that clients have opened: bounded for each identity, forgotten when nobody uses them. Pure."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field, replace

from linkd.core.rights import Identity
from linkd.errors import InvalidArgument, ValueTooLarge
from linkd.limits import (
    PREPARED_STATEMENT_IDLE_S,
    PREPARED_STATEMENTS_MAX,
    PREPARED_STATEMENTS_MAX_BYTES,
    STATEMENT_PARAMETERS_MAX_BYTES,
)
from linkd.model.frozen import frozen


@frozen()
class PreparedStatement:
    """A statement that was checked once. `schema` is the schema message of its rows, empty for one that inserts.

    `bound` are the parameters of its next run, an Arrow IPC stream; empty before any are bound.
    """

    text: str
    schema: bytes
    bound: bytes = b""

    @property
    def is_query(self) -> bool:
        return bool(self.schema)

    @property
    def size_bytes(self) -> int:
        return len(self.text.encode(errors="replace")) + len(self.schema) + len(self.bound)


@dataclass(slots=True)
class _Opened:
    statement: PreparedStatement
    used_at_s: float


@dataclass(slots=True)
class _Owned:
    """Those of one identity, the least recently used first."""

    opened: OrderedDict[bytes, _Opened] = field(default_factory=OrderedDict)
    size_bytes: int = 0

    def take(self, handle: bytes) -> _Opened | None:
        found = self.opened.pop(handle, None)
        if found is not None:
            self.size_bytes -= found.statement.size_bytes
        return found

    def put(self, handle: bytes, statement: PreparedStatement, now_s: float) -> None:
        self.opened[handle] = _Opened(statement, now_s)
        self.size_bytes += statement.size_bytes

    def shrink(self, now_s: float) -> None:
        """Forgets what is idle, and what is beyond the bounds; the newest stays."""
        while self.opened:
            handle, oldest = next(iter(self.opened.items()))
            is_beyond = len(self.opened) > PREPARED_STATEMENTS_MAX or self.size_bytes > PREPARED_STATEMENTS_MAX_BYTES
            if oldest.used_at_s + PREPARED_STATEMENT_IDLE_S > now_s and not (is_beyond and len(self.opened) > 1):
                return
            self.take(handle)


class PreparedStatements:
    """Those of one home. A handle is of use only to the identity that was given it."""

    def __init__(self) -> None:
        self._owned: dict[Identity, _Owned] = {}

    def open(self, who: Identity, handle: bytes, statement: PreparedStatement, now_s: float) -> None:
        """Keeps a statement under a handle that was never given before."""
        self._owned.setdefault(who, _Owned()).put(handle, statement, now_s)
        for owner, owned in list(self._owned.items()):  # tasks of runs that are over ask for nothing any more
            owned.shrink(now_s)
            if not owned.opened:
                del self._owned[owner]

    def use(self, who: Identity, handle: bytes, now_s: float) -> PreparedStatement:
        """The statement of a handle. Raises InvalidArgument if it was closed, or forgotten, or is somebody else's."""
        return self._used(who, handle, now_s, None)

    def bind(self, who: Identity, handle: bytes, parameters: bytes, now_s: float) -> None:
        """Gives the next run its parameters, in place of those that were bound before. Raises InvalidArgument, ValueTooLarge."""
        if len(parameters) > STATEMENT_PARAMETERS_MAX_BYTES:
            raise ValueTooLarge(
                f"the parameters take {len(parameters):,} bytes; at most {STATEMENT_PARAMETERS_MAX_BYTES:,} come with one statement"
            )
        self._used(who, handle, now_s, parameters)

    def close(self, who: Identity, handle: bytes) -> None:
        """Forgets it; nothing if it is forgotten already."""
        owned = self._owned.get(who)
        if owned is None:
            return
        owned.take(handle)
        if not owned.opened:
            del self._owned[who]

    def _used(self, who: Identity, handle: bytes, now_s: float, parameters: bytes | None) -> PreparedStatement:
        owned = self._owned.get(who, _Owned())
        owned.shrink(now_s)
        found = owned.take(handle)
        if found is None:
            raise InvalidArgument(
                "this prepared statement is not open any more: it was closed, nobody used it for "
                f"{PREPARED_STATEMENT_IDLE_S / 60:.0f} minutes, linkd was restarted, or there were too many; prepare it again"
            )
        statement = found.statement if parameters is None else replace(found.statement, bound=parameters)
        owned.put(handle, statement, now_s)
        owned.shrink(now_s)
        return statement
