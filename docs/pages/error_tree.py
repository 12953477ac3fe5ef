"""`errors.md`: the tree, and of each class what programs and people make of it; all of it from `linkd.errors`."""

from __future__ import annotations

from collections.abc import Iterator

from linkd import errors
from pages.markdown import code, document, indented_block, sentence, table, ticked

EXIT_CODES = {
    errors.EXIT_DONE: "done",
    errors.EXIT_TASK_FAILED: "a task failed",
    errors.EXIT_USAGE: "the file or the command is wrong",
    errors.EXIT_BAD_DATA: "bad data",
    errors.EXIT_STATE: "the state is in use or damaged",
    errors.EXIT_INTERNAL: "linkd itself, or the machine below it, failed: run it again",
    errors.EXIT_INTERRUPTED: "Ctrl-C",
}
HEADINGS = ("class", "code", "exit", "again", "what to do")


def page() -> str:
    families = sorted(errors.Error.__subclasses__(), key=_place)
    return document(
        "Errors",
        "Everything linkd raises on purpose is a `linkd.Error`. Each message says what happened, to what, and what to do; what is said here "
        "holds in general. `code` is stable, and the same on the wire; `exit` is the exit code of the command `linkd`; `again` says that the "
        "same call may succeed later (`retryable`).",
        code(indented_block(errors.__doc__)),
        *(part for family in families for part in _family(family)),
        "## Exit codes",
        exit_codes(),
    )


def exit_codes() -> str:
    return table(("code", "meaning"), ((f"`{number}`", meaning) for number, meaning in EXIT_CODES.items()))


def _family(family: type[errors.Error]) -> Iterator[str]:
    yield f"## {family.__name__}"
    members = sorted(_descendants(family), key=_place)
    yield sentence(family.__doc__)
    yield table(HEADINGS, map(_row, [family, *members]))


def _descendants(error: type[errors.Error]) -> Iterator[type[errors.Error]]:
    for kind in error.__subclasses__():
        yield kind
        yield from _descendants(kind)


def _row(error: type[errors.Error]) -> tuple[str, ...]:
    again = "yes" if error.retryable else "no"
    advice = "" if error in errors.Error.__subclasses__() else sentence(error.__doc__)
    return (ticked(error.__name__), ticked(error.code), str(error.exit_code), again, advice or "as above")


def _place(error: type[errors.Error]) -> int:
    """The order of the tree."""
    return list(vars(errors)).index(error.__name__)
