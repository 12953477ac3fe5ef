"""What more of everything costs a home: links, durable subscriptions, connected streams; in memory, and in speed."""

from __future__ import annotations

import statistics
import time
from typing import Any

from side_by_side.entrants import Bar, Entrant, Figures, Scenario, measured, published
from side_by_side.processes import Processes
from side_by_side.records import RECORD_BYTES
from side_by_side.scenarios.idle import MIB, resident_mib
from side_by_side.servers import home
from side_by_side.sizes import Sizes

BUSY, QUIET = "busy", "quiet"
SETTLE_S = 0.5
"""For what a home still does behind the last answer."""
KB = 1_000


def scenarios(sizes: Sizes) -> list[Scenario]:
    def grown(role: str, bound_kb: float, **arguments: Any) -> Scenario:
        def once(processes: Processes, seed: int) -> Figures:
            served = home(processes, open_to_all=True)

            def speed(seed: int) -> float:
                """The median of three, for a busy moment of the machine is not growth."""
                count = sizes.records // 3
                speeds = []
                for number in range(3):
                    more = {"link": BUSY, "shape": "dicts", "count": count, "seed": seed + number}
                    producer = processes.role("linkd_roles", "publish_records", endpoint=served.endpoint, **more)
                    speeds.append(published(processes, producer, count, RECORD_BYTES)["records_s"])
                    producer.dismiss()
                return statistics.median(speeds)

            alone = speed(seed)
            first = processes.role("linkd_roles", role, endpoint=served.endpoint, count=1, **arguments)
            measured(processes, [first])
            first.dismiss()
            time.sleep(SETTLE_S)
            before_mib = resident_mib(served.running.pid, "RssAnon")
            measured(processes, [processes.role("linkd_roles", role, endpoint=served.endpoint, count=sizes.grown, **arguments)])
            time.sleep(SETTLE_S)
            after_mib = resident_mib(served.running.pid, "RssAnon")
            return {"kb_each": (after_mib - before_mib) * MIB / KB / sizes.grown, "speed_kept": speed(seed + 3) / alone}

        what = role.partition("_")[2]
        return Scenario(
            f"growth: {what}",
            f"1 to {sizes.grown:,} {what}: anonymous memory of the home for each, and records a second then against before",
            [Entrant("linkd", once)],
            (Bar("kb_each", "linkd", bound_kb, at_least=False), Bar("speed_kept", "linkd", 0.9)),
        )

    return [
        grown("grow_links", 20),
        grown("grow_groups", 20, link=QUIET),
        grown("grow_streams", 150, link=QUIET),
    ]
