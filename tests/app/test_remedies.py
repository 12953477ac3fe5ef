"""What is added to the message that a program failed: what its last words say about how it was started."""

from __future__ import annotations

from pathlib import Path

import pytest

from linkd.app.run.remedies import remedy
from linkd.core.pipeline import FileTerms, TaskSpec
from linkd.model.records import TaskKind

SCORE = TaskSpec("score", TaskKind.RUN, (), (), command="python score.py")


@pytest.mark.parametrize("line", ["KeyError: 'LINKD_IN'", "score.sh: 1: LINKD_OUT: parameter not set"])
def test_a_program_that_looks_for_files_without_being_given_any_is_told_how(line: str) -> None:
    told = remedy(SCORE, ["Traceback (most recent call last):", line], {}, Path("/"))
    assert told == (f"\n  {line}: score is not told to meet its links as files\n  add `files: whole` to tasks.score (or `each: true`)")
    with_files = TaskSpec("score", TaskKind.RUN, (), (), command="python score.py", files=FileTerms())
    assert remedy(with_files, [line], {}, Path("/")) == ""


def test_other_failures_speak_for_themselves() -> None:
    assert remedy(SCORE, ["KeyError: 'LINKD_INPUT'", "no file"], {}, Path("/")) == ""
