"""`memo.db`: outcomes of snapshots by their keys (`core.memo`), in SQLite. What is lost of it is a miss, so it is never repaired: it is made anew.

    PRAGMA user_version = 1                      another number: the file is deleted and made again
    meta(key TEXT PRIMARY KEY, value)            'outcomes' and 'held_bytes': how many rows there are, and the bytes of their content; 'last_use'
    outcome_rows(key BLOB PRIMARY KEY, use, content, checksum)
                                                 `use` is the number of its last use; `checksum` is XXH3-64, as a signed integer, over key and
                                                 content

A `content` is

    n            4   length of what is said, big-endian
    said         n   a JSON object: "task"; "content", the digest of the snapshot in hex; "schemas", a list of [id, schema message in base64];
                     "values", a list of objects, for each value in order "link", "schema" (its number in the list), "attributes", "rows",
                     "size", "xxh3", "position" (incarnation, sequence), "id", "made_as", and "here", whether its payload follows
    payloads         of the values that are here, one behind the other

A row is written when the commit that it tells of is durable. WAL mode, synchronous=NORMAL: after power loss an older state.
"""

from __future__ import annotations

import base64
import json
import sqlite3
import threading
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import xxhash

from linkd.core.memo import Outcome, RememberedValue
from linkd.errors import StorageFailed
from linkd.limits import MEMO_HELD_MAX_BYTES, MEMO_OUTCOMES_MAX
from linkd.model.values import Position
from linkd.store.catalog_file import connect, translated

MEMO_FILE = "memo.db"
_VERSION = 1
_SCHEMA = f"""
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE outcome_rows (key BLOB PRIMARY KEY, use, content, checksum);
CREATE INDEX by_use ON outcome_rows (use);
PRAGMA user_version = {_VERSION};
"""
_LENGTH_BYTES = 4


class MemoFile:
    """The outcomes that a directory remembers. For any thread, one at a time. `close` it."""

    def __init__(self, path: Path, *, outcomes_max: int = MEMO_OUTCOMES_MAX, held_max_bytes: int = MEMO_HELD_MAX_BYTES) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._outcomes_max, self._held_max_bytes = outcomes_max, held_max_bytes
        with translated(path):
            if not _is_sound(path):
                _make(path)
            self._connection = connect(path)
            said = dict(self._connection.execute("SELECT key, value FROM meta"))
        self.outcomes: int = said["outcomes"]
        self.held_bytes: int = said["held_bytes"]
        self._last_use: int = said["last_use"]

    def find(self, key: bytes) -> Outcome | None:
        """What is remembered under this key, as it was kept; nothing if it is not what was written."""
        with self._lock, translated(self._path):
            row = self._connection.execute("SELECT content, checksum FROM outcome_rows WHERE key = ?", (key,)).fetchone()
        if row is None or not isinstance(row[0], bytes) or _checksum(key, row[0]) != row[1]:
            return None
        return _decoded(row[0])

    def keep(self, key: bytes, outcome: Outcome) -> None:
        """Remembers it, in place of what was under this key; what was used least makes room."""
        content = _encoded(outcome)
        with self._lock, translated(self._path), self._connection:
            self._drop(key)
            if len(content) <= self._held_max_bytes:
                self._last_use += 1
                row = key, self._last_use, content, _checksum(key, content)
                self._connection.execute("INSERT INTO outcome_rows VALUES (?, ?, ?, ?)", row)
                self.outcomes += 1
                self.held_bytes += len(content)
            while self.outcomes > self._outcomes_max or self.held_bytes > self._held_max_bytes:
                [(oldest,)] = self._connection.execute("SELECT key FROM outcome_rows ORDER BY use LIMIT 1").fetchall()
                self._drop(oldest)
            self._say()

    def used(self, keys: Sequence[bytes]) -> None:
        """These were recalled, in this order."""
        with self._lock, translated(self._path), self._connection:
            rows = [(self._last_use + number, key) for number, key in enumerate(keys, 1)]
            self._connection.executemany("UPDATE outcome_rows SET use = ? WHERE key = ?", rows)
            self._last_use += len(rows)
            self._say()

    def forget(self, key: bytes) -> None:
        """It turned out to be worth nothing."""
        with self._lock, translated(self._path), self._connection:
            self._drop(key)
            self._say()

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def _drop(self, key: bytes) -> None:
        """Within a transaction of the caller's, as `_say`."""
        row = self._connection.execute("SELECT length(content) FROM outcome_rows WHERE key = ?", (key,)).fetchone()
        if row is not None:
            self._connection.execute("DELETE FROM outcome_rows WHERE key = ?", (key,))
            self.outcomes -= 1
            self.held_bytes -= row[0]

    def _say(self) -> None:
        said = {"outcomes": self.outcomes, "held_bytes": self.held_bytes, "last_use": self._last_use}
        self._connection.executemany("UPDATE meta SET value = ? WHERE key = ?", [(value, key) for key, value in said.items()])


def _is_sound(path: Path) -> bool:
    """Whether there is a memo that this version of linkd reads."""
    if not path.exists():
        return False
    try:
        with closing(sqlite3.connect(path)) as connection:
            said = dict(connection.execute("SELECT key, value FROM meta"))
            numbers = [said.get(name) for name in ("outcomes", "held_bytes", "last_use")]
            version = connection.execute("PRAGMA user_version").fetchone()[0]
    except (sqlite3.DatabaseError, TypeError, ValueError):  # it is damaged: nothing of it is worth more than a miss
        return False
    return version == _VERSION and all(isinstance(number, int) for number in numbers)


def _make(path: Path) -> None:
    try:
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
    except OSError as problem:
        raise StorageFailed(f"{path} cannot be made anew: {problem.strerror}; delete it by hand") from problem
    with closing(connect(path)) as connection:
        connection.executescript(_SCHEMA)
        with connection:
            said = {"outcomes": 0, "held_bytes": 0, "last_use": 0}
            connection.executemany("INSERT INTO meta VALUES (?, ?)", said.items())


def _encoded(outcome: Outcome) -> bytes:
    schemas = list(dict.fromkeys((value.schema_id, value.schema) for value in outcome.values))
    values = [
        {
            "link": value.link,
            "schema": schemas.index((value.schema_id, value.schema)),
            "attributes": dict(value.attributes),
            "rows": value.rows,
            "size": value.size_bytes,
            "xxh3": value.payload_xxh3,
            "position": [value.position.incarnation, value.position.sequence],
            "id": value.value_id.hex(),
            "made_as": value.made_as,
            "here": value.payload is not None,
        }
        for value in outcome.values
    ]
    told = {
        "task": outcome.task,
        "content": outcome.content.hex(),
        "schemas": [[identity.hex(), base64.b64encode(schema).decode()] for identity, schema in schemas],
        "values": values,
    }
    said = json.dumps(told, separators=(",", ":")).encode()
    return b"".join((len(said).to_bytes(_LENGTH_BYTES, "big"), said, *(value.payload or b"" for value in outcome.values)))


def _decoded(content: bytes) -> Outcome:
    """Of a content whose checksum is right."""
    at = _LENGTH_BYTES + int.from_bytes(content[:_LENGTH_BYTES], "big")
    told = json.loads(content[_LENGTH_BYTES:at])
    schemas = [(bytes.fromhex(identity), base64.b64decode(schema)) for identity, schema in told["schemas"]]
    values: list[RememberedValue] = []
    for one in told["values"]:
        payload = content[at : at + one["size"]] if one["here"] else None
        at += len(payload or b"")
        values.append(_value(one, schemas[one["schema"]], payload))
    return Outcome(told["task"], bytes.fromhex(told["content"]), tuple(values))


def _value(said: dict[str, Any], schema: tuple[bytes, bytes], payload: bytes | None) -> RememberedValue:
    return RememberedValue(
        link=said["link"],
        schema_id=schema[0],
        schema=schema[1],
        attributes=said["attributes"],
        rows=said["rows"],
        size_bytes=said["size"],
        payload_xxh3=said["xxh3"],
        position=Position(*said["position"]),
        value_id=bytes.fromhex(said["id"]),
        made_as=said["made_as"],
        payload=payload,
    )


def _checksum(key: bytes, content: bytes) -> int:
    """Over a row, as SQLite's signed integer."""
    number = xxhash.xxh3_64_intdigest(key + content)
    return number - 2**64 if number >= 2**63 else number
