"""From the call that publishes one record to its being in the hands of a consumer, while nothing else happens."""

from __future__ import annotations

from typing import Any

from side_by_side.entrants import Bar, Entrant, Figures, Scenario, latencies, measured
from side_by_side.processes import Processes
from side_by_side.scenarios.small_records import JETSTREAM_SYNCED, REDIS
from side_by_side.servers import FSYNC, MEMORY, home, nats_server, redis_server
from side_by_side.sizes import Sizes

MEDIAN_MS, P99_MS = 0.25, 0.8
GROUP = "consumer"


def scenarios(sizes: Sizes) -> list[Scenario]:
    pace = {"count": sizes.singles, "interval_s": sizes.pauses_s}

    def timed(processes: Processes, module: str, **place: Any) -> Figures:
        consumer = processes.role(module, "take_stamped", **place, group=GROUP, count=sizes.singles)
        producer = processes.role(module, "publish_stamped", **place, **pace)
        (_, said), _ = measured(processes, [producer, consumer])
        return latencies(said["took_ns"])

    def by_linkd(link: str) -> Any:
        return lambda processes, seed: timed(processes, "linkd_roles", endpoint=home(processes).endpoint, link=link)

    def by_jetstream(storage: str) -> Any:
        """Memory syncs nothing; files before every ack."""
        return lambda processes, seed: timed(
            processes, "jetstream_roles", url=nats_server(processes, sync_always=storage == "file"), storage=storage
        )

    def by_redis(processes: Processes, seed: int) -> Figures:
        return timed(processes, "redis_roles", path=redis_server(processes))

    def one_sync(processes: Processes, seed: int) -> Figures:
        role = processes.role("limit_roles", "sync_small", directory=str(processes.directory), count=sizes.singles)
        [said], _ = measured(processes, [role])
        return latencies(said["took_ns"])

    what = "one record of 100 bytes, from before the call that publishes it until the consumer has it; a pause between any two"
    return [
        Scenario(
            "publish to deliver, memory",
            what,
            [Entrant("linkd", by_linkd(MEMORY)), Entrant("JetStream memory", by_jetstream("memory"))],
            (Bar("p50_ms", "linkd", MEDIAN_MS, at_least=False), Bar("p99_ms", "linkd", P99_MS, at_least=False)),
        ),
        Scenario(
            "publish to deliver, fsync",
            what,
            [
                Entrant("linkd", by_linkd(FSYNC)),
                Entrant(JETSTREAM_SYNCED, by_jetstream("file")),
                Entrant(REDIS, by_redis),
                Entrant("one fdatasync", one_sync, note="of 100 bytes appended to a file that has its room"),
            ],
            (
                Bar("p50_ms", "linkd", MEDIAN_MS, ("one fdatasync",), at_least=False, plus=True),
                Bar("p99_ms", "linkd", P99_MS, ("one fdatasync",), at_least=False, plus=True),
            ),
        ),
    ]
