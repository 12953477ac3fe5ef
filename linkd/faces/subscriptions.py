"""`Links.Subscribe`: a member of a consumer group, as messages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing

from linkd.core.group_terms import AskedTerms
from linkd.errors import Draining, InvalidArgument, LeaseLost
from linkd.faces.call import Context, OwnContext, call_of
from linkd.faces.due_line import DueLine
from linkd.faces.lane_session import LaneSession
from linkd.faces.streams import form_of, send_value
from linkd.home.due import Due
from linkd.home.home import Home
from linkd.home.outgoing import Out
from linkd.home.subscription_parts import EndOfLink, Opened, Part, Recalled, Skipped, SubscribeCall
from linkd.home.subscriptions import Subscription
from linkd.wire.messages import position_of
from linkd.wire.v1 import links_pb2 as pb

Answers = DueLine[pb.SubscribeResponse]
"""What a consumer is told of what it settled."""


async def serve_subscription(home: Home, requests: AsyncIterator[pb.SubscribeRequest], context: Context) -> None:
    """The whole call."""
    # A refusal that overtakes the client's first write is lost in its gRPC library, which then tells of the write: read that first.
    first = await anext(requests, None)
    call = call_of(home, context)
    if first is None or first.WhichOneof("message") != "open":
        raise InvalidArgument("a subscription begins with `open`")
    session = Subscription(home, call.who, _asked(first.open))
    writing = asyncio.Lock()  # gRPC takes one write at a time, and nothing comes between a value and its chunks
    own = context if isinstance(context, OwnContext) else None

    def at_once(due: Due[pb.SubscribeResponse]) -> bool:
        if own is None or writing.locked() or not own.can_write:
            return False
        own.write_now(due.take())
        return True

    answers: Answers = DueLine(at_once)  # bounded by what is on lease
    settled = asyncio.Event()  # what another connection had no answer for: until then nothing is handed out, for it may be that
    if not first.open.unanswered:
        settled.set()
    async with asyncio.TaskGroup() as group, aclosing(session.parts()) as parts:
        taking = group.create_task(_take(requests, session, answers, first.open.unanswered, settled), name="linkd subscribe: take")
        answering = group.create_task(_answer(answers, context, writing), name="linkd subscribe: settle")
        try:
            async for part in parts:
                if isinstance(part, EndOfLink):
                    await answers.join()  # nothing follows the end, so every ack is confirmed before it
                async with writing:
                    await _send(part, context, call.session)
                await settled.wait()
        except Draining:
            await answers.join()  # so that no program has to find out what became of what it settled
            raise
        taking.cancel()
        answering.cancel()


def _asked(opening: pb.SubscribeOpen) -> SubscribeCall:
    asked = AskedTerms(opening.order, opening.key, opening.lease_ms, opening.timeout_ms, opening.max_attempts)
    return SubscribeCall(
        opening.link,
        opening.group,
        opening.follow,
        opening.credit_bytes,
        form_of(opening.format),
        opening.says_started,
        opening.start,
        asked,
        position_of(opening.seen) if opening.HasField("seen") else None,
    )


async def _take(
    requests: AsyncIterator[pb.SubscribeRequest],
    session: Subscription,
    answers: Answers,
    unanswered: int,
    settled: asyncio.Event,
) -> None:
    """Takes what the consumer says until it says no more. When the acks and nacks that were `unanswered` are taken they are `settled`."""
    async for request in requests:
        kind = request.WhichOneof("message")
        if kind == "credit_bytes":
            session.give_credit(request.credit_bytes)
        elif kind == "started":
            session.started(request.started.token)
            session.give_credit(request.started.credit_bytes)
        elif kind == "renew":
            session.renew()
        elif kind == "released":
            session.released(request.released.tokens)
        elif kind in ("ack", "nack"):
            await _settle(request, session, answers)
            unanswered -= 1
            if unanswered == 0:
                settled.set()
        else:
            raise InvalidArgument("a subscription is opened once")


async def _settle(request: pb.SubscribeRequest, session: Subscription, answers: Answers) -> None:
    """Settles one value. A refusal concerns that value alone, unless the client does not know of refusals."""
    said = request.ack if request.HasField("ack") else request.nack
    done = pb.SubscribeResponse(ack_done=pb.AckDone(position=said.position))
    try:
        if request.HasField("ack"):
            await answers.put(Due(await session.ack(position_of(said.position), said.token), lambda: done))
            return
        nack = request.nack
        settled, recalled = await session.nack(position_of(nack.position), nack.token, nack.delay_ms, nack.reason)
    except LeaseLost as error:
        if not session.call.says_started:
            raise
        refused = pb.SettleRefused(position=said.position, token=said.token, message=str(error))
        await answers.put(Due(None, lambda: pb.SubscribeResponse(refused=refused)))
        return
    if recalled:  # before the nack is confirmed: what the program takes next is not one of these
        await answers.put(Due(None, lambda: pb.SubscribeResponse(recall=pb.Recall(tokens=recalled))))
    await answers.put(Due(settled, lambda: done))


async def _answer(answers: Answers, context: Context, writing: asyncio.Lock) -> None:
    """Tells the consumer of each value it settled, in order, when that is durable."""
    async for answer in answers:
        async with writing:
            await context.write(answer)


async def _send(part: Part, context: Context, session: Callable[[], LaneSession | None]) -> None:
    if isinstance(part, Out):
        await send_value(part, context.write, pb.SubscribeResponse, session())
        return
    if isinstance(part, Opened):
        opened = pb.SubscribeOpened(generation=part.generation, schema=part.schema, lease_ms=round(part.lease_s * 1000), lost=part.lost)
        message = pb.SubscribeResponse(opened=opened)
    elif isinstance(part, Recalled):
        message = pb.SubscribeResponse(recall=pb.Recall(tokens=part.tokens))
    elif isinstance(part, Skipped):
        message = pb.SubscribeResponse(dropped=pb.ValuesDropped(first=part.first, last=part.last, reason=part.reason))
    else:
        message = pb.SubscribeResponse(end=pb.EndOfLink(generation=part.generation))
    await context.write(message)
