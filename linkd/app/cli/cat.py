"""`linkd cat LINK[@..]`: the values of a link, whole, in a format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from linkd.app.cli.options import FormatOption, JsonOption, OutputOption, PipelineOption, QuietOption, VerboseOption
from linkd.app.cli.target import Target, has_content, readable_target
from linkd.app.wording import sequence_text
from linkd.core.dead_letters import is_dead_link
from linkd.core.names import COMMITS_LINK
from linkd.core.value_names import ExtentName, parse_extent_name
from linkd.errors import EXIT_DONE, LinkNotFound, UsageFault
from linkd.model.frozen import frozen

if TYPE_CHECKING:
    from linkd.client.artifacts import Artifact
    from linkd.client.sync import Client, Reading
    from linkd.model.values import Envelope


def cat(
    values: Annotated[
        str,
        typer.Argument(
            metavar="LINK[@..]",
            help="flown, flown@42, flown@last, flown@3..17, flown@3.., flown@2026-11-22T10:00, or the beginning of a value's id.",
            show_default=False,
        ),
    ],
    kind: FormatOption = None,
    output: OutputOption = None,
    generation: Annotated[
        int | None, typer.Option(min=1, help="Of this generation; else of the newest complete one.", show_default=False)
    ] = None,
    salvage: Annotated[
        bool,
        typer.Option(
            "--salvage", help="Of a damaged directory (-p DIR), without opening it: every value that is whole. Exits with 4 if one is not."
        ),
    ] = False,
    pipeline: PipelineOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> int:
    """Write the values of a link to a file or a pipe.

    All of its newest complete generation, or of the growing one while none is: what is durable at the call. As CSV, unless --format or the
    name of the file says else; of one value that is a file, its bytes; with --format raw the bytes of all, one behind the other. It holds
    nothing back, and takes little memory however much there is.
    """
    from linkd.app.cli.delivery import Destination, deliver
    from linkd.app.cli.encoders import JSONL
    from linkd.app.cli.file_values import deliver_file
    from linkd.app.cli.terminal import remark
    from linkd.client.sync import connect

    named = parse_extent_name(values)
    if (named.link == COMMITS_LINK or is_dead_link(named.link)) and kind is None and output is None:
        kind = JSONL  # portions are lists, and payloads bytes, which a table of text has not
    is_raw = kind == "raw" and not (json or salvage)
    destination = Destination.of(None if is_raw else kind, output, as_json=json)
    if salvage:
        from linkd.app.cli.salvaging import salvage as get_out
        from linkd.app.cli.state_directory import state_of

        return get_out(state_of(None, pipeline), named, generation, destination, quiet=quiet)
    target = readable_target(pipeline)
    with connect(target.reachable()) as client:
        extent = _extent(client, target, named, generation)
        if kind is None and not json and (file := _only_file(client, extent)) is not None:
            return _said(deliver_file(client, extent.shown, file, output), extent.shown, quiet=quiet)
        reading = client.read(extent.link, generation=extent.generation, first=extent.first, last=extent.last)
        if is_raw:
            return _said(_raw(client, reading, extent.shown, output), extent.shown, quiet=quiet)
        delivered = deliver(reading.to_reader(), destination, extent.link, extent.values, quiet=quiet)
    if delivered.made or verbose:
        remark(f"{extent.shown}: {delivered.made or f'{delivered.rows:,} rows'}", quiet=quiet)
    return EXIT_DONE


def _raw(client: Client, reading: Reading, shown: str, output: str | None) -> str:
    from linkd.app.cli.contents import deliver_raw

    return deliver_raw(client, reading, shown, output)


def _said(made: str, shown: str, *, quiet: bool) -> int:
    """Bytes went to a file, or to standard output, where there is nothing to say."""
    from linkd.app.cli.terminal import remark

    if made:
        remark(f"{shown}: {made}", quiet=quiet)
    return EXIT_DONE


def _only_file(client: Client, extent: _Extent) -> Artifact | None:
    """The file that an extent of one value is."""
    from linkd.app.cli.file_values import file_in

    if extent.first is None or extent.first != extent.last:
        return None
    envelope = client.trace(f"{extent.link}@{extent.first}", limit=1).value
    return file_in(envelope) if envelope is not None else None


@frozen()
class _Extent:
    """Values `first` to `last` of one generation of a link; None stands for that end of it. `values` is how many, as far as is known."""

    link: str
    generation: int
    first: int | None = None
    last: int | None = None
    values: int | None = None

    @property
    def shown(self) -> str:
        if self.first is None and self.last is None:
            return f"{self.link}, generation {self.generation}"
        if self.first is None or self.last is None:
            return f"{self.link}@{self.first or ''}..{self.last or ''}"
        return sequence_text(self.link, self.first, self.last)


def _extent(client: Client, target: Target, named: ExtentName, generation: int | None) -> _Extent:
    """What the name means now. Raises LinkNotFound, UsageFault."""
    if named.link == COMMITS_LINK:
        return _Extent(COMMITS_LINK, generation or 1)
    if named.may_be_id:
        try:
            client.describe(named.link)
        except LinkNotFound:
            named = ExtentName("", named.link, named.link)
    first, last = (client.trace(end, limit=1).value if end else None for end in (named.first, named.last))
    number = _generation(first, last, generation)
    if first is None and last is None:
        return _whole(client, target, named.link, number)
    begin, end = (each.position.sequence if each is not None else None for each in (first, last))
    link = next(each.link for each in (first, last) if each is not None)
    return _Extent(link, number or 0, begin, end, end - begin + 1 if begin is not None and end is not None else None)


def _whole(client: Client, target: Target, link: str, number: int | None) -> _Extent:
    """All of a generation; of the one that readers see, if none is named."""
    info = client.describe(link).links[0]
    if number is None and info.read is None:
        raise nothing_yet(client, target, link)
    if info.read is None or number not in (None, info.read.generation):
        return _Extent(link, number or 0)
    return _Extent(link, info.read.generation, values=info.read.values)


def _generation(first: Envelope | None, last: Envelope | None, asked: int | None) -> int | None:
    """The one generation that both ends are of; None if nothing says which."""
    ends = [end for end in (first, last) if end is not None]
    if len(ends) == 2 and ends[0].generation != ends[1].generation:
        both = " and ".join(f"{end.name} of generation {end.generation}" for end in ends)
        raise UsageFault(f"{both}: values of two generations are no range; name both ends in one of them")
    if len(ends) == 2 and ends[0].position > ends[1].position:
        raise UsageFault(f"{ends[0].name} comes behind {ends[1].name}: name the earlier one first")
    if ends and asked is not None and ends[0].generation != asked:
        raise UsageFault(f"{ends[0].name} is of generation {ends[0].generation}, not {asked}: leave --generation away")
    return ends[0].generation if ends else asked


def nothing_yet(client: Client, target: Target, link: str) -> UsageFault:
    """Why a link that is there has nothing to give."""
    found = client.describe()
    if not has_content(found):
        return UsageFault(target.not_run(found.pipeline))
    return LinkNotFound(f"{link} holds nothing yet: nothing was published to it")
