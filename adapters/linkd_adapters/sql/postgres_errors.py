"""What PostgreSQL and its driver say, as errors of linkd: once, here. Values and secrets stay out: of a row that is refused, only the place."""

from __future__ import annotations

import re
from typing import Any

from linkd.errors import Conflict, DataFault, Error, InvalidArgument, PlaceAway, SchemaMismatch, StorageFailed
from linkd_adapters.sql.location import SqlLocation

_LET_IN = ("password authentication failed", "no password supplied", "no pg_hba.conf entry", "does not exist", "is not permitted to log in")
_NO_HOST = ("Name or service not known", "No address associated")
_AWAY = frozenset({"57P01", "57P02", "57P03", "57P05", "53300", "25P03"})
"""Being shut down, crashed, starting up, idle for too long; all connections taken."""
_CONTENDED = frozenset({"40001", "40P01", "55P03"})
"""Serialization failure, deadlock, lock not available: the same again may succeed."""


def connecting_failed(location: SqlLocation, error: Exception) -> Error:
    """Why there is no connection."""
    said = _plain(location, error)
    if any(text in said for text in _LET_IN):
        return InvalidArgument(f"{location.shown}: the server does not let us in: {said}; correct the address, or what the secret holds")
    if any(text in said for text in _NO_HOST):
        return InvalidArgument(f"{location.shown}: {said}; correct the name of the host")
    if "invalid" in said and "URI" in said:
        return InvalidArgument(f"{location.shown}: it is not an address that PostgreSQL takes: {said}")
    return PlaceAway(f"{location.shown}: the database is away: {said}")


def failed(location: SqlLocation, error: Exception) -> Error:
    """Why a statement, or the reading or writing of rows, did not succeed."""
    state: str = getattr(error, "sqlstate", None) or ""
    said = _diagnostics(error)
    message = location.masked(said.get("PG_DIAG_MESSAGE_PRIMARY", "")) or _plain(location, error)
    shown = location.shown
    if state in _AWAY or state[:2] == "08" or (not state and _is_lost(message)):
        return PlaceAway(f"{shown}: the database went away: {message}")
    if state in _CONTENDED:
        return PlaceAway(f"{shown}: somebody else is at it: {message}")
    column = said.get("PG_DIAG_COLUMN_NAME", "")
    constraint = said.get("PG_DIAG_CONSTRAINT_NAME", "")
    if state == "23505":
        return Conflict(
            f"{shown}: a row is there already, by {constraint}; `mode: upsert` with `key:` replaces rows instead of adding them"
        )
    if state == "23502":
        return SchemaMismatch(f"{shown}: column {column} must have a value, and a row that comes has none")
    if state[:2] == "23":
        return DataFault(f"{shown}: a row that comes breaks {constraint or 'a constraint'} of the table")
    if state == "22P03" or state == "22P02":
        place = _place(said)
        return SchemaMismatch(
            f"{shown}: a value that comes is none of its column's type{place}; the column's type may have changed just now"
        )
    if state[:2] == "22":
        return SchemaMismatch(f"{shown}: a value does not fit its column{_place(said)}: {_without_values(message)}")
    if state[:2] == "53":
        return StorageFailed(f"{shown}: the server has no room: {message}")
    if state == "42501":
        return InvalidArgument(f"{shown}: {message}; grant it to this user")
    if state == "42804" or state == "42846":
        return SchemaMismatch(f"{shown}: {message}")
    return InvalidArgument(f"{shown}: PostgreSQL refuses: {message}")


def _diagnostics(error: Exception) -> dict[str, str]:
    details: Any = getattr(error, "details", None) or ()
    return {_text(name): _text(value) for name, value in details}


def _text(value: str | bytes) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _place(said: dict[str, str]) -> str:
    found = re.search(r"line (\d+), column (\S+)", said.get("PG_DIAG_CONTEXT", ""))
    return f" (column {found[2]}, row {int(found[1]):,} of what comes)" if found else ""


def _without_values(message: str) -> str:
    return re.sub(r'"[^"]*"', '"..."', message)


def _is_lost(message: str) -> bool:
    lost = (
        "server closed the connection",
        "no connection to the server",
        "connection to server",
        "terminating connection",
        "could not receive",
    )
    return any(
        text in message for text in (*lost, "could not send", "SSL connection has been closed", "Connection timed out", "timeout expired")
    )


def _plain(location: SqlLocation, error: Exception) -> str:
    """The driver's sentence without its prefixes, on one line."""
    said = location.masked(str(error)).partition("\n\nQuery was")[0]
    said = re.sub(r"^\w+: (\[libpq\] )?(Failed to connect: )?", "", said)
    said = re.sub(r'^connection to server (at|on) "?(.*?)"?(, port \d+)? failed: ', r"\2\3: ", said, flags=re.DOTALL)
    said = re.sub(r"\b(FATAL|ERROR): +", "", said)
    said = re.sub(r"\s*(Is the server running|This probably means).*", "", said, flags=re.DOTALL)
    return " ".join(said.split()).rstrip(".")
