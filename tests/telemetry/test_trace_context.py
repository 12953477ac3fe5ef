"""W3C Trace Context: what is read, what is written, and how spans hang together."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkd.telemetry.trace_context import (
    FLAG_SAMPLED,
    Span,
    SpanContext,
    TraceIds,
    format_traceparent,
    parent_and_links,
    parse_traceparent,
)

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"
CONTEXTS = st.builds(
    SpanContext,
    st.integers(1, 2**128 - 1),
    st.integers(1, 2**64 - 1),
    st.integers(0, 255),
)


def test_the_example_of_the_recommendation_is_read() -> None:
    assert parse_traceparent(f"00-{TRACE}-{SPAN}-01") == SpanContext(int(TRACE, 16), int(SPAN, 16), FLAG_SAMPLED)


@given(CONTEXTS)
def test_what_is_written_is_read_again(context: SpanContext) -> None:
    text = format_traceparent(context)
    assert len(text) == 55
    assert parse_traceparent(text) == context


@pytest.mark.parametrize(
    "text",
    [
        "",
        "00",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-01 ",
        f" 00-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01\n",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[:-1]}g-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-01-more",
        f"ff-{TRACE}-{SPAN}-01",
        f"cc-{TRACE}-{SPAN}-01more",
        f"00_{TRACE}_{SPAN}_01",
        f"00-{'١' * 32}-{SPAN}-01",
    ],
)
def test_what_is_invalid_starts_a_new_trace(text: str) -> None:
    assert parse_traceparent(text) is None


@pytest.mark.parametrize("rest", ["", "-", "-what-a-later-version-says"])
def test_a_later_version_is_read_as_far_as_it_is_known(rest: str) -> None:
    context = parse_traceparent(f"cc-{TRACE}-{SPAN}-ff{rest}")
    assert context == SpanContext(int(TRACE, 16), int(SPAN, 16), FLAG_SAMPLED)


@given(st.text(max_size=80))
def test_no_text_makes_the_reader_fail(text: str) -> None:
    context = parse_traceparent(text)
    assert context is None or context.trace_id


def test_no_context_is_no_header() -> None:
    assert format_traceparent(None) == ""


def test_identities_come_from_the_source_given_and_are_never_zero() -> None:
    answers = iter([bytes(16), (7).to_bytes(16, "big"), bytes(8), bytes(8), (9).to_bytes(8, "big")])
    ids = TraceIds(lambda size_bytes: next(answers))
    assert ids.new_trace_id() == 7
    assert ids.new_span_id() == 9


def test_equal_seeds_give_equal_identities() -> None:
    one, other = TraceIds(random.Random(4).randbytes), TraceIds(random.Random(4).randbytes)
    assert [one.new_trace_id(), one.new_span_id()] == [other.new_trace_id(), other.new_span_id()]


def span(parent: SpanContext | None, *links: SpanContext) -> Span:
    return Span(SpanContext(1, 10), parent, 0, 1, links)


def test_a_parent_of_the_same_trace_is_the_parent() -> None:
    assert span(SpanContext(1, 5), SpanContext(2, 6)).relations() == (SpanContext(1, 5), (SpanContext(2, 6),))


def test_a_parent_of_another_trace_is_a_link() -> None:
    assert span(SpanContext(2, 5), SpanContext(3, 6)).relations() == (None, (SpanContext(2, 5), SpanContext(3, 6)))


def test_a_link_is_told_once_and_never_beside_the_same_parent() -> None:
    parent, other = SpanContext(1, 5), SpanContext(2, 6)
    assert span(parent, other, parent, other).relations() == (parent, (other,))


def test_values_of_the_run_carry_its_trace_on() -> None:
    root, value = SpanContext(1, 1), SpanContext(1, 2)
    assert parent_and_links(root, [value]) == (value, ())


def test_values_of_an_earlier_run_are_links_below_the_run() -> None:
    root, old = SpanContext(1, 1), SpanContext(9, 2)
    assert parent_and_links(root, [old, old]) == (root, (old,))


def test_of_several_values_the_first_of_the_run_is_the_parent() -> None:
    root, old, first, second = SpanContext(1, 1), SpanContext(9, 2), SpanContext(1, 3), SpanContext(1, 4)
    assert parent_and_links(root, [old, first, second]) == (first, (old, second))


def test_without_a_run_the_first_cause_is_the_parent() -> None:
    first, second = SpanContext(1, 3), SpanContext(2, 4)
    assert parent_and_links(None, [first, second]) == (first, (second,))
    assert parent_and_links(None, []) == (None, ())


@given(st.none() | CONTEXTS, st.lists(CONTEXTS, max_size=6))
def test_no_cause_is_lost_and_a_run_stays_one_trace(root: SpanContext | None, causes: list[SpanContext]) -> None:
    parent, links = parent_and_links(root, causes)
    assert {parent, *links} >= set(causes)
    assert len(set(links)) == len(links)
    assert parent not in links
    if root is not None:
        assert parent is not None
        assert parent.trace_id == root.trace_id
