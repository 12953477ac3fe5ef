"""Sealing at a client's word: of those who publish under `--open`, where no run does it."""

from __future__ import annotations

from linkd.core.publishing import seal as seal_records
from linkd.core.rights import Identity
from linkd.errors import InvalidArgument
from linkd.home.home import Home


async def seal(home: Home, who: Identity, link: str) -> tuple[int, int]:
    """Writes the end of the link's present generation, durably; again is harmless. Its number, and its last sequence.

    Raises LinkNotFound, NotAllowed, InvalidArgument for a link that has no generation, StorageFailed.
    """
    with home.audited(who, "seal", link):
        home.rights.seal(who, link)
    await home.room()
    records = seal_records(home.ledger, link, "a client sealed it", home.clock.now_ns())
    if records:
        await home.written(home.admit(records))
    await home.barrier()
    current = home.ledger.link(link).current
    if current is None:
        raise InvalidArgument(f"{link} has nothing to seal")
    return current.number, current.last_sequence
