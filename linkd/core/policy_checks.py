"""Whether the policies of a task's inputs, one by one and together, say when it runs and what it then sees."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from linkd.core.diagnostics import Problem, one_of
from linkd.core.policies import BARE, FAMILIES, PolicyFamily, WirePolicy, WirePolicyKind, refusal
from linkd.core.wiring import Wire, WiredTask, Wiring


def policy_problems(wiring: Wiring) -> list[Problem]:
    """Policies that this version cannot take, each refused by name."""
    problems: list[Problem] = []
    for task in wiring.tasks:
        for wire in task.inputs:
            refused = refusal(wire.policy, wire.policy_text)
            if refused is not None:
                problems.append(Problem(wire.policy_span, f"`{_written(wire)}`: {refused.what}", refused.remedy))
    return problems


def select_problems(task: WiredTask) -> Iterator[Problem]:
    """Inputs of a SQL task that do not say together when it runs: those that say nothing are whole."""
    whole = WirePolicy(WirePolicyKind.WHOLE)
    yield from mixture_problems(
        replace(task, inputs=tuple(replace(wire, policy=whole) if wire.policy == BARE else wire for wire in task.inputs))
    )


def mixture_problems(task: WiredTask) -> Iterator[Problem]:
    """Inputs of a program that do not say together when it runs."""
    wires = [wire for wire in task.inputs if wire.policy.kind in FAMILIES]
    if len(wires) < len(task.inputs):  # refused by name already
        return
    driving = [wire for wire in wires if wire.policy.kind is not WirePolicyKind.LATEST]
    if wires and not driving:
        what = f"task `{task.name}` would never run: `latest` is read when the task runs, and never makes it run"
        yield Problem(wires[0].policy_span, what, f"take `latest` away from the input that makes it run: `{_stated(wires[0], '')}`")
        return
    bare = [wire for wire in driving if wire.policy.kind is WirePolicyKind.BARE]
    families = {FAMILIES[wire.policy.kind] for wire in driving if wire not in bare}
    if bare and len(bare) == len(driving) > 1:
        what = f"task `{task.name}` has {len(task.inputs)} inputs and does not say how they are put together"
        yield Problem(bare[0].span, what, _ways_together(task))
    elif bare and families - {PolicyFamily.BATCH}:
        yield _mixture(task, driving, bare[0])
    elif bare and families:
        one = _stated(bare[0], "[1]")
        what = f"task `{task.name}` does not say how many values of `{bare[0].link}` go with {_policies_of(driving, but=bare[0])}"
        yield Problem(bare[0].span, what, f"write `{one}` for one at a time")
    elif len(families) > 1:
        yield _mixture(task, driving, driving[0])


def _mixture(task: WiredTask, driving: list[Wire], place: Wire) -> Problem:
    """A task whose inputs make it run in ways that exclude each other."""
    ways = {PolicyFamily.WHOLE: "whole", PolicyFamily.SWAP: "by `swap`", PolicyFamily.BATCH: "batch by batch"}
    taken = []
    for family, how in ways.items():
        names = [wire.link for wire in driving if FAMILIES[wire.policy.kind] is family]
        if family is PolicyFamily.BATCH and all(wire.policy.kind is WirePolicyKind.BARE for wire in driving if wire.link in names):
            how = "value by value"
        if names:
            taken.append(f"{one_of(names)} {how}")
    what = f"task `{task.name}` takes {' and '.join(taken)}, and these cannot be put together"
    return Problem(place.span, what, _ways_together(task))


def _ways_together(task: WiredTask) -> str:
    """The wires as they could be written, for a remedy."""
    whole = ", ".join(_stated(wire, "" if wire.policy.kind is WirePolicyKind.LATEST else " whole") for wire in task.inputs)
    each = ", ".join(_stated(wire, "" if wire.policy.kind is WirePolicyKind.LATEST else "[1]") for wire in task.inputs)
    return (
        f"write `({whole})`: all of each, once; `({each})`: one value of each at a time; or `latest` behind an input that is only looked up"
    )


def _stated(wire: Wire, policy: str) -> str:
    return f"{wire.link}{'*' if wire.is_open else ''}{policy}"


def _policies_of(wires: list[Wire], *, but: Wire) -> str:
    return ", ".join(f"`{_written(wire)}`" for wire in wires if wire is not but)


def _written(wire: Wire) -> str:
    """The wire as it stands in the file."""
    gap = "" if wire.policy_text.startswith("[") else " "
    return f"{wire.link}{gap}{wire.policy_text}".rstrip()
