"""How much is measured: the sizes the figures are about, and small ones that only show that it works."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sizes:
    """Amounts of one round of one entrant; slow ones get fewer records, for what is compared is the rate."""

    batches: int
    """Of 4 MiB each, all different, in the memory of the producer before the clock runs."""
    fan_out_batches: int
    consumers: int
    records: int
    slow_records: int
    """For who takes a few thousand a second."""
    messages: int
    singles: int
    pauses_s: float
    """Between records whose delivery is timed: nothing else happens meanwhile."""
    load_mb_s: float
    idle_s: float
    grown: int


LARGE = Sizes(
    batches=512, fan_out_batches=64, consumers=8, records=300_000, slow_records=15_000, messages=1_500, singles=1_000, pauses_s=0.01,
    load_mb_s=1_000, idle_s=10, grown=1_000,
)  # fmt: skip
SMALL = Sizes(
    batches=6, fan_out_batches=4, consumers=2, records=2_000, slow_records=200, messages=20, singles=20, pauses_s=0.005,
    load_mb_s=50, idle_s=0.3, grown=10,
)  # fmt: skip
