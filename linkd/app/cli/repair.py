"""`linkd repair [DIR]`: mends what is damaged of what a pipeline keeps, and says what is lost by it."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from linkd.app.cli.options import JsonOption, PipelineOption, QuietOption, VerboseOption
from linkd.app.cli.state_directory import DirectoryArgument, held, state_of
from linkd.app.cli.verify import finding_document, place
from linkd.app.wording import counted, sequence_text, size_text
from linkd.errors import EXIT_DONE, EXIT_STATE, StorageFailed

if TYPE_CHECKING:
    from linkd.store.offline.findings import Finding
    from linkd.store.offline.repair_plan import Loss, Plan

_QUARANTINE_NAME = "%Y-%m-%dT%H%M%SZ"


def repair(
    directory: DirectoryArgument = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask: do it.")] = False,
    pipeline: PipelineOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> int:
    """Mend what is damaged, and say what is lost.

    First it says which values and commits cannot be kept, and asks. What was damaged goes to `quarantine/` in the directory, with a note; the
    index is made again; readers pass over what is lost, as over anything that was dropped, with the reason `damaged`. It never guesses. Not
    while the pipeline runs.
    """
    from linkd.store.files import LocalFiles
    from linkd.store.offline.repair_plan import plan_repair
    from linkd.store.offline.repairing import carry_out, free_name

    state = state_of(directory, pipeline)
    files = LocalFiles()
    with held(state, "linkd repair"):
        damage = _damage(state)
        if not damage:
            return _report(state, damage, (), None, as_json=json, quiet=quiet)
        plan = plan_repair(files, state)
        _check_room(state, plan)
        if not json and not quiet:
            print("\n".join(_announced(state, damage, plan)))
        if not (yes or (not json and _agrees())):
            if json:
                return _report(state, damage, plan.lost, None, as_json=True, quiet=quiet)
            print("nothing was changed" + ("" if sys.stdin.isatty() else ": --yes does it"))
            return EXIT_STATE
        name = free_name(state, time.strftime(_QUARANTINE_NAME, time.gmtime()))
        done = carry_out(files, state, plan, name, time.time_ns())
    return _report(state, damage, done.lost, done.quarantine, as_json=json, quiet=quiet)


def _damage(state: Path) -> list[Finding]:
    from linkd.store import directory
    from linkd.store.files import LocalFiles
    from linkd.store.offline.findings import Finding
    from linkd.store.offline.verification import verify

    files = LocalFiles()
    if directory.format_is_damaged(files, state):
        what = "it does not say any more what this directory is"
        return [Finding(state / directory.FORMAT_FILE, what, "nothing is lost: it can be written again")]
    return verify(files, state).damage


def _check_room(state: Path, plan: Plan) -> None:
    from linkd.store.offline.repairing import room_needed, room_there

    needed, there = room_needed(plan), room_there(state)
    if needed > there:
        raise StorageFailed(f"{state}: the quarantine needs {size_text(needed)}, and {size_text(there)} are free. Nothing was changed")


def _announced(state: Path, damage: list[Finding], plan: Plan) -> Iterator[str]:
    """What is wrong, what will be done, and what that loses."""
    yield f"{state}: {counted(len(damage), 'finding')}"
    for finding in damage:
        yield f"  {place(finding)}: {finding.what}"
    yield from (f"  {note}" for note in plan.notes)
    yield "what will be lost:"
    yield from _lost_lines(plan.lost)
    if plan.commits:
        yield f"  {counted(plan.commits, 'commit')}: what they took is handed out again, where they ended or began something it is as before them"
    if not plan.lost and not plan.commits:
        yield "  nothing, as far as can be told before it is done"
    yield f"the damaged bytes are kept in {state / 'quarantine'}; the index is made again"


def _lost_lines(lost: tuple[Loss, ...] | list[Loss]) -> Iterator[str]:
    from linkd.store.offline.repairing import joined

    for loss in joined(lost):
        yield f"  {sequence_text(loss.link, loss.first, loss.last)}"


def _agrees() -> bool:
    return sys.stdin.isatty() and typer.confirm("do it?", default=False)


def _report(
    state: Path, damage: list[Finding], lost: tuple[Loss, ...] | list[Loss], quarantine: Path | None, *, as_json: bool, quiet: bool
) -> int:
    is_whole = quarantine is not None or not damage
    if as_json:
        from linkd.app.cli.terminal import print_json

        told: dict[str, Any] = {"directory": str(state), "ok": is_whole, "repaired": quarantine is not None}
        told["findings"] = [finding_document(finding) for finding in damage]
        told["lost"] = [{"link": loss.link, "first": loss.first, "last": loss.last} for loss in lost]
        print_json(told | ({"quarantine": str(quarantine)} if quarantine is not None else {}))
    elif not quiet:
        if quarantine is None:
            print(f"{state}: nothing is damaged, and nothing was changed")
        else:
            gone = list(_lost_lines(lost))
            print("\n".join(["mended. Lost:", *gone] if gone else ["mended; nothing is lost"]))
            print(f"what was damaged is in {quarantine}")
    return EXIT_DONE if is_whole else EXIT_STATE
