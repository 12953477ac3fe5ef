"""What the home itself begins and ends while a run goes on: tasks that begin again because their inputs were idle, and open places.

A run that follows has tasks whose inputs never end; `core.following` says when one of them begins again. An *open place* is a task whose
program is not of this run (`linkd run --without`): nobody reports its exit, so the home sees for itself that it is complete.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from linkd.core import following, runs
from linkd.core.following import Following, Moment
from linkd.core.tasks import End
from linkd.home.changes import ANY, task_topic
from linkd.home.composing import next_snapshot
from linkd.home.home import Home
from linkd.limits import FOLLOW_EVERY_S, WATCH_INTERVAL_S


@dataclass(slots=True)
class Conductor:
    """Runs as long as its home does, in a task of the process: `await Conductor(home).run()`."""

    home: Home
    _seen: dict[str, int] = field(default_factory=dict)
    _changed_s: dict[str, float] = field(default_factory=dict)

    async def run(self) -> None:
        """Until cancelled, or until the disk refuses (the home tells that itself)."""
        while not self.home.failure:
            with self.home.changes.watch("run", "storage") as begun:
                while not self._has_work():
                    await begun.wait()
                    if self.home.failure:
                        return
            with self.home.changes.watch(ANY) as watch:
                while self._has_work() and not self.home.failure:
                    delay_s = await self._step()
                    await watch.wait(delay_s)
                    await self._settle()

    def _has_work(self) -> bool:
        run = self.home.ledger.run
        running = run is not None and self.home.ledger.run_outcome == "running" and not self.home.draining
        return running and ((run is not None and run.follow) or bool(self.home.conduct.open_places))

    async def _settle(self) -> None:
        """Changes come in bursts: what happens within a moment is looked at once."""
        with self.home.changes.watch("drain") as drain:
            await drain.wait(WATCH_INTERVAL_S)

    async def _step(self) -> float | None:
        """Does what is due; returns the seconds until something will be if nothing changes before."""
        await self._end_open_places()
        run = self.home.ledger.run
        if run is None or not run.follow or self.home.paused:
            return None
        found = Following(self.home.ledger, self._moment()).look()
        for task in found.due:
            await self.home.room()
            if self.home.paused or task not in Following(self.home.ledger, self._moment()).look().due:
                continue  # it changed while the store had no room
            self.home.admit(following.begin_again(self.home.ledger, task, self.home.layout.links), durable=False)
            self.home.changes.announce([task_topic(task.name)])
        return max(found.next_s - self.home.clock.monotonic_s(), 0.0) if found.next_s is not None else None

    def _moment(self) -> Moment:
        now_s = self.home.clock.monotonic_s()
        for link in self.home.ledger.links.values():
            if self._seen.get(link.name) != link.durable_sequence:
                self._seen[link.name], self._changed_s[link.name] = link.durable_sequence, now_s
        return Moment(now_s, self._changed_s, self.home.conduct.every_s, FOLLOW_EVERY_S)

    async def _end_open_places(self) -> None:
        for name in self.home.conduct.open_places:
            task = self.home.ledger.tasks.get(name)
            if task is None or task.ended or task.leases or not isinstance(next_snapshot(self.home, task), End):
                continue
            await self.home.room()
            records = runs.task_exited(self.home.ledger, task, self.home.clock.now_ns())
            if records:
                self.home.admit(records, durable=False)
                self.home.changes.announce([task_topic(name)])
