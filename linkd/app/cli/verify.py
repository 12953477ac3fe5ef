"""`linkd verify [DIR]`: reads everything a pipeline keeps, and says what of it is damaged."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from linkd.app.cli.options import JsonOption, PipelineOption, QuietOption, VerboseOption
from linkd.app.cli.state_directory import DirectoryArgument, held, state_of
from linkd.app.wording import counted, size_text
from linkd.errors import EXIT_DONE, EXIT_STATE, StateLocked

if TYPE_CHECKING:
    from linkd.store.offline.findings import Finding, Verification


def verify(
    directory: DirectoryArgument = None,
    pipeline: PipelineOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> int:
    """Read everything that is kept, and say what is damaged.

    Journal, checkpoint, segments, index: every checksum, and that each says what the others say. Changes nothing. Beside a home that runs it
    reads what that is done with. -v also tells of what is harmless. Exits with 4 if anything is damaged; `linkd repair` mends that.
    """
    state = state_of(directory, pipeline)
    found = verified(state, quiet=quiet or json)
    if json:
        from linkd.app.cli.terminal import print_json

        print_json(document(found))
    else:
        for line in lines(found, verbose=verbose, quiet=quiet):
            print(line)
    return EXIT_STATE if found.damage else EXIT_DONE


def verified(state: Path, *, quiet: bool) -> Verification:
    """What a reading of all of the directory finds. Raises StateForeign."""
    from linkd.store.directory import read_format
    from linkd.store.files import LocalFiles
    from linkd.store.offline.verification import verify as read_all

    files = LocalFiles()
    read_format(files, state)
    with _progress(state, quiet=quiet) as progress:
        if not (state / "lock").exists():  # a copy that no home ever opened: it is left as it is
            return read_all(files, state, progress=progress)
        try:
            with held(state, "linkd verify"):
                return read_all(files, state, progress=progress)
        except StateLocked:
            return read_all(files, state, running=True, progress=progress)


def lines(found: Verification, *, verbose: bool, quiet: bool = False) -> Iterator[str]:
    """What a person is told."""
    damage = found.damage
    harmless = [finding for finding in found.findings if finding.harmless]
    amount = (
        f"{counted(found.files, 'file')}, {size_text(found.size_bytes)}: {counted(found.frames, 'frame')}, {counted(found.values, 'value')}"
    )
    if not (quiet and not damage):
        state = "damaged" if damage else "whole"
        yield f"{found.directory}: {state} ({amount}, {counted(found.rows, 'index row')})"
    for finding in [*damage, *(harmless if verbose else ())]:
        yield f"  {place(finding)}: {finding.what}"
        yield f"    {finding.meaning}"
    if harmless and not verbose and not quiet:
        yield f"  {counted(len(harmless), 'remark')}, nothing to be done: -v shows {'it' if len(harmless) == 1 else 'them'}"
    if found.running and not quiet:
        yield "  a home has it open: only what it is done with was read. Stop it to have all of it read"
    if damage:
        yield f"to mend it: linkd repair {found.directory}"


def place(finding: Finding) -> str:
    """Where it is."""
    return str(finding.file) if finding.offset is None else f"{finding.file}, offset {finding.offset}"


def document(found: Verification) -> dict[str, Any]:
    """What programs are told."""
    return {
        "directory": str(found.directory),
        "ok": not found.damage,
        "running": found.running,
        "files": found.files,
        "size_bytes": found.size_bytes,
        "frames": found.frames,
        "values": found.values,
        "rows": found.rows,
        "findings": [finding_document(finding) for finding in found.findings],
    }


def finding_document(finding: Finding) -> dict[str, Any]:
    """One finding; link and sequences only where they are known."""
    told: dict[str, Any] = {"file": str(finding.file), "what": finding.what, "meaning": finding.meaning, "harmless": finding.harmless}
    if finding.offset is not None:
        told["offset"] = finding.offset
    if finding.link:
        told["link"] = finding.link
    if finding.first:
        told |= {"first": finding.first, "last": finding.last}
    return told


@contextmanager
def _progress(state: Path, *, quiet: bool) -> Iterator[Callable[[str, int], None]]:
    """A bar on standard error, if a person looks there."""
    if quiet or not sys.stderr.isatty():
        yield lambda name, size_bytes: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn

    total = sum(
        path.stat().st_size for part in ("journal", "segments", "envelopes") for path in (state / part).rglob("*") if path.is_file()
    )
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=total)
        yield lambda name, size_bytes: progress.update(task, advance=size_bytes, description=name)
