"""A client's ``traceparent`` is read as W3C Trace Context says; anything else counts as none."""

from __future__ import annotations

import pytest

from watchtower.vocabulary.traces import TraceParent, traceparent

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def test_a_header_names_trace_and_parent_and_whether_it_is_kept() -> None:
    assert traceparent(f"00-{TRACE}-{SPAN}-01") == TraceParent(TRACE, SPAN, sampled=True)
    assert traceparent(f"00-{TRACE}-{SPAN}-00") == TraceParent(TRACE, SPAN, sampled=False)


def test_a_later_version_may_say_more() -> None:
    assert traceparent(f"cc-{TRACE}-{SPAN}-01-what-the-future-brings") == TraceParent(TRACE, SPAN, sampled=True)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "garbage",
        f"00-{TRACE}-{SPAN}-01-more",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-01\n",
    ],
)
def test_what_breaks_the_specification_is_none(header: str) -> None:
    assert traceparent(header) is None
