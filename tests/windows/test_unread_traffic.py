"""What nobody reads is no idleness, and its failures are failures."""

from __future__ import annotations

from typing import Any

import pytest

from tests.windows.traffic import Relay, absorbed, closed, opened
from watchtower.vocabulary.facts import Bypassed, Ending, RelayFrame
from watchtower.vocabulary.readings import Reading
from watchtower.vocabulary.reasons import ReasonKind
from watchtower.vocabulary.unread import RouteUnread, UnreadCause
from watchtower.windows import Windows, WindowSettings

RATIO, STALLED, RATE = "exchanges.error_ratio", "token_progress.stalled", "token_progress.rate"


def route(
    name: str = "/pooling", cause: UnreadCause = UnreadCause.ROUTE, ending: str = "unobserved", count: int = 10
) -> RouteUnread:
    return RouteUnread(name, cause, count, {ending: count}, {}, count * 0.1)


class Watched:
    """A relay that was watched for a minute, and what it tells next."""

    def __init__(self, **knobs: Any) -> None:
        self.relay = Relay()
        self.relay.silence(61)
        self.windows: Windows = absorbed(self.relay.facts, WindowSettings(**knobs))

    def frame(self, *routes: RouteUnread, **more: Any) -> None:
        relay = self.relay
        relay.now += 1
        frame = RelayFrame(
            **{
                "at": relay.now, "worker": 0, "pid": relay.pid, "sequence": relay.sequence, "open_exchanges": 0,
                "routes": list(routes), **more,
            }
        )  # fmt: skip
        relay.sequence += 1
        self.windows.absorb(frame)

    def read(self, name: str, over: float = 30) -> Reading:
        return self.windows.read(name, over, self.relay.now)

    def kind(self, name: str) -> ReasonKind:
        reason = self.read(name).reason
        assert reason is not None
        return reason.kind


@pytest.mark.parametrize("name", [RATE, STALLED, "inter_token_latency_seconds.p95", "exchanges.arrival_rate"])
def test_nothing_is_idle_while_requests_pass_that_nobody_reads(name: str) -> None:
    watched = Watched()
    assert watched.kind(name) is ReasonKind.IDLE
    watched.frame(route())
    assert watched.kind(name) is ReasonKind.UNOBSERVED


@pytest.mark.parametrize("cause", [UnreadCause.FORM, UnreadCause.PROTOCOL, UnreadCause.UNKNOWN])
def test_whatever_the_cause(cause: UnreadCause) -> None:
    watched = Watched()
    watched.frame(route("other", cause))
    assert watched.kind(STALLED) is ReasonKind.UNOBSERVED


def test_nor_while_such_a_request_is_under_way() -> None:
    watched = Watched()
    watched.frame(unread=1, answering=1)
    assert watched.kind(STALLED) is ReasonKind.UNOBSERVED


def test_looks_keep_nothing_from_being_idle() -> None:
    watched = Watched()
    watched.frame(route("/v1/models", UnreadCause.LOOK))
    assert watched.kind(STALLED) is ReasonKind.IDLE


def test_nor_do_requests_that_the_engine_refused_as_a_port_scan_makes_them() -> None:
    watched = Watched()
    watched.frame(route("other", ending="refused"))
    assert watched.kind(STALLED) is ReasonKind.IDLE


def test_what_is_blind_on_purpose_is_no_blindness_and_no_idleness() -> None:
    watched = Watched(known_blind=("/pooling",))
    watched.frame(route())
    watched.frame(unread=1)
    assert watched.kind(STALLED) is ReasonKind.TOO_FEW


def test_fewer_than_one_in_fifty_are_listed_only() -> None:
    watched = Watched()
    for number in range(100):
        name, at = f"x{number}", watched.relay.now
        watched.frame(news=[opened(name, at + 0.5), closed(name, at + 0.75, Ending.EMPTY)])
    assert watched.read(STALLED, over=120).reason is not None
    watched.frame(route(count=1))
    assert watched.windows.read(STALLED, 120, watched.relay.now).reason == watched.read(STALLED, 120).reason
    assert watched.read(STALLED, 120).reason.kind is ReasonKind.TOO_FEW  # type: ignore[union-attr]
    watched.frame(route(count=30))
    assert watched.read(STALLED, 120).reason.kind is ReasonKind.UNOBSERVED  # type: ignore[union-attr]


@pytest.mark.parametrize("ending", ["error", "truncated", "failed"])
def test_a_failure_on_a_route_that_nobody_reads_is_a_failure(ending: str) -> None:
    watched = Watched()
    watched.frame(route(ending=ending))
    found = watched.read(RATIO)
    assert (found.value, found.samples) == (1.0, 10)
    assert "/pooling" in found.detail


def test_one_that_fails_among_many_that_pass_is_a_small_share() -> None:
    watched = Watched()
    watched.frame(RouteUnread("/pooling", UnreadCause.ROUTE, 100, {"unobserved": 99, "error": 1}))
    assert watched.read(RATIO).value == pytest.approx(0.01)


def test_the_many_that_pass_unread_do_not_hide_the_few_that_are_read_and_fail() -> None:
    watched = Watched()
    news = [opened(f"x{n}", watched.relay.now + 0.5) for n in range(10)]
    watched.frame(news=news)
    news = [closed(f"x{n}", watched.relay.now + 0.5, Ending.ERROR, 500) for n in range(10)]
    watched.frame(RouteUnread("/pooling", UnreadCause.ROUTE, 1000, {"unobserved": 999, "error": 1}), news=news)
    assert watched.read(RATIO).value == 1.0


@pytest.mark.parametrize(
    ("told", "value"),
    [
        (route("/v1/models", UnreadCause.LOOK, "error"), 1.0),
        (route("/health", UnreadCause.LOOK, "error"), None),
        (route("/v1/models", UnreadCause.LOOK, "unobserved"), None),
        (route("other", UnreadCause.PROTOCOL, "unobserved"), None),
        (route(ending="client_left"), None),
        (route(ending="refused"), None),
    ],
)
def test_a_look_that_fails_counts_and_a_health_check_that_fails_does_not(
    told: RouteUnread, value: float | None
) -> None:
    watched = Watched()
    watched.frame(told)
    assert watched.read(RATIO).value == value


def test_what_a_worker_counted_before_we_came_lies_in_no_window() -> None:
    watched = Watched()
    watched.frame(route(count=500), pid=99, sequence=0)
    assert watched.windows.read(RATIO, 1, watched.relay.now).value is None
    watched.frame(route(count=500), pid=99, sequence=1)
    watched.windows.absorb(RelayFrame(at=watched.relay.now, worker=0, pid=99, sequence=2, open_exchanges=0))
    assert watched.windows._intake.unread.counts(30, watched.relay.now).asks == 0


def test_only_the_seconds_of_the_window_count() -> None:
    watched = Watched()
    watched.frame(route())
    for _ in range(20):
        watched.frame()
    assert watched.read(STALLED, over=30).reason.kind is ReasonKind.UNOBSERVED  # type: ignore[union-attr]
    assert watched.read(STALLED, over=10).reason.kind is ReasonKind.IDLE  # type: ignore[union-attr]


def test_a_bypassed_relay_makes_every_reading_of_the_traffic_unreadable_and_so_does_the_hole_it_leaves() -> None:
    watched = Watched()
    watched.frame(bypassed=Bypassed("anna", "is it us?", 1_767_225_600.0))
    for name in (RATE, STALLED, RATIO, "inter_token_latency_seconds.p95"):
        reason = watched.read(name).reason
        assert reason is not None
        assert reason.kind is ReasonKind.UNREADABLE
        assert "bypassed by anna since 2026-01-01T00:00Z" in reason.text
    watched.frame()
    assert watched.kind(RATE) is ReasonKind.UNREADABLE, "the window reaches back into it"
    for _ in range(31):
        watched.frame()
    assert watched.kind(RATE) is ReasonKind.IDLE
