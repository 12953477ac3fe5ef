"""What became of a value, as an indented tree. Pure.

    flights@1  65,536 rows
      flown@1  63,902 rows, by clean 4be20a71, 2026-11-23T05:31:46.123Z
        totals@1  16 rows, by sum_up 9c1f5e02, 2026-11-23T05:31:47.518Z
          out/totals.csv  16 rows, blake3 0c33f1ab, written 2026-11-23T05:31:47.630Z
      cancelled@1  1,634 rows, by clean 4be20a71, 2026-11-23T05:31:46.123Z

A line is a brood, as in `pedigree`, of which every value was made from values of the brood above; or what a sink wrote of the brood above.
What two broods have in common is told once, and pointed at afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from linkd.app.cli.cells import printable
from linkd.app.cli.pedigree import DIGEST_SHOWN_CHARS, INDENT, SEE_ABOVE, Brood, about_values, broods, by_task
from linkd.app.wording import counted, moment_text
from linkd.client.lineage import Descendant, Lineage, SinkCommit
from linkd.model.values import Envelope, Parent


def posterity(lineage: Lineage, shown: Callable[[str], str] = str, *, full_digests: bool = False) -> list[str]:
    """The lines of the tree; `shown` is how the paths of files are written."""
    value = lineage.value
    waiting = [(_brood_of(value), 0)]
    told: set[Brood] = set()
    lines: list[str] = []
    while waiting:
        brood, depth = waiting.pop()
        members = [value] if depth == 0 else [each.envelope for each in lineage.descendants if _is_in(each.envelope, brood)]
        children = _children(brood, lineage.descendants)
        written = [sink for sink in lineage.sinks if any(_meet(portion, brood) for portion in sink.portions)]
        again = brood in told and bool(children or written)
        told.add(brood)
        maker = [by_task(members[0], full_digests=full_digests)] if depth else []
        about = SEE_ABOVE if again else about_values(brood, members, maker)
        lines.append(f"{INDENT * depth}{brood.name}  {about}")
        if not again:
            lines += [f"{INDENT * (depth + 1)}{_written(sink, shown, full_digests=full_digests)}" for sink in written]
            waiting.extend((child, depth + 1) for child in reversed(children))
    return lines


def _brood_of(envelope: Envelope) -> Brood:
    sequence = envelope.position.sequence
    return Brood(envelope.link, envelope.position.incarnation, envelope.generation, sequence, sequence)


def _is_in(envelope: Envelope, brood: Brood) -> bool:
    return envelope.link == brood.link and brood.first <= envelope.position.sequence <= brood.last


def _children(brood: Brood, descendants: Sequence[Descendant]) -> list[Brood]:
    """What was made of values of the brood, those that follow one another gathered."""
    made = [each.envelope for each in descendants if any(_meet(parent, brood) for parent in each.envelope.parents)]
    if not made:
        return []
    places = [
        Parent(each.link, each.position.incarnation, each.generation, each.position.sequence, each.position.sequence) for each in made
    ]
    return broods(places)


def _meet(portion: Parent, brood: Brood) -> bool:
    return portion.link == brood.link and portion.first_sequence <= brood.last and brood.first <= portion.last_sequence


def _written(sink: SinkCommit, shown: Callable[[str], str], *, full_digests: bool) -> str:
    path, rows, digest = (sink.attributes.get(name, "") for name in ("path", "rows", "digest"))
    parts = [counted(int(rows), "row")] if rows.isdecimal() else []
    parts += [f"blake3 {digest if full_digests else digest[:DIGEST_SHOWN_CHARS]}"] if digest else []
    return f"{printable(shown(path)) if path else sink.task}  {', '.join([*parts, f'written {moment_text(sink.committed_at_ns)}'])}"
