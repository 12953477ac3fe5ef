"""How a process ended is told by name where there is one."""

from __future__ import annotations

import pytest

from linkd.core.exit_codes import ending, how_it_died


@pytest.mark.parametrize(
    ("code", "words", "in_short"),
    [
        (0, "exited with code 0", "exit code 0"),
        (3, "exited with code 3", "exit code 3"),
        (-9, "was killed by SIGKILL", "signal 9"),
        (137, "exited with code 137 (killed by SIGKILL)", "exit code 137"),
        (255, "exited with code 255", "exit code 255"),
    ],
)
def test_an_exit_code_is_told_in_words(code: int, words: str, in_short: str) -> None:
    assert (ending(code), how_it_died(code)) == (words, in_short)
