"""Statements over links, run for callers by processes of their own (`child_process`): at most so many at once, each for one identity.

A process that has ended its statement waits for the next one of the same identity, with what it has mapped: so a query costs milliseconds. One
that nobody needs for `idle_s` goes, and so does one whose place somebody else needs.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import ExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from linkd import errors
from linkd.core.names import COMMITS_LINK
from linkd.core.rights import Identity
from linkd.home import tables
from linkd.home.home import Home
from linkd.home.inserting import Insertion, insertion_target
from linkd.home.tables import Extent, TableAsked
from linkd.home.tokens import ADAPTERS_NAME, RUN_NAME
from linkd.limits import QUERIES_MAX, QUERIES_WAITING_MAX, QUERY_CHILD_IDLE_S, QUERY_TEXT_MAX_BYTES, QUERY_TIMEOUT_S
from linkd.query.answers import Prepared, StatementKind
from linkd.query.child_process import ChildProcess, answered
from linkd.query.remembered import Remembered, RememberedStatements
from linkd.telemetry.events import OUTCOME_DONE, QueryRan

_ROLE_NAMES = {"run": RUN_NAME, "adapters": ADAPTERS_NAME}


@dataclass(slots=True)
class _Call:
    """One statement on its way: what it reads stays where it is until `held` is closed."""

    who: Identity
    sql: str
    timeout_s: float
    traceparent: str
    parameters: bytes = b""
    target: str = ""
    extents: list[Extent] = field(default_factory=list)
    held: ExitStack = field(default_factory=ExitStack)
    outcome: dict[str, Any] = field(default_factory=dict)
    question: Mapping[str, Any] | None = None
    """What the process asked last, or what it will ask; `shape` are the schemas that it was answered."""
    shape: tuple[str, ...] = ()

    @property
    def links(self) -> tuple[str, ...]:
        return tuple(self.outcome.get("links", ()))


@dataclass(slots=True)
class QueryChildren:
    """Runs at most `QUERIES_MAX` statements at once for one home, which serves at `endpoint`; others wait in line."""

    home: Home
    endpoint: str
    spill_directory: Path
    idle_s: float = QUERY_CHILD_IDLE_S
    _places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(QUERIES_MAX))
    _waiting: int = 0
    _running: set[ChildProcess] = field(default_factory=set)
    _idle: dict[ChildProcess, tuple[str, asyncio.TimerHandle]] = field(default_factory=dict)
    """With whose token each works, and when it goes; the one that was used least recently first."""
    _expected: set[str] = field(default_factory=set)
    """With whose tokens others are being started, before there is a statement."""
    _remembered: RememberedStatements = field(default_factory=RememberedStatements)
    _alive: list[ChildProcess] = field(default_factory=list)
    """Those that were started and are not known to have gone."""

    async def prepare(self, who: Identity, sql: str, traceparent: str = "") -> Prepared:
        """What the statement is and gives, without reading a row. Raises QueryInvalid, NotAllowed, LinkNotFound, SchemaMismatch."""
        call = _Call(who, sql, QUERY_TIMEOUT_S, traceparent)
        known = self._remembered.get(who, sql)
        if known is not None and known.prepared is not None:
            with call.held:
                answered(lambda question: self._answer(question, call), known.question)
            if call.shape == known.shape:
                return known.prepared
        async with aclosing(self._run("prepare", call)) as messages:
            schema = b"".join([message async for message in messages])
        told = call.outcome
        prepared = Prepared(
            StatementKind(told["kind"]),
            schema,
            tuple(told["parameters"]),
            base64.b64decode(told["parameters_schema"]),
            call.target,
            call.links,
        )
        if call.question is not None:
            self._remembered.keep(who, sql, Remembered(call.question, call.shape, prepared))
        return prepared

    async def run(
        self, who: Identity, sql: str, timeout_s: float = 0.0, traceparent: str = "", *, parameters: bytes = b""
    ) -> AsyncGenerator[bytes, None]:
        """The answer of a SELECT as whole Arrow IPC messages: the schema, then record batches, as they are computed.

        `parameters` is an Arrow IPC stream of one row: by position for `?` and `$1`, by name for `$name`. Raises as `prepare` does, and what
        the statement meets. Closing it, or cancelling, ends the statement.
        """
        call = _Call(who, sql, timeout_s or QUERY_TIMEOUT_S, traceparent, parameters)
        async with aclosing(self._run("select", call)) as messages:
            async for message in messages:
                yield message

    async def insert(self, who: Identity, sql: str, timeout_s: float = 0.0, traceparent: str = "", *, parameters: bytes = b"") -> int:
        """Runs `INSERT INTO link ...`: the rows it has published, durable together. With `parameters` it runs for each row of them.

        Raises as `run` does, and what a publish is refused with.
        """
        call = _Call(who, sql, timeout_s or QUERY_TIMEOUT_S, traceparent, parameters)
        insertion = Insertion(self.home, who, traceparent)
        try:
            async with aclosing(self._run("insert", call)) as messages:
                async for message in messages:
                    await insertion.add(call.target, message)
            return await insertion.commit(call.target, call.extents)
        finally:
            insertion.close()

    async def expect(self, who: Identity) -> None:
        """A client that will have statements is there: a process for the first of them is made ready, if there is room for one and none waits."""
        token = self._token(who)
        there_are = len(self._idle) + len(self._running) + len(self._expected)
        waits = token in self._expected or any(whose == token for whose, _ in self._idle.values())
        if waits or there_are >= QUERIES_MAX or self.home.draining:
            return
        self._expected.add(token)
        try:
            self._give_back(await self._started(token), token)
        except OSError:
            pass  # the statement itself meets it, and says so
        finally:
            self._expected.remove(token)

    def children(self) -> list[ChildProcess]:
        """The processes there are."""
        return [*self._idle, *self._running]

    @property
    def running(self) -> int:
        """Statements at work now."""
        return len(self._running)

    def rest(self) -> None:
        """The home drains: statements in hand go on, processes that wait for one go."""
        for child in list(self._idle):
            self._let_go(child)

    async def close(self) -> None:
        """The home is about to end: no statement runs any more, and no process is left."""
        self.rest()
        for child in self._running:
            child.close()
        for child in self._alive:
            await child.process.wait()

    # -- running --------------------------------------------------------------------------------------------------------------------------

    async def _run(self, operation: str, call: _Call) -> AsyncGenerator[bytes, None]:
        """The messages of one statement, and its event."""
        size_bytes = len(call.sql.encode(errors="replace"))
        if size_bytes > QUERY_TEXT_MAX_BYTES:
            raise errors.QueryInvalid(f"the statement has {size_bytes:,} bytes; at most {QUERY_TEXT_MAX_BYTES:,} are taken")
        begun = self.home.spans.begin(call.traceparent)
        call.traceparent = begun.traceparent
        began_s = self.home.clock.monotonic_s()
        outcome = "cancelled"
        try:
            async with self._place(), aclosing(self._messages(operation, call)) as messages:
                async for message in messages:
                    yield message
            outcome = OUTCOME_DONE
        except errors.Error as error:
            outcome = error.code
            raise
        finally:
            call.held.close()
            self.home.telemetry.emit(
                QueryRan(
                    task=call.who.name,
                    links=call.links,
                    rows=call.outcome.get("rows", 0),
                    seconds=self.home.clock.monotonic_s() - began_s,
                    outcome=outcome,
                    span=self.home.spans.end(begun),
                )
            )

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        """One of the statements that run at once, for the length of the block. Raises Overloaded where too many wait for one."""
        if self._places.locked() and self._waiting >= QUERIES_WAITING_MAX:
            raise errors.Overloaded(f"{QUERIES_MAX} queries run and {self._waiting} wait: ask again when some of them are done")
        self._waiting += 1
        try:
            await self._places.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._places.release()

    async def _messages(self, operation: str, call: _Call) -> AsyncGenerator[bytes, None]:
        request = {"operation": operation, "sql": call.sql, "timeout_s": call.timeout_s, "traceparent": call.traceparent}
        token = self._token(call.who)
        child = await self._child(token)
        self._running.add(child)
        known = self._remembered.get(call.who, call.sql)
        if known is not None:
            request |= {"question": known.question, "answer": answered(lambda question: self._answer(question, call), known.question)}
        try:
            running = child.run(request, call.parameters, lambda question: self._answer(question, call))
            async with aclosing(running) as messages:
                async for message in messages:
                    yield message
            call.outcome = child.outcome
        finally:
            self._running.discard(child)
            self._give_back(child, token)

    def _answer(self, question: Mapping[str, Any], call: _Call) -> dict[str, Any]:
        """Which values are those of the tables of a statement: from now on they stay for as long as it runs."""
        call.question, call.shape = question, ()
        asked = [TableAsked(table["link"], table["generation"], table["history"]) for table in question["tables"]]
        if not tables.may_read(self.home, call.who, asked):
            return {"permitted": tables.readable_names(self.home, call.who)}
        found = [tables.extents(self.home, call.who, one) if one.link != COMMITS_LINK else [] for one in asked]
        answer: dict[str, Any] = {}
        if question["target"]:
            call.target = question["target"]
            target = insertion_target(self.home, call.who, call.target)
            answer |= {"target_schema": _text(target.schema), "target_declared": target.declared}
        if question["links"]:
            answer["links"] = tables.readable_names(self.home, call.who)
        call.extents = [extent for of_table in found for extent in of_table]
        call.held.enter_context(tables.held(self.home, call.who, call.extents))
        answer["tables"] = [[extent.told() for extent in of_table] for of_table in found]
        call.shape = _shape(answer)
        return answer

    # -- processes ------------------------------------------------------------------------------------------------------------------------

    async def _child(self, token: str) -> ChildProcess:
        """One that waits for a statement of this identity, or a new one."""
        mine = [child for child, (whose, _) in self._idle.items() if whose == token]
        for child in reversed(mine):
            self._idle.pop(child)[1].cancel()
            if child.process.returncode is None:
                return child
        if len(self._idle) + len(self._running) >= QUERIES_MAX:
            self._let_go(next(iter(self._idle)))
        return await self._started(token)

    async def _started(self, token: str) -> ChildProcess:
        hello = {
            "endpoint": self.endpoint,
            "token": token,
            "catalog": self.home.layout.name,
            "spill_directory": str(self.spill_directory),
            "spill_bytes": self.home.disk.temporary_bytes(),
        }
        child = await ChildProcess.start(hello)
        self._alive = [*(one for one in self._alive if one.process.returncode is None), child]
        return child

    def _give_back(self, child: ChildProcess, token: str) -> None:
        if not child.is_usable or self.home.draining or self.idle_s <= 0:
            child.close()
            return
        timer = asyncio.get_running_loop().call_later(self.idle_s, self._let_go, child)
        self._idle[child] = token, timer

    def _let_go(self, child: ChildProcess) -> None:
        _, timer = self._idle.pop(child)
        timer.cancel()
        child.close()

    def _token(self, who: Identity) -> str:
        """The process acts for the caller, with the caller's rights and no others."""
        name = _ROLE_NAMES.get(str(who.role), who.task)
        return self.home.tokens.make(name, self.home.ledger.epoch) if name else ""


def _shape(answer: dict[str, Any]) -> tuple[str, ...]:
    """The schemas in an answer, which tell what a statement gives."""
    schemas = (schema for of_table in answer["tables"] for schema in (str(len(of_table)), *(extent["schema"] for extent in of_table)))
    return answer.get("target_schema", ""), str(answer.get("target_declared", "")), *schemas


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()
