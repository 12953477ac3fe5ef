"""What a pipeline file means for a home."""

from __future__ import annotations

import pytest

from linkd.core.layout import layout
from linkd.core.pipeline import LinkSpec, Pipeline, SinkMode


@pytest.mark.parametrize(("mode", "policy"), [("replace", "whole"), ("append", "each"), ("parts", "each")])
def test_a_sink_that_is_replaced_takes_all_at_once_and_others_value_by_value(mode: SinkMode, policy: str) -> None:
    spec = LinkSpec("totals", is_open=True, sink="out/totals.csv", mode=mode)
    made = layout(Pipeline("p", "/p", "/p/p.yaml", {"totals": spec}, {}, ""), {})
    assert made.tasks["to:totals"].inputs == (("totals", policy),)
