"""Which line runs on which track between two layers of a drawing, so that no two run on top of each other. Pure.

A net is everything that leaves one place: down from `source` to its track, along it, and down to each of `targets`. Two nets share a track
where their stretches do not meet. Where a net comes down in the column in which another one begins, the one that begins is above; where
that goes round in a circle, somebody's line touches another's, which is better than no drawing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from linkd.model.frozen import frozen


@frozen()
class Net:
    """The columns in which it leaves and arrives."""

    source: int
    targets: set[int]

    @property
    def is_straight(self) -> bool:
        return self.targets == {self.source}

    @property
    def stretch(self) -> tuple[int, int]:
        """The columns that its track takes, both included."""
        return min(self.source, *self.targets), max(self.source, *self.targets)


def assign_tracks(nets: Mapping[str, Net]) -> tuple[dict[str, int], int]:
    """The track of each net, from 0 at the top, and how many there are. One that goes straight down needs none, and has 0."""
    bent = {name: net for name, net in nets.items() if not net.is_straight}
    above, waiting = _constraints(bent)
    tracks: dict[str, int] = {}
    taken: list[list[tuple[int, int]]] = []
    left = sorted(bent, key=lambda name: bent[name].stretch)
    while left:
        ready = [name for name in left if not waiting[name]] or [min(left, key=lambda name: waiting[name])]
        for name in ready:
            least = max((tracks[other] + 1 for other in above[name] if other in tracks), default=0)
            tracks[name] = _first_free(taken, least, bent[name].stretch)
        for name in ready:
            for other, others in above.items():
                if name in others:
                    waiting[other] -= 1
        placed = set(ready)
        left = [name for name in left if name not in placed]
    return tracks, len(taken)


def _constraints(nets: Mapping[str, Net]) -> tuple[dict[str, set[str]], dict[str, int]]:
    """Of each net those that must be above it, and how many they are."""
    begins: defaultdict[int, list[str]] = defaultdict(list)
    for name, net in nets.items():
        begins[net.source].append(name)
    above = {name: {other for column in net.targets for other in begins.get(column, ()) if other != name} for name, net in nets.items()}
    return above, {name: len(others) for name, others in above.items()}


def _first_free(taken: list[list[tuple[int, int]]], least: int, stretch: tuple[int, int]) -> int:
    """The first track from `least` on in which this stretch touches no other; it is taken there."""
    track = least
    while True:
        while track >= len(taken):
            taken.append([])
        if all(stretch[1] < first - 1 or stretch[0] > last + 1 for first, last in taken[track]):
            taken[track].append(stretch)
            return track
        track += 1
