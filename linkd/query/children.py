"""Queries in processes of their own, seen from the home: start, pass the bytes on, end with the caller.

Between home and child (`query.child`): the child gets one JSON line on its standard input (`endpoint`, `token`, `sql`, `timeout_s`,
`spill_directory`, `traceparent`) and writes an Arrow IPC stream to its standard output. The last line of its standard error is a JSON
object: `rows` and `links` of what was read, or, if it exits with a code other than 0, `code` and `message` of the error tree. It is in a
process group of its own, which is killed when the caller goes.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path

from linkd import errors
from linkd.core.rights import Identity
from linkd.home.home import Home
from linkd.home.tokens import ADAPTERS_NAME, RUN_NAME
from linkd.limits import QUERIES_MAX, QUERY_PIECE_BYTES, QUERY_TEXT_MAX_BYTES, QUERY_TIMEOUT_S
from linkd.telemetry.events import OUTCOME_DONE, QueryRan
from linkd.telemetry.trace_context import format_traceparent, parse_traceparent


@dataclass(slots=True)
class Ran:
    """What the child tells of a query that went well."""

    rows: int = 0
    links: tuple[str, ...] = ()


@dataclass(slots=True)
class QueryChildren:
    """Runs at most `QUERIES_MAX` queries at once for one home, which serves at `endpoint`."""

    home: Home
    endpoint: str
    spill_directory: Path
    _places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(QUERIES_MAX))

    async def run(self, who: Identity, sql: str, timeout_s: float, traceparent: str) -> AsyncGenerator[bytes, None]:
        """The result as pieces of an Arrow IPC stream. Raises QueryInvalid, NotAllowed, LinkNotFound. Cancelling ends the child."""
        if len(sql.encode()) > QUERY_TEXT_MAX_BYTES:
            raise errors.QueryInvalid(f"the query has {len(sql):,} characters; at most {QUERY_TEXT_MAX_BYTES:,} bytes are taken")
        begun = self.home.begin_span(parse_traceparent(traceparent))
        began_s = self.home.clock.monotonic_s()
        outcome, ran = "cancelled", Ran()
        try:
            async with self._places:
                request = {
                    "endpoint": self.endpoint,
                    "token": self._token(who),
                    "sql": sql,
                    "timeout_s": timeout_s or QUERY_TIMEOUT_S,
                    "spill_directory": str(self.spill_directory),
                    "traceparent": format_traceparent(begun.context),
                }
                async with contextlib.aclosing(_pieces(request, ran)) as pieces:
                    async for piece in pieces:
                        yield piece
            outcome = OUTCOME_DONE
        except errors.Error as error:
            outcome = error.code
            raise
        finally:
            self.home.telemetry.emit(
                QueryRan(
                    task=who.name,
                    links=ran.links,
                    rows=ran.rows,
                    seconds=self.home.clock.monotonic_s() - began_s,
                    outcome=outcome,
                    span=self.home.end_span(begun),
                )
            )

    def _token(self, who: Identity) -> str:
        """The child acts for the caller, with the caller's rights and no others."""
        names = {"run": RUN_NAME, "adapters": ADAPTERS_NAME}
        name = names.get(str(who.role), who.task)
        return self.home.tokens.make(name, self.home.ledger.epoch) if name else ""


async def _pieces(request: dict[str, object], ran: Ran) -> AsyncGenerator[bytes, None]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "linkd.query.child",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
        env={name: value for name, value in os.environ.items() if not name.startswith("LINKD_")},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    complaints = asyncio.create_task(_last_line(process.stderr), name="linkd query: complaints")
    try:
        process.stdin.write(json.dumps(request).encode() + b"\n")
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):  # it died at once; its exit code says why
            await process.stdin.drain()
        process.stdin.close()
        while piece := await process.stdout.read(QUERY_PIECE_BYTES):
            yield piece
        code = await process.wait()
        if code != 0:
            raise _error(code, await complaints)
        told = json.loads(await complaints)
        ran.rows, ran.links = told["rows"], tuple(told["links"])
    finally:
        complaints.cancel()
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


async def _last_line(stream: asyncio.StreamReader) -> bytes:
    """The last line that was written, however many came before it."""
    kept = b""
    while piece := await stream.read(QUERY_PIECE_BYTES):
        kept = (kept + piece)[-QUERY_PIECE_BYTES:]
    return kept.strip().rpartition(b"\n")[2]


def _error(code: int, line: bytes) -> errors.Error:
    try:
        told = json.loads(line)
        kind = errors.every_error()[told["code"]]
        return kind(told["message"])
    except (ValueError, KeyError, TypeError):
        what = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return errors.InternalFault(f"the process that ran the query ended with {what}; other queries and the links are not touched")
