"""A pipeline with everybody around it, and the machine that it is on. See the head of the package."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from pathlib import Path

from linkd.core import runs
from linkd.core.links import LinkShape
from linkd.core.publishing import Maker
from linkd.core.runs import RunPlan
from linkd.core.tasks import TaskShape
from linkd.errors import StorageFailed, StorageFull
from linkd.model.records import HoldReleased, TaskKind
from linkd.model.terms import LinkTerms, OnFull, Order, Retain, TaskTerms
from linkd.model.values import Durability
from linkd.testing.simulation.consumers import Consumers
from linkd.testing.simulation.dice import Dice
from linkd.testing.simulation.outsiders import NumberedClient, new_publish, send
from linkd.testing.simulation.programs import Program, Source
from linkd.testing.simulation.simulated_home import REFUSED, Machine, SimulatedHome, numbers_in_segments
from linkd.testing.simulation.step_loop import StepLoop
from linkd.testing.simulation.witness import Stop, Witness

Step = tuple[str, int]
"""What is done, and the number that its choices are taken from."""

_FEW, _WEAK = Retain(values=12), Durability.INTERVAL
BOUND_BYTES = 2_000
"""Of links with a bound: some small values, or two large ones."""
LINKS = (
    LinkShape("numbers", "", terms=LinkTerms(retain=_FEW)),
    LinkShape("fast", "", terms=LinkTerms(durability=_WEAK, interval_s=0.1, retain=_FEW)),
    LinkShape("loose", "", terms=LinkTerms(durability=Durability.MEMORY, retain=Retain(age_s=60.0, values=12))),
    LinkShape("waits", "", terms=LinkTerms(bound_bytes=BOUND_BYTES)),
    LinkShape("sheds", "", terms=LinkTerms(bound_bytes=BOUND_BYTES, on_full=OnFull.DROP_OLDEST)),
    LinkShape("spurns", "", terms=LinkTerms(bound_bytes=BOUND_BYTES, on_full=OnFull.DROP_NEWEST)),
    LinkShape("events", "from:events"),
    LinkShape("doubled", "double"),
    LinkShape("windows", "window"),
    LinkShape("relayed", "relay", terms=LinkTerms(durability=Durability.MEMORY)),
    LinkShape("total", "sum_up"),
)
TASKS = {
    shape.name: shape
    for shape in (
        TaskShape("from:events", TaskKind.SOURCE, (), ("events",)),
        TaskShape("double", TaskKind.RUN, (("numbers", "each"),), ("doubled",), TaskTerms(order=Order.NONE)),
        TaskShape("window", TaskKind.RUN, (("numbers", "[3/2]"),), ("windows",)),
        TaskShape("relay", TaskKind.RUN, (("fast", "each"), ("loose", "each")), ("relayed",)),
        TaskShape("sum_up", TaskKind.RUN, (("doubled", "whole"), ("events", "whole")), ("total",)),
    )
}
SOURCE_LINES = 25
RUN_VALUES_MAX = 60
"""With so many values in an output a run begins afresh, so that its links stay short enough to be read whole after every crash."""
WEIGHTS = {
    "publish": 6,
    "send": 4,
    "consume": 32,
    "work": 40,
    "read_source": 3,
    "sync": 20,
    "tidy": 4,
    "retain": 2,
    "seek": 1,
    "hold": 1,
    "look": 1,
    "wait": 1,
    "begin": 1,
}
FAULTS = {
    "lose_power": 4,
    "be_killed": 4,
    "stop": 3,
    "cut_power_soon": 4,
    "fail_a_sync": 2,
    "fill_disk": 4,
    "empty_disk": 6,
    "refuse": 1,
    "jump": 2,
}
FAULT_ONCE_IN = 100
"""Of so many steps one is a fault, of the kinds above by their weight."""


class World:
    """Takes steps; `witness` is told what everybody is told. The index is a real file at `catalog`."""

    def __init__(self, catalog: Path, witness: Witness) -> None:
        self.witness = witness
        self._loop = StepLoop()  # type: ignore[abstract]  # as much of a loop as is asked for
        self._machine = Machine(catalog)
        self._numbers = 0
        self._sessions = 0
        self._outsiders = [
            NumberedClient("sensor", ("numbers",), witness, self._new_number),
            NumberedClient("sensor", ("numbers",), witness, self._new_number),
            NumberedClient("~anonymous", ("numbers",), witness, self._new_number),
        ]
        self._groups = [
            Consumers("readers", "numbers", Order.LINK, 2, witness, self._new_number),
            Consumers("workers", "numbers", Order.NONE, 2, witness, self._new_number, max_attempts=2),
            Consumers("keyed", "numbers", Order.KEY, 3, witness, self._new_number, max_attempts=2),
            Consumers("late", "doubled", Order.LINK, 1, witness, self._new_number),
            Consumers("quick", "fast", Order.NONE, 2, witness, self._new_number),
            Consumers("light", "loose", Order.LINK, 1, witness, self._new_number),
            *(Consumers("few", link, Order.NONE, 2, witness, self._new_number) for link in ("waits", "sheds", "spurns")),
        ]
        self._source = Source("events", SOURCE_LINES, witness, self._new_number)
        outputs = {"double": "doubled", "window": "windows", "relay": "relayed", "sum_up": "total"}
        self._programs = [Program(name, output, witness, self._new_number) for name, output in outputs.items()]
        self._actions: dict[str, Callable[[Dice], None]] = {name: getattr(self, "_" + name) for name in (*WEIGHTS, *FAULTS)}
        self._open(Dice(0))

    def take(self, step: Step) -> None:
        """One step. A home that the disk has refused has ended by the next one."""
        name, number = step
        dice = Dice(number)
        try:
            with contextlib.suppress(*REFUSED):  # somebody is told to come again
                self._actions[name](dice)
            self._loop.drain()
        except (StorageFailed, StorageFull):
            self.home.failure = self.home.failure or "the disk refused"
        if self.home.failure:
            self._end(Stop.POWER, dice)

    def finish(self) -> None:
        """The disk is in order, and everybody is done with what there is: what was acked is there."""
        self._machine.files.fill(None)
        self._stop(Dice(0))
        self._look_at_all()
        self.home.close()

    def close(self) -> None:
        """Ends in the middle of it all."""
        self.home.abandon()

    # -- everybody ------------------------------------------------------------------------------------------------------------------------

    def _new_number(self) -> int:
        self._numbers += 1
        return self._numbers

    def _new_session(self) -> int:
        self._sessions += 1
        return self._sessions

    @property
    def _now_ns(self) -> int:
        return self._machine.clock.now_ns()

    @property
    def _now_s(self) -> float:
        return self._machine.clock.monotonic_s()

    def _publish(self, dice: Dice) -> None:
        publish = new_publish(dice.one_of(("numbers", "fast", "fast", "loose", "waits", "sheds", "spurns")), dice, self._new_number)
        gets_lost = dice.once_in(4)
        send(
            self.home,
            publish,
            Maker(),
            self._now_ns,
            lambda told, durable: None if gets_lost else self.witness.told(told, durable=durable),
            self.witness,
        )

    def _send(self, dice: Dice) -> None:
        dice.one_of(self._outsiders).step(self.home, dice, self._now_ns)

    def _consume(self, dice: Dice) -> None:
        dice.one_of(self._groups).step(self.home, dice, self._now_ns, self._now_s, self._new_session())

    def _seek(self, dice: Dice) -> None:
        dice.one_of(self._groups).seek(self.home, dice)

    def _hold(self, dice: Dice) -> None:
        """Somebody holds values of a link for some time, or holds others instead; or releases what is held."""
        name, link = dice.one_of(("export", "query")), self.home.ledger.links[dice.one_of(("numbers", "fast", "doubled"))]
        generation = link.generations[dice.one_of(sorted(link.generations))] if link.generations else None
        if dice.once_in(3):
            self.home.release([HoldReleased(name)] if name in self.home.ledger.holds else [])
        elif generation is not None and generation.kept_sequence <= generation.last_sequence:
            first = generation.kept_sequence + dice.below(generation.last_sequence - generation.kept_sequence + 1)
            until_ns = self._now_ns + dice.one_of((1, 40)) * 10**9
            self.home.hold(name, link.name, generation.number, first, generation.last_sequence, until_ns)

    def _work(self, dice: Dice) -> None:
        dice.one_of(self._programs).step(self.home, dice, self._now_ns, self._now_s)

    def _read_source(self, dice: Dice) -> None:
        self._source.step(self.home, dice, self._now_ns)

    def _look(self, dice: Dice) -> None:
        self._look_at(dice.one_of(list(self.home.ledger.links)))

    # -- the home -------------------------------------------------------------------------------------------------------------------------

    def _sync(self, dice: Dice) -> None:
        self.home.sync()

    def _tidy(self, dice: Dice) -> None:
        self.home.tidy()

    def _retain(self, dice: Dice) -> None:
        self.home.retain()

    def _wait(self, dice: Dice) -> None:
        self._machine.clock.advance((0.05, 0.2, 5.0, 31.0)[dice.below(4)])

    def _begin(self, dice: Dice) -> None:
        """A run begins: where everything was left, or afresh when it is complete, or at times."""
        ledger = self.home.ledger
        many = any(link.current is not None and link.current.values > RUN_VALUES_MAX for link in ledger.links.values())
        fresh = ledger.run is None or many or runs.is_complete(ledger) or dice.once_in(6)
        ledger.epoch += 1
        plan = RunPlan(f"run {ledger.epoch}", ledger.epoch, fresh, "", LINKS, list(TASKS.values()), follow=dice.once_in(4))
        self.home.admit(runs.begin(ledger, plan, self._now_ns))
        self.witness.run_began()
        for program in self._programs:
            program.fenced()
            program.disconnected(self.home, self._new_session)

    def _look_at_all(self) -> None:
        for name in self.home.ledger.links:
            self._look_at(name)

    def _look_at(self, link: str) -> None:
        durable = self.home.terms(link).durability is Durability.FSYNC
        self.witness.found(link, list(self.home.values(link)), durable=durable)

    # -- the machine ----------------------------------------------------------------------------------------------------------------------

    def _lose_power(self, dice: Dice) -> None:
        self._end(Stop.POWER, dice)

    def _be_killed(self, dice: Dice) -> None:
        self._end(Stop.KILLED, dice)

    def _stop(self, dice: Dice) -> None:
        """A clean stop; what there is no room for at the end has failed, or if it is a copy stays where it is."""
        self.home.close()
        if not self.home.closed_well:
            self._end(Stop.POWER, dice)
            return
        for link in self.home.ledger.links if self._machine.files.may_grow else ():
            self.witness.folded(link, numbers_in_segments(self._machine.files, link))
        self._end(Stop.CLEAN, dice)

    def _cut_power_soon(self, dice: Dice) -> None:
        self._machine.files.cut_power_after(dice.below(60))

    def _fail_a_sync(self, dice: Dice) -> None:
        self._machine.files.fail_a_sync()

    def _fill_disk(self, dice: Dice) -> None:
        self._machine.files.fill(dice.below(4) * 1000)

    def _empty_disk(self, dice: Dice) -> None:
        self._machine.files.fill(None)

    def _refuse(self, dice: Dice) -> None:
        self._machine.files.refuse(dice.one_of(("write", "sync", "create")), "Input/output error")

    def _jump(self, dice: Dice) -> None:
        """Somebody sets the clock on the wall."""
        self._machine.clock.jump((-400_000.0, -3.0, 3.0, 30_000_000.0)[dice.below(4)])

    def _end(self, how: Stop, dice: Dice) -> None:
        """The home is gone; the next one opens what it left."""
        machine = self._machine
        goes_on = how is not Stop.POWER or (bool(self.home.failure) and dice.once_in(2))
        survivor = machine.files.kill() if goes_on else machine.files.crash(dice.below(2**24))
        self.home.abandon()
        machine.files = survivor
        machine.boots += not goes_on
        self.witness.stopped(how)
        self._open(dice)

    def _open(self, dice: Dice) -> None:
        """Opens, and again if power fails on the way; looks at everything that is there."""
        machine = self._machine
        cuts, lost = dice.below(6), dice.once_in(10)
        while True:
            if cuts == 1:
                machine.files.cut_power_after(dice.below(8))
            if lost:
                for suffix in ("", "-wal", "-shm"):
                    machine.catalog.with_name(machine.catalog.name + suffix).unlink(missing_ok=True)
            cuts, lost = 0, False
            try:
                self.home = SimulatedHome(machine, LINKS, TASKS, self._loop, self.witness)
                break
            except StorageFailed:
                machine.files = machine.files.crash(dice.below(2**16))
                self.witness.stopped(Stop.POWER)
                machine.boots += 1
        self.home.start()
        for client in self._outsiders:
            client.disconnected()
        for group in self._groups:
            group.disconnected()
        for program in self._programs:
            program.disconnected(self.home, self._new_session)
        for name, task in self.home.ledger.tasks.items():
            self.witness.executing(name, task.execution)
        self._look_at_all()
        if self.home.ledger.run is None:
            self._begin(dice)


def steps_of(seed: int, count: int) -> list[Step]:
    """The history of a seed: so many steps."""
    chance = random.Random(seed)
    names, weights = list(WEIGHTS), list(WEIGHTS.values())
    faults, fault_weights = list(FAULTS), list(FAULTS.values())
    steps = []
    for _ in range(count):
        fault = chance.random() * FAULT_ONCE_IN < 1.0
        name = chance.choices(faults, fault_weights)[0] if fault else chance.choices(names, weights)[0]
        steps.append((name, chance.getrandbits(64)))
    return steps
