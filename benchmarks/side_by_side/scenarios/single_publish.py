"""One durable record after the other, each waiting for its ack: alone, and while others hand over bulk."""

from __future__ import annotations

from side_by_side.entrants import Bar, Entrant, Figures, Scenario, latencies, measured
from side_by_side.processes import Processes
from side_by_side.scenarios.bulk_relay import GRPC
from side_by_side.scenarios.small_records import JETSTREAM_SYNCED, REDIS
from side_by_side.servers import FSYNC, MEMORY, home, loop_lag_counts, nats_server, redis_server
from side_by_side.sizes import Sizes

LAG_SHARE = 0.99


def lag_ms(before: dict[float, float], after: dict[float, float]) -> float:
    """What 99 % of the event loop's comings back between two scrapes were at most late, to the bound of a bucket."""
    counts = {bound: after[bound] - before.get(bound, 0.0) for bound in sorted(after)}
    total = max(counts.values(), default=0.0)
    return 1_000 * next((bound for bound, count in counts.items() if count >= LAG_SHARE * total), float("nan"))


def scenarios(sizes: Sizes) -> list[Scenario]:
    def by_linkd(processes: Processes, seed: int) -> Figures:
        endpoint = home(processes).endpoint
        producer = processes.role("linkd_roles", "publish_one_by_one", endpoint=endpoint, link=FSYNC, count=sizes.singles, seed=seed)
        [said], _ = measured(processes, [producer])
        return latencies(said["took_ns"])

    def by_jetstream(processes: Processes, seed: int) -> Figures:
        url = nats_server(processes, sync_always=True)
        [said], _ = measured(processes, [processes.role("jetstream_roles", "publish_one_by_one", url=url, count=sizes.singles, seed=seed)])
        return latencies(said["took_ns"])

    def by_redis(processes: Processes, seed: int) -> Figures:
        path = redis_server(processes)
        [said], _ = measured(processes, [processes.role("redis_roles", "publish_one_by_one", path=path, count=sizes.singles, seed=seed)])
        return latencies(said["took_ns"])

    def under_load(processes: Processes, seed: int) -> Figures:
        """Idle and then loaded, at the same home: bulk over gRPC as fast as it goes, and paced bulk by the fastest road there is."""
        served = home(processes)
        one_by_one = {"endpoint": served.endpoint, "link": FSYNC, "count": sizes.singles, "interval_s": sizes.pauses_s}
        idle, _ = measured(processes, [processes.role("linkd_roles", "publish_one_by_one", **one_by_one, seed=seed)])
        loads = [
            processes.role("linkd_roles", "load", GRPC, endpoint=served.endpoint, link=MEMORY, rate_mb_s=0),
            processes.role("linkd_roles", "load", endpoint=served.endpoint, link=MEMORY, rate_mb_s=sizes.load_mb_s),
        ]
        producer = processes.role("linkd_roles", "publish_one_by_one", **one_by_one, seed=seed + 1)
        before = loop_lag_counts(served)
        for load in loads:
            load.tell("go")
        loaded, _ = measured(processes, [producer])
        after = loop_lag_counts(served)
        for load in loads:
            load.tell("stop")
        mb_s = sum(load.answer()["mb_s"] for load in loads)
        alone, among = latencies(idle[0]["took_ns"], "idle_"), latencies(loaded[0]["took_ns"], "loaded_")
        return {**alone, **among, "loop_lag_p99_ms": lag_ms(before, after), "load_mb_s": mb_s}

    singles = [Entrant("linkd", by_linkd), Entrant(JETSTREAM_SYNCED, by_jetstream), Entrant(REDIS, by_redis)]
    return [
        Scenario(
            "durable single publish",
            "one record of 100 bytes after the other, each acked when it is synced",
            singles,
            (Bar("p50_ms", "linkd", 0.7, (JETSTREAM_SYNCED,), at_least=False), Bar("p50_ms", "linkd", 1.0, (REDIS,), at_least=False)),
        ),
        Scenario(
            "durable single publish, under load",
            "the same while one program hands over bulk by gRPC as fast as it goes, and another paced bulk by the fastest road",
            [Entrant("linkd", under_load)],
            (
                Bar("loaded_p99_ms", "linkd", 5.0, at_least=False, divisor="idle_p99_ms"),
                Bar("loop_lag_p99_ms", "linkd", 2.0, at_least=False),
            ),
        ),
    ]
