"""The tables of this folder can be believed: a name that no test has is told from one that a test has."""

from __future__ import annotations

import pytest
from index import exists

HERE = "tests/findings/test_index.py"


def test_a_test_is_found_by_its_node_id_with_parameters_or_without() -> None:
    assert exists(f"{HERE}::test_a_test_is_found_by_its_node_id_with_parameters_or_without")
    assert exists(f"{HERE}::test_what_is_no_test_is_not_found[a file alone]")


@pytest.mark.parametrize(
    "node_id",
    [HERE, f"{HERE}::", f"{HERE}::test_of_nothing", f"{HERE}::exists", "tests/findings/test_nowhere.py::test_of_nothing", "tests::test_x"],
    ids=["a file alone", "no name", "no such test", "no test at all", "no such file", "a folder"],
)
def test_what_is_no_test_is_not_found(node_id: str) -> None:
    assert not exists(node_id)
