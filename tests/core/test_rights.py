"""Default deny, as one table: who may do what."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pure_home import TASKS

from linkd.core.rights import OUTSIDER, Identity, Rights, Role, sink_task, source_task
from linkd.errors import LinkNotFound, NotAllowed

DOUBLE, SUM_UP = Identity(Role.TASK, "double", 1), Identity(Role.TASK, "sum_up", 1)
ADAPTERS, RUN = Identity(Role.ADAPTERS, "", 1), Identity(Role.RUN, "", 1)
EVERYBODY = {"outsider": OUTSIDER, "double": DOUBLE, "sum_up": SUM_UP, "adapters": ADAPTERS, "run": RUN}
LINKS = ("numbers", "names", "names.rejects", "doubled", "total")
RIGHTS = Rights(TASKS, frozenset({"numbers"}))


def allowed(rights: Rights, who: Identity, operation: str, subject: str) -> bool:
    try:
        if operation == "publish":
            rights.publish(who, subject, source=False)
        elif operation == "source":
            rights.publish(who, subject, source=True)
        elif operation == "snapshots":
            rights.act_for(who, subject)
        elif operation == "end_task":
            rights.end_task(who, subject)
        elif operation == "supervise":
            rights.supervise(who, "runs.begin")
        else:
            getattr(rights, operation)(who, subject)
    except NotAllowed:
        return False
    return True


@pytest.mark.parametrize(
    ("operation", "subjects", "expected"),
    [
        ("publish", LINKS, {("outsider", "numbers")}),
        ("source", LINKS, {("adapters", "names"), ("adapters", "names.rejects")}),
        (
            "read",
            LINKS,
            {(who, link) for who in ("outsider", "adapters", "run") for link in LINKS}
            | {("double", "numbers"), ("sum_up", "doubled"), ("sum_up", "names")},
        ),
        (
            "describe",
            LINKS,
            {(who, link) for who in ("outsider", "adapters", "run") for link in LINKS}
            | {("double", "numbers"), ("double", "doubled"), ("sum_up", "doubled"), ("sum_up", "names"), ("sum_up", "total")},
        ),
        ("seal", LINKS, set()),
        ("replace", LINKS, set()),
        ("snapshots", tuple(TASKS), {("double", "double"), ("sum_up", "sum_up"), ("adapters", "to:total")}),
        ("end_task", tuple(TASKS), {("adapters", "to:total")} | {("run", task) for task in TASKS}),
        ("supervise", ("run",), {("run", "run")}),
    ],
)
def test_who_may_do_what(operation: str, subjects: tuple[str, ...], expected: set[tuple[str, str]]) -> None:
    found = {(name, subject) for name, who in EVERYBODY.items() for subject in subjects if allowed(RIGHTS, who, operation, subject)}
    assert found == expected


def test_staging_is_for_the_tasks_own_outputs() -> None:
    RIGHTS.stage(DOUBLE, "double", "doubled")
    with pytest.raises(NotAllowed, match=r"no output total in task double \(outputs: doubled\)"):
        RIGHTS.stage(DOUBLE, "double", "total")
    with pytest.raises(NotAllowed):
        RIGHTS.stage(SUM_UP, "double", "doubled")


def test_under_open_outsiders_append_to_and_seal_everything() -> None:
    rights = Rights({}, frozenset(), anyone=True)
    rights.publish(OUTSIDER, "anything", source=False)
    rights.seal(OUTSIDER, "anything")
    rights.replace(OUTSIDER, "anything")
    with pytest.raises(NotAllowed):
        rights.supervise(OUTSIDER, "runs.begin")
    with pytest.raises(LinkNotFound, match="no task double"):
        rights.act_for(OUTSIDER, "double")


def test_nobody_publishes_dead_letters_or_ends_their_link() -> None:
    anyone = Rights({}, frozenset(), anyone=True)
    for operation in ("publish", "source", "seal"):
        assert not allowed(anyone, OUTSIDER, operation, "events.dead")
        assert not allowed(RIGHTS, ADAPTERS, operation, "names.dead")
    assert allowed(anyone, OUTSIDER, "read", "events.dead")


def test_refusals_say_what_to_do() -> None:
    with pytest.raises(NotAllowed, match=r"with snap: snap\.publish"):
        RIGHTS.publish(DOUBLE, "doubled", source=False)
    with pytest.raises(NotAllowed, match=r"write `doubled\*` in the wiring"):
        RIGHTS.publish(OUTSIDER, "doubled", source=False)
    with pytest.raises(NotAllowed, match="LINKD_TOKEN_FILE"):
        RIGHTS.act_for(OUTSIDER, "double")


def test_names_for_describe_and_audit() -> None:
    assert [who.name for who in EVERYBODY.values()] == ["", "double", "sum_up", "adapters", "run"]
    assert (source_task("a"), sink_task("a")) == ("from:a", "to:a")


def test_artifacts_are_put_by_who_may_publish_anything_and_got_by_who_may_read() -> None:
    silent = Identity(Role.TASK, "silent", 1)
    shapes = {**TASKS, "silent": replace(TASKS["double"], inputs=(), outputs=())}
    for rights, refused in ((Rights(shapes, frozenset()), {"outsider", "silent"}), (Rights(shapes, frozenset({"numbers"})), {"silent"})):
        for name, who in {**EVERYBODY, "silent": silent}.items():
            for operation, denied in ((rights.put_artifact, name in refused), (rights.get_artifact, name == "silent")):
                if denied:
                    with pytest.raises(NotAllowed):
                        operation(who)
                else:
                    operation(who)
