"""One gRPC call: who makes it, in which trace, and how an error leaves it."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Never, Protocol, runtime_checkable

import grpc
import grpc.aio

from linkd.core.rights import Identity
from linkd.errors import Error, InternalFault, NotAllowed
from linkd.faces.lane_session import LaneSession
from linkd.home.home import Home
from linkd.model.frozen import frozen
from linkd.wire.status import TOKEN_KEY, TOKEN_PREFIX, TRACE_KEY, status_name, trailing_metadata


class Context(Protocol):
    """What a handler sees of its call, whatever road it came by: that much of `grpc.aio.ServicerContext`."""

    def invocation_metadata(self) -> Any:
        """Pairs of key and value."""
        ...

    async def write(self, message: Any, /) -> None:
        """Sends a response of a stream; returns when there is room for another one."""
        ...

    async def abort(self, code: Any, /, details: str = "", trailing_metadata: Any = ()) -> Never:
        """Ends the call with this status, by raising what only the road knows."""
        ...

    @property
    def is_stranger(self) -> bool:
        """Whether it came over a network, from somebody who showed no certificate. Who opens the socket is of this machine, and this user."""
        ...


@runtime_checkable
class OwnContext(Context, Protocol):
    """A context that says by which road its call came."""

    @property
    def transport(self) -> str: ...

    def session_of(self, who: Identity) -> LaneSession | None: ...

    @property
    def can_write(self) -> bool:
        """Whether `write_now` may be called: there is room, and no `write` is waited for."""
        ...

    def write_now(self, message: Any, /) -> None:
        """As `write`, at once."""
        ...


Handler = Callable[..., Awaitable[Any]]
log = logging.getLogger("linkd.faces")


def _no_session() -> LaneSession | None:
    return None


@frozen()
class Call:
    """What the metadata of a call says."""

    who: Identity
    traceparent: str
    transport: str = "grpc"
    """By which road it came: `grpc` or `lane`."""
    session: Callable[[], LaneSession | None] = _no_session
    """What the client may be handed by place, as it is now."""


class Presence:
    """Counts the calls in hand, so that a home started for a reader knows when nobody needs it. Belongs to one event loop."""

    def __init__(self) -> None:
        self._calls = 0
        self._changed = asyncio.Event()

    def counted(self, handler: Handler) -> Handler:
        """The handler, counted while it runs."""

        @functools.wraps(handler)
        async def count(request: Any, context: Context) -> Any:
            self._calls += 1
            self._changed.set()
            try:
                return await handler(request, context)
            finally:
                self._calls -= 1
                self._changed.set()

        return count

    async def gone_for(self, seconds: float) -> None:
        """Returns when no call has been in hand for so long."""
        while True:
            self._changed.clear()
            try:
                async with asyncio.timeout(None if self._calls else seconds):
                    await self._changed.wait()
            except TimeoutError:
                return


def call_of(home: Home, context: Context) -> Call:
    """Raises NotAllowed, SessionFenced."""
    metadata = dict(context.invocation_metadata() or ())
    who = identified(home, str(metadata.get(TOKEN_KEY, "")).removeprefix(TOKEN_PREFIX), context)
    traceparent = str(metadata.get(TRACE_KEY, ""))
    if isinstance(context, OwnContext):
        return Call(who, traceparent, context.transport, functools.partial(context.session_of, who))
    return Call(who, traceparent)


def identified(home: Home, token: str, context: Context) -> Identity:
    """Who shows the token, which a stranger has to. Raises NotAllowed, SessionFenced."""
    if not token and context.is_stranger:
        raise NotAllowed(
            "over the network linkd answers those who show a token, or a certificate it asks for: that of a client is in `token` in the state "
            "directory, that of a task in LINKD_TOKEN_FILE"
        )
    return home.identify(token)


@asynccontextmanager
async def translated(context: Context) -> AsyncIterator[None]:
    """Errors of the tree leave the call as their status; anything else is a defect of ours, logged with its trace and told without it."""
    try:
        yield
    except Error as error:
        await _abort(context, error)
    except ExceptionGroup as group:
        ended, other = group.split(grpc.aio.BaseError)
        if other is not None:
            await _abort(context, _first(other))
        raise _leaf(ended) from None
    except (grpc.RpcError, grpc.aio.BaseError):
        raise  # the call is over, and whoever made it is gone
    except Exception as error:
        log.exception("a call failed for a reason of linkd's own")
        await _abort(
            context, InternalFault(f"linkd failed ({type(error).__name__}); its log says more. This is a defect: please report it")
        )


async def _abort(context: Context, error: Error) -> Never:
    status = getattr(grpc.StatusCode, status_name(error))
    await context.abort(status, str(error), trailing_metadata(error, status.value[0]))


def _leaf(group: BaseExceptionGroup[Any] | None) -> BaseException:
    """What gRPC itself said of the end of a call, as it knows it again."""
    found: BaseException | None = group
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    assert found is not None
    return found


def _first(group: BaseExceptionGroup[Any]) -> Error:
    """The error that counts among those of a task group: the first of ours."""
    for error in group.exceptions:
        if isinstance(error, Error):
            return error
        if isinstance(error, BaseExceptionGroup):
            return _first(error)
    log.error("a call failed for a reason of linkd's own", exc_info=group)
    return InternalFault("linkd failed; its log says more. This is a defect: please report it")
