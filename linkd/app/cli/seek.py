"""`linkd seek GROUP LINK --to PLACE`: move a consumer group to another place of its link."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from linkd.app.cli.options import JsonOption, PipelineOption, QuietOption, VerboseOption
from linkd.app.cli.target import ask, readable_target

if TYPE_CHECKING:
    from linkd.client.session import Client


def seek(
    group: Annotated[str, typer.Argument(metavar="GROUP", help="The consumer group, as `linkd ls` names it.", show_default=False)],
    link: Annotated[str, typer.Argument(metavar="LINK", help="The link that it reads.", show_default=False)],
    to: Annotated[
        str,
        typer.Option(metavar="PLACE", help="earliest, latest, a sequence (42 or flown@42), or a time in ISO 8601.", show_default=False),
    ],
    pipeline: PipelineOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Move a consumer group to another place of its link.

    What the group gets next is the value at that place; at a time, the first one created then or later (UTC, unless `Z` or an offset stands
    behind it). It is durable, and may be done while the group's members are connected: what they have in hand is void, and an ack of it is
    refused. Works on a pipeline that runs and on one that does not.
    """
    target = readable_target(pipeline)
    next_sequence = ask(target, lambda client: _sought(client, group, link, to))
    from linkd.app.cli.terminal import print_json, remark

    if json:
        print_json({"group": group, "link": link, "next": f"{link}@{next_sequence}", "next_sequence": next_sequence})
        return
    remark(f"{group} goes on at {link}@{next_sequence}", quiet=quiet)


async def _sought(client: Client, group: str, link: str, to: str) -> int:
    return await client.seek(link, group, to)
