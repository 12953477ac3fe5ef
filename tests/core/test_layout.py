"""What a pipeline file means for a home."""

from __future__ import annotations

import pytest

from linkd.core.dead_letters import DEAD_LETTER_TERMS
from linkd.core.layout import layout
from linkd.core.pipeline import InputSpec, LinkSpec, Pipeline, SinkMode, TaskSpec
from linkd.model.records import TaskKind
from linkd.model.terms import LinkTerms, TaskTerms


@pytest.mark.parametrize(("mode", "policy"), [("replace", "whole"), ("append", "each"), ("parts", "each")])
def test_a_sink_that_is_replaced_takes_all_at_once_and_others_value_by_value(mode: SinkMode, policy: str) -> None:
    spec = LinkSpec("totals", is_open=True, sink="out/totals.csv", mode=mode)
    made = layout(Pipeline("p", "/p", "/p/p.yaml", {"totals": spec}, {}, ""), {})
    assert made.tasks["to:totals"].inputs == (("totals", policy),)


def test_a_task_that_may_give_up_has_a_link_for_what_it_gave_up_on_which_is_none_of_its_outputs() -> None:
    links = {"a": LinkSpec("a", is_open=True), "b": LinkSpec("b", writer="t")}
    task = TaskSpec("t", TaskKind.RUN, (InputSpec("a", "each"),), ("b",), terms=TaskTerms(max_attempts=3))
    made = layout(Pipeline("p", "/p", "/p/p.yaml", links, {"t": task}, ""), {})
    assert made.links["t.dead"].writer == "t"
    assert made.tasks["t"].outputs == ("b",)
    assert made.terms("t.dead") == made.terms("a.dead") == DEAD_LETTER_TERMS
    assert made.terms("a") == made.terms("whatever") == LinkTerms()
