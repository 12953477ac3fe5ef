"""What the connections to databases in files have in common, whatever library opens them by Python's DB API (PEP 249)."""

from __future__ import annotations

import contextlib
from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar

from linkd.errors import Error, InvalidArgument, PlaceAway
from linkd_adapters.sql.database import Session
from linkd_adapters.sql.location import SqlLocation


class FileSession(Session):
    """One connection to a file. `refusals` is the root of the errors of its library."""

    refusals: ClassVar[type[Exception]]

    def __init__(self, location: SqlLocation, *, reading: bool) -> None:
        self._connection: Any = None
        self._location = location
        assert location.path is not None
        if reading and not location.path.exists():
            raise InvalidArgument(
                f"{location.shown}: there is no file {location.path}; a path beside the pipeline file has two slashes before it"
            )
        with self._translated():
            self._connection = self._connected(reading=reading)

    @abstractmethod
    def _connected(self, *, reading: bool) -> Any:
        """A connection that is ready for statements. Raises what the library does."""

    @abstractmethod
    def _failed(self, error: Exception) -> Error:
        """What the library says, as an error of linkd."""

    @property
    def _open(self) -> Any:
        if self._connection is None:
            raise PlaceAway(f"{self._location.shown}: it was closed")
        return self._connection

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def execute(self, statement: str) -> None:
        with self._translated():
            self._open.execute(statement)

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        with self._translated():
            found: list[tuple[Any, ...]] = self._open.execute(statement).fetchall()
            return found

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except self.refusals as error:
            raise self._failed(error) from None
