"""One producer's bulk for several consumers, each of which reads all of it."""

from __future__ import annotations

from side_by_side.batches import BATCH_BYTES
from side_by_side.entrants import Bar, Entrant, Figures, Round, Scenario, handed_over
from side_by_side.processes import Processes
from side_by_side.scenarios.bulk_relay import FLIGHT
from side_by_side.servers import MEMORY, flight_relay, home
from side_by_side.sizes import Sizes


def scenarios(sizes: Sizes) -> list[Scenario]:
    batches, size_bytes = sizes.fan_out_batches, sizes.fan_out_batches * BATCH_BYTES

    def by_linkd(processes: Processes, seed: int) -> Figures:
        arguments = {"endpoint": home(processes).endpoint, "link": MEMORY, "batches": batches}
        consumers = [processes.role("linkd_roles", "read_batches", **arguments) for _ in range(sizes.consumers)]
        producer = processes.role("linkd_roles", "publish_batches", **arguments, seed=seed)
        return handed_over(processes, producer, consumers, size_bytes)

    def by_flight(*, unix: bool) -> Round:
        def once(processes: Processes, seed: int) -> Figures:
            location = flight_relay(processes, unix=unix, consumers=sizes.consumers)
            consumers = [
                processes.role("flight_roles", "read_batches", location=location, consumer=number) for number in range(sizes.consumers)
            ]
            producer = processes.role("flight_roles", "publish_batches", location=location, batches=batches, seed=seed)
            return handed_over(processes, producer, consumers, size_bytes)

        return once

    tcp, uds = FLIGHT
    entrants = [Entrant("linkd", by_linkd), Entrant(tcp, by_flight(unix=False)), Entrant(uds, by_flight(unix=True))]
    what = f"{size_bytes / 1e9:.2f} GB to {sizes.consumers} consumers that each read every column; MB/s of all of them together"
    return [Scenario(f"fan-out to {sizes.consumers}", what, entrants, (Bar("mb_s", "linkd", 8.0, FLIGHT),))]
