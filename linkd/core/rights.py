"""Who may do what to which link: default deny. A task may do what its wiring says and no more. Pure.

Roles: a *task* of the pipeline (also a SQL child acting for one), the *adapters* worker (sources and sinks), the supervisor of the *run*, and
*outsiders*: whoever can open the socket (mode 0600) without a token.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

from linkd.core.dead_letters import is_dead_link
from linkd.core.tasks import SINK_PREFIX, SOURCE_PREFIX, TaskShape
from linkd.errors import LinkNotFound, NotAllowed
from linkd.model.frozen import frozen
from linkd.model.records import TaskKind


class Role(enum.StrEnum):
    OUTSIDER = "outsider"
    TASK = "task"
    ADAPTERS = "adapters"
    RUN = "run"


@frozen()
class Identity:
    """Who calls. `task` is set for the role TASK; `epoch` is that of the run whose token was shown (0: none was)."""

    role: Role
    task: str = ""
    epoch: int = 0

    @property
    def name(self) -> str:
        """For describe and audit: the task's name, the role of linkd's own processes, or "" for an outsider."""
        return self.task or ("" if self.role is Role.OUTSIDER else str(self.role))


OUTSIDER = Identity(Role.OUTSIDER)


@frozen()
class Rights:
    """The rules of one pipeline. `open_links` are those that outsiders may append to (`in*`); `anyone` is `--open`: every link is."""

    tasks: Mapping[str, TaskShape]
    open_links: frozenset[str]
    anyone: bool = False

    def publish(self, who: Identity, link: str, *, source: bool) -> None:
        """Publishing at once, not through a snapshot. `source` says that a source's position comes with it."""
        if is_dead_link(link):
            raise NotAllowed(f"{link} holds dead letters, which linkd itself writes: publish to another link")
        if who.role is Role.ADAPTERS and source and (SOURCE_PREFIX + link in self.tasks or self._writer_of_rejects(link)):
            return
        if who.role is Role.OUTSIDER and not source and (self.anyone or link in self.open_links):
            return
        if who.role is Role.TASK and link in self._shape(who).outputs:
            raise NotAllowed(
                f"{who.task} publishes to {link} through its snapshots only, for only these are recognised after a restart: "
                f"`with snap: snap.publish('{link}', ...)`"
            )
        if who.role is Role.TASK:
            raise NotAllowed(f"{who.task} may not publish to {link}: its wiring names {self._outputs(who)} as its outputs")
        remedy = f"to let people and programs outside append to it, write `{link}*` in the wiring"
        raise NotAllowed(f"{link} is written by the pipeline itself; {remedy}")

    def open_producer(self, who: Identity) -> None:
        """Numbering publishes under a name: for those who publish at once."""
        if who.role is not Role.OUTSIDER or not (self.anyone or self.open_links):
            raise NotAllowed(
                f"{who.name} publishes through its snapshots, whose commits happen once without a producer"
                if who.role is Role.TASK
                else "there is no link in this pipeline that people and programs outside may append to: write `LINK*` in the wiring"
            )

    def stage(self, who: Identity, task: str, link: str) -> None:
        """Staging a value for a commit of `task`."""
        self.act_for(who, task)
        if link not in self.tasks[task].outputs:
            outputs = ", ".join(self.tasks[task].outputs) or "it has none"
            raise NotAllowed(f"no output {link} in task {task} (outputs: {outputs})")

    def act_for(self, who: Identity, task: str) -> TaskShape:
        """Taking snapshots of `task` and committing them."""
        if not task:
            raise NotAllowed(
                "snapshots are for the tasks of a pipeline, and no task was named: connect with task='NAME' (or set LINKD_TOKEN_FILE)"
            )
        shape = self.tasks.get(task)
        if shape is None:
            raise LinkNotFound(f"there is no task {task} in this pipeline")
        if who.role is Role.TASK and who.task == task:
            return shape
        if who.role is Role.ADAPTERS and shape.kind is TaskKind.SINK:
            return shape
        raise NotAllowed(
            f"only {task} itself may take its snapshots: set LINKD_TOKEN_FILE to its token, or connect with task='{task}'"
            if who.role is Role.OUTSIDER
            else f"{who.name} may not take the snapshots of {task}"
        )

    def read(self, who: Identity, link: str) -> None:
        """Reading, subscribing, and naming a link in a query."""
        if who.role is not Role.TASK:
            return
        shape = self._shape(who)
        if link not in {name for name, _ in shape.inputs}:
            inputs = ", ".join(name for name, _ in shape.inputs) or "it has none"
            raise NotAllowed(f"{who.task} may not read {link}: its wiring names other inputs ({inputs})")

    def describe(self, who: Identity, link: str) -> None:
        """Asking what a link is: a task may know its outputs too, which it cannot read."""
        if who.role is not Role.TASK or link not in self._shape(who).outputs:
            self.read(who, link)

    def seal(self, who: Identity, link: str) -> None:
        if is_dead_link(link):
            raise NotAllowed(f"{link} holds dead letters and has no end: further ones may come at any time")
        if not (self.anyone and who.role is Role.OUTSIDER):
            raise NotAllowed(f"linkd itself seals {link}: when its source is read, or its task has exited with code 0")

    def replace(self, who: Identity, link: str) -> None:
        """Publishing what takes the place of all that a link holds, beside the right to publish."""
        if not (self.anyone and who.role is Role.OUTSIDER):
            raise NotAllowed(
                f"{link} is a link of a pipeline, of which the generations are the runs': append to it instead of replacing it"
            )

    def seek(self, who: Identity, link: str) -> None:
        """Moving a consumer group: they are the outsiders' own."""
        if who.role is Role.TASK:
            raise NotAllowed(f"{who.task} may not move consumer groups of {link}: they belong to programs outside of the pipeline")

    def end_task(self, who: Identity, task: str) -> None:
        """Saying that a task is complete: of programs their supervisor says it, of sinks the adapter worker."""
        shape = self.tasks.get(task)
        if who.role is not Role.ADAPTERS or shape is None or shape.kind is not TaskKind.SINK:
            self.supervise(who, "runs.task_exited")

    def supervise(self, who: Identity, operation: str) -> None:
        if who.role is not Role.RUN:
            raise NotAllowed(f"{operation} is for `linkd run` only")

    def put_artifact(self, who: Identity) -> None:
        """Putting content that a value will name: for those who may publish values."""
        if who.role is Role.TASK and not self._shape(who).outputs:
            raise NotAllowed(f"{who.task} has no outputs, so no value of it can name an artifact: it may not put any")
        if who.role is Role.OUTSIDER and not (self.anyone or self.open_links):
            raise NotAllowed(
                "there is no link in this pipeline that people and programs outside may append to, so they put no artifacts: write `LINK*` in "
                "the wiring"
            )

    def get_artifact(self, who: Identity) -> None:
        """Getting content by its digest, which nobody knows who has neither the content nor a value that names it: for those who may read values."""
        if who.role is Role.TASK and not (self._shape(who).inputs or self._shape(who).outputs):
            raise NotAllowed(f"{who.task} has neither inputs nor outputs: it may not get artifacts")

    def _shape(self, who: Identity) -> TaskShape:
        return self.tasks[who.task]

    def _outputs(self, who: Identity) -> str:
        return ", ".join(self._shape(who).outputs) or "none"

    def _writer_of_rejects(self, link: str) -> bool:
        return any(shape.kind is TaskKind.SOURCE and link in shape.outputs for shape in self.tasks.values())


def source_task(link: str) -> str:
    """The name of the task that is the source of `link`."""
    return SOURCE_PREFIX + link


def sink_task(link: str) -> str:
    """The name of the task that is the sink of `link`."""
    return SINK_PREFIX + link
