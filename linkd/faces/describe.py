"""What there is, as a `DescribeResponse`."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from linkd.core.dead_letters import is_dead_link
from linkd.core.durations import duration_text
from linkd.core.links import Generation, Link
from linkd.core.rights import Identity
from linkd.core.runs import is_complete
from linkd.core.sizes import size_text
from linkd.core.tasks import Lease, Task, TaskShape
from linkd.home.home import Home
from linkd.limits import HOLDS_TOLD_MAX, LEASES_TOLD_MAX
from linkd.model.records import SourceMoved, TaskKind
from linkd.store.directory import linkd_version
from linkd.wire.messages import durability_number, portion_message
from linkd.wire.v1 import links_pb2 as pb


def version() -> str:
    """The installed version of linkd."""
    return linkd_version()


def description(home: Home, who: Identity, only: str = "", *, transport: str = "grpc") -> pb.DescribeResponse:
    """All of it, or what concerns one link. Raises LinkNotFound, NotAllowed."""
    if only:
        home.check_link(only)
        with home.audited(who, "describe", only):
            home.rights.describe(who, only)
    beside = [name for name in home.ledger.links if home.layout.anyone or is_dead_link(name)]
    names = [only] if only else sorted({*home.layout.links, *beside})
    tasks = [shape for shape in home.layout.tasks.values() if not only or _touches(shape, only)]
    run = home.ledger.run
    return pb.DescribeResponse(
        pipeline=home.layout.name,
        version=version(),
        directory=str(home.directory),
        transport=transport,
        open=home.layout.anyone,
        epoch=home.ledger.epoch,
        links=[_link(home, name) for name in names],
        tasks=[_task(home, shape) for shape in tasks],
        groups=[_group(home, group.name, group.link) for group in home.ledger.groups.values() if not only or group.link == only],
        run=pb.RunInfo(
            epoch=run.epoch,
            run_id=run.run_id,
            began_at_ns=run.began_at_ns,
            outcome=_outcome(home),
            reason=run.reason,
            complete=is_complete(home.ledger),
        )
        if run is not None
        else None,
        you=who.name,
        pid=home.pid,
        told_at_ns=home.clock.now_ns(),
        notes=home.notes(),
        holds=list(itertools.islice(_holds(home, only), HOLDS_TOLD_MAX)),
        artifacts_bytes=home.artifacts.store.held_bytes,
    )


def source_info(moved: SourceMoved) -> pb.SourceInfo:
    return pb.SourceInfo(
        digest=moved.digest,
        rows_read=moved.rows_read,
        rows_rejected=moved.rows_rejected,
        final=moved.final,
        position=moved.position,
        attributes=dict(moved.attributes),
    )


def _holds(home: Home, only: str) -> Iterator[pb.HoldInfo]:
    """Named holds, and what is being read now."""
    for hold in home.ledger.holds.values():
        if only in ("", hold.link):
            first, last = hold.first_sequence, hold.last_sequence
            yield pb.HoldInfo(
                name=hold.name,
                link=hold.link,
                generation=hold.generation,
                first_sequence=first,
                last_sequence=last,
                until_ns=hold.until_ns,
                reason=hold.reason,
            )
    for one in home.retention.readings:
        if only in ("", one.link):
            yield pb.HoldInfo(holder=one.reader, link=one.link, generation=one.generation, first_sequence=one.first_sequence)


def _touches(shape: TaskShape, link: str) -> bool:
    return link in shape.outputs or link in {name for name, _ in shape.inputs}


def _link(home: Home, name: str) -> pb.LinkInfo:
    shape = home.layout.links.get(name)
    spec = home.layout.pipeline.links.get(name) if home.layout.pipeline is not None else None
    link = home.ledger.links.get(name)
    info = pb.LinkInfo(
        name=name,
        writer=shape.writer if shape is not None else "",
        readers=[task.name for task in home.layout.tasks.values() if name in {link for link, _ in task.inputs}],
        source=(spec.source or "") if spec is not None else "",
        sink=(spec.sink or "") if spec is not None else "",
        open=name in home.layout.open_links or (home.layout.anyone and not is_dead_link(name)),
        declared=shape is not None and shape.declared is not None,
        durability=durability_number(home.terms(name).durability),
        on_bad_row=spec.on_bad_row if spec is not None else "",
    )
    _add_terms(info, home)
    if link is None:
        if shape is not None and shape.declared is not None:
            info.schema = shape.declared[1]
        return info
    _add_state(info, link)
    rate = home.rates.of(name, home.clock.monotonic_s())
    if rate is not None:
        info.rate.values_per_s, info.rate.rows_per_s, info.rate.bytes_per_s = rate.values_per_s, rate.rows_per_s, rate.bytes_per_s
    return info


def _add_terms(info: pb.LinkInfo, home: Home) -> None:
    terms = home.terms(info.name)
    if terms.bound_bytes is not None:
        info.bound_bytes, info.on_full = terms.bound_bytes, str(terms.on_full)
        info.waiting_bytes = home.flow.flow.waiting_bytes(info.name)
    retain = terms.retain
    if retain is not None:
        age = duration_text(retain.age_s) if retain.age_s is not None else ""
        size = size_text(retain.size_bytes) if retain.size_bytes is not None else ""
        values = f"{retain.values:,} values" if retain.values is not None else ""
        info.retain = ", ".join(filter(None, (age, size, values, "hard" if retain.hard else "")))


def _add_state(info: pb.LinkInfo, link: Link) -> None:
    info.dropped.extend(pb.DroppedInfo(reason=reason, values=one.values, last_at_ns=one.last_at_ns) for reason, one in link.dropped.items())
    info.size_bytes = sum(generation.size_bytes for generation in link.generations.values())
    info.values = sum(generation.values for generation in link.generations.values())
    info.last_created_at_ns = link.last_created_at_ns if info.values else 0
    if link.readable is not None:
        info.read.CopyFrom(_generation(link.readable))
    current = link.current
    if current is not None:
        info.current.CopyFrom(_generation(current))
        info.schema = current.schema
        if current.source is not None:
            info.source_state.CopyFrom(source_info(current.source))


def _generation(generation: Generation) -> pb.GenerationInfo:
    return pb.GenerationInfo(
        generation=generation.number,
        state=str(generation.state),
        task=generation.task,
        task_version=generation.task_version,
        first_sequence=generation.first_sequence,
        last_sequence=generation.last_sequence,
        values=generation.values,
        rows=generation.rows,
        size_bytes=generation.size_bytes,
        schema=generation.schema,
    )


def _task(home: Home, shape: TaskShape) -> pb.TaskInfo:
    info = pb.TaskInfo(
        name=shape.name,
        kind=str(shape.kind),
        inputs=[pb.TaskInput(link=link, policy=policy) for link, policy in shape.inputs],
        outputs=shape.outputs,
    )
    task = home.ledger.tasks.get(shape.name)
    if task is not None:
        _add_progress(home, info, task)
    info.state = _task_state(home, shape, task)
    return info


def _task_state(home: Home, shape: TaskShape, task: Task | None) -> str:
    """What a task does, in the words of `TaskInfo.state`."""
    if task is None or not task.execution:
        return "not begun"
    if task.ended:
        return "done"
    if home.connections.get(shape.name):
        return "running" if any(lease.session is not None for lease in task.leases.values()) else "waiting"
    if shape.name in home.failed:
        return "failed"
    if _outcome(home) != "running" or not _takes_part(home, shape.name):
        return "stopped"
    if shape.kind is TaskKind.SOURCE:
        return "running"
    return "open" if shape.name in home.conduct.open_places else "starting"


def _outcome(home: Home) -> str:
    """That of the newest run: one of which the end was never written, and that is not on in this home, was interrupted."""
    outcome = home.ledger.run_outcome
    return "interrupted" if outcome == "running" and not home.conduct.begun else outcome


def _takes_part(home: Home, task: str) -> bool:
    run = home.ledger.run
    return run is not None and (not run.tasks or task in run.tasks)


def _lease(lease: Lease) -> pb.LeaseInfo:
    return pb.LeaseInfo(
        snapshot_id=lease.snapshot_id,
        portions=[portion_message(portion) for portion in lease.portions],
        attempt=lease.attempt,
        since_ns=lease.since_ns,
    )


def _add_progress(home: Home, info: pb.TaskInfo, task: Task) -> None:
    info.version, info.execution, info.ended, info.commits = task.version, task.execution, task.ended, task.commits
    info.last_commit_attributes.update(task.recorded)
    held = sorted((lease for lease in task.leases.values() if lease.session is not None), key=lambda lease: lease.since_ns)
    info.leased = len(held)
    info.leases.extend(_lease(lease) for lease in held[:LEASES_TOLD_MAX])
    info.connections = home.connections.get(task.name, 0)
    info.refused_late = task.refused_late
    info.given_up, info.failures, info.overran = task.given_up, task.holders.failures, task.holders.overran
    if (memo := home.memo.tasks.get(task.name)) is not None:
        info.memo.MergeFrom(pb.MemoInfo(recalled=memo.recalled, checked=memo.checked, differing=memo.differing, outputs=memo.outputs))
    for message in info.inputs:
        message.generation = task.inputs.get(message.link, 0)
    unread = task.unread(home.ledger.links)
    for link in task.cursors:
        generation = home.ledger.links[link].generations.get(task.inputs[link])
        if generation is None:  # a task that ended long ago: what it read is not kept any more
            continue
        done = generation.end_sequence - generation.first_sequence + 1 - unread[link]
        rows = generation.rows if not unread[link] and generation.seal_durable else task.done_rows.get(link, 0)
        info.progress.append(pb.InputProgress(link=link, done_values=done, done_rows=rows, waiting_values=unread[link]))


def _group(home: Home, name: str, link_name: str) -> pb.GroupInfo:
    group = home.ledger.groups[name, link_name]
    generation = home.ledger.links[link_name].generations.get(group.generation)  # none: the group is through with it, and it is not kept
    held = [lease for lease in group.leases.values() if lease.session is not None]
    return pb.GroupInfo(
        group=name,
        link=link_name,
        done_sequence=group.cursor.done_sequence,
        lag_values=group.cursor.left(generation.last_sequence) if generation is not None else 0,
        leased=len(held),
        connections=len(group.members),
        generation=group.generation,
        order=str(group.terms.order),
        run_generation=group.run_generation,
        lost_values=group.lost_values,
    )
