"""Facts in, evidence out, on a clock moved by hand, through the real windows, rules and machine."""

from __future__ import annotations

from bisect import bisect_left
from typing import Any

import pytest

from tests.services.judging.notebook import Notebook
from watchtower.profiles import DEMO
from watchtower.remediation.decision import decide
from watchtower.remediation.interface import Canaried, EngineObserved, Event, Evidence, Record, Started, Tell
from watchtower.remediation.state import TargetState
from watchtower.rules.rule_files import load_rules, read_rules, shipped_rules
from watchtower.rules.ruleset import Ruleset
from watchtower.services.judging.baseline_learning import BaselineLearner
from watchtower.services.judging.pipeline import Pipeline
from watchtower.settings import Settings
from watchtower.testing.clock import HandClock
from watchtower.vocabulary.actions import Capabilities, Incarnation
from watchtower.vocabulary.facts import (
    CanaryEnded,
    CanaryOutcome,
    Closed,
    Ending,
    EngineSeen,
    ExchangeNews,
    Opened,
    RelayFrame,
    RelayHello,
)
from watchtower.vocabulary.incidents import NoticeKind
from watchtower.vocabulary.readings import CONDITIONS, Reading, RuleVerdict, Verdict
from watchtower.windows import Windows, WindowSettings

P95 = "inter_token_latency_seconds.p95"
FAST, SLOW = 0.03, 0.3
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class House:
    """One relay with eight streams in front of one engine, observed by a real pipeline, judged by a real machine."""

    def __init__(self, rules: Ruleset | None = None) -> None:
        self.clock = HandClock()
        sections: dict[str, Any] = {"remediation": {"profile": "demo"}}
        for path, value, _ in DEMO:
            section, _, name = path.partition(".")
            if section in ("remediation", "evidence"):
                sections.setdefault(section, {})[name] = value
        self.settings = Settings.model_validate(sections)
        evidence = self.settings.evidence
        self.notebook = Notebook(minimum_blocks=3, block_seconds=1, quarantine_seconds=4)
        self.state = TargetState(target="engine")
        self.events: list[Event] = []
        self.records: list[Record] = []
        self.told: list[Tell] = []
        self.lease = True
        self.pipeline = Pipeline(
            settings=self.settings,
            rules=rules or load_rules([shipped_rules() / "demo.yaml"]),
            windows=Windows(
                WindowSettings(
                    minimum_tokens=evidence.minimum_tokens,
                    minimum_requests=evidence.minimum_requests,
                    minimum_clusters=evidence.minimum_clusters,
                    relay_lag_seconds=evidence.relay_lag_seconds,
                    warmup_requests=self.settings.remediation.warmup_requests,
                    warmup_seconds=self.settings.remediation.warmup_seconds,
                )
            ),
            learner=BaselineLearner(self.notebook, incident_open=lambda: self.state.incident is not None),
            clock=self.clock,
            submit=self.submit,
            lease_held=lambda: self.lease,
        )
        self.sequence = 0
        self.opened = 0
        self.streams: list[str] = []
        self.submit(Started())
        at = self.clock.now().boot
        self.pipeline.on_fact(
            RelayHello(at=at, worker=0, pid=77, version="1", listening="127.0.0.1:1", upstream="http://e")
        )
        self.frame([])

    def submit(self, event: Event) -> None:
        """What the runner does, without a disk and without hands."""
        self.events.append(event)
        self.state, effects = decide(self.state, event, self.clock.now(), self.settings.remediation, Capabilities())
        self.records += [effect for effect in effects if isinstance(effect, Record)]
        self.told += [effect for effect in effects if isinstance(effect, Tell)]

    def frame(self, news: list[ExchangeNews], pid: int = 77, **more: Any) -> None:
        self.sequence += 1
        self.pipeline.on_fact(
            RelayFrame(
                at=self.clock.now().boot,
                worker=0,
                pid=pid,
                sequence=self.sequence,
                open_exchanges=len(self.streams),
                news=news,
                **more,
            )
        )

    def serve(self, gap: float) -> None:
        """A quarter of a second of traffic: one stream ends and another begins, the others get their tokens."""
        at = self.clock.advance(0.25).boot
        news = []
        if len(self.streams) == 8:
            over = self.streams.pop(0)
            news.append(ExchangeNews(id=over, closed=Closed(at=at, ending=Ending.COMPLETE, status=200)))
        each = max(1, round(0.25 / gap))
        news += [
            ExchangeNews(id=stream, last_token_at=at, gaps_ns=[round(gap * 1e9)] * each, tokens=[1] * each)
            for stream in self.streams
        ]
        self.opened += 1
        self.streams.append(f"x{self.opened}")
        news.append(
            ExchangeNews(
                id=self.streams[-1],
                opened=Opened(at=at - 0.1, path="/v1/chat/completions", model="tiny", stream=True, traceparent=TRACE),
                first_token_at=at,
                first_tokens=1,
                last_token_at=at,
            )
        )
        self.frame(news)

    def look(self, pid: str = "4711") -> None:
        at = self.clock.now().boot
        who = Incarnation(pid, "1", "test-boot")
        self.pipeline.on_fact(EngineSeen(at=at, known=True, incarnation=who, serving=True))

    def seconds(self, count: int, gap: float) -> None:
        for _ in range(count):
            for _ in range(4):
                self.serve(gap)
            self.look()
            self.tick()

    def tick(self) -> None:
        self.found = self.pipeline.tick()

    def reading(self, name: str = P95) -> Reading:
        return next(reading for reading in self.found.readings if reading.name == name)

    def verdict(self, rule: str = "slow_tokens") -> RuleVerdict:
        return next(verdict for verdict in self.found.verdicts if verdict.rule == rule)

    @property
    def evidence(self) -> Evidence:
        return next(event for event in reversed(self.events) if isinstance(event, Evidence))


@pytest.fixture
def house() -> House:
    house = House()
    house.seconds(20, FAST)
    return house


def test_traffic_as_usual_is_ok_and_opens_nothing(house: House) -> None:
    assert house.reading().value == pytest.approx(FAST, rel=0.02)
    assert house.verdict().verdict is Verdict.OK
    assert house.state.incident is None
    assert house.found.at == house.clock.now()
    assert house.found.inter_token_p95 == house.reading().value


def test_slow_traffic_becomes_evidence_an_incident_and_a_notice(house: House) -> None:
    house.seconds(10, SLOW)
    assert house.reading().value == pytest.approx(SLOW, rel=0.02)
    judged = {verdict.rule: verdict for verdict in house.evidence.verdicts}["slow_tokens"]
    assert (judged.verdict, judged.firing, judged.held) == (Verdict.BREACH, True, "")
    assert "299 ms over 130 ms" in judged.sentence
    assert house.state.incident is not None
    assert house.state.incident.rules == ("slow_tokens",)
    assert next(tell.notice.kind for tell in house.told) is NoticeKind.OPENED


def test_what_is_published_is_what_was_judged(house: House) -> None:
    house.seconds(10, SLOW)
    assert house.found.verdicts == house.pipeline.verdicts == house.evidence.verdicts
    assert house.evidence.lease is not None
    house.lease = False
    house.seconds(1, SLOW)
    assert house.evidence.lease is None


def test_what_is_shown_is_what_the_rule_judged_also_beside_a_rule_with_a_longer_window() -> None:
    rules = read_rules(
        f"""
version: 1
rules:
  - {{name: slow, when: {P95} > 130ms, over: 4s}}
  - {{name: drift, when: similarity.mean < 0.9, over: 60s, then: rollback}}
""",
        "own.yaml",
    )
    house = House(rules)
    house.seconds(30, FAST)
    house.seconds(6, SLOW)
    shown, judged = house.reading(), house.verdict("slow")
    assert judged.value == pytest.approx(SLOW, rel=0.01)
    assert (shown.value, shown.over) == (judged.value, 4)


def test_the_baseline_is_learned_while_nothing_is_wrong(house: House) -> None:
    assert house.notebook.lessons == 20
    assert house.notebook.disturbances == 0
    assert house.notebook.baseline.blocks


def test_the_baseline_is_not_learned_while_a_rule_breaches_nor_in_an_incident(house: House) -> None:
    house.seconds(4, SLOW)
    while house.verdict().verdict is not Verdict.BREACH:
        house.seconds(1, SLOW)
    lessons = house.notebook.lessons
    house.seconds(10, SLOW)
    assert house.state.incident is not None
    house.seconds(4, FAST)  # the breach is over, the incident is not
    while house.verdict().verdict is Verdict.BREACH:
        house.seconds(1, FAST)
    assert house.state.incident is not None
    assert house.notebook.lessons == lessons
    assert house.notebook.disturbances >= 14


def test_a_watcher_that_stood_still_does_not_blame_the_engine(house: House) -> None:
    for _ in range(32):  # told all at once when it wakes up, and late by then
        house.serve(SLOW)
    house.tick()
    assert house.found.lag_seconds == pytest.approx(7.0)
    for name in (P95, "exchanges.open", "exchanges.error_ratio"):
        assert "Watchtower itself stood still" in house.reading(name).because, name
    assert Verdict.BREACH not in {verdict.verdict for verdict in house.found.verdicts}
    assert house.state.incident is None


def test_a_short_delay_is_told_and_spoils_nothing(house: House) -> None:
    for _ in range(10):
        house.serve(FAST)
    house.tick()
    assert house.found.lag_seconds == pytest.approx(1.5)
    assert house.reading().known


def test_after_a_standstill_the_readings_come_back(house: House) -> None:
    house.clock.advance(8)
    house.seconds(8, FAST)
    assert house.verdict().verdict is Verdict.OK


def test_every_look_and_every_canary_reaches_the_machine(house: House) -> None:
    at = house.clock.now().boot
    ended = CanaryEnded(at=at, id="c", started_at=at - 1, outcome=CanaryOutcome.SERVED, seconds=1.0)
    house.pipeline.on_fact(ended)
    house.look("4712")
    assert house.events[-2] == Canaried(ended)
    assert isinstance(house.events[-1], EngineObserved)
    assert "engine.changed" in [record.kind for record in house.records]


def test_histograms_count_since_the_start_and_know_the_limits(house: House) -> None:
    house.seconds(5, SLOW)
    totals = house.found.histograms["inter_token_latency_seconds"]["tiny"]
    below = dict(zip(totals.bounds, totals.counts, strict=True))[0.13]
    assert 0 < below < totals.count
    assert totals.sum == pytest.approx(below * FAST + (totals.count - below) * SLOW, rel=0.01)
    assert sum(totals.bins.values()) == totals.count


def test_a_slow_bucket_names_the_trace_of_a_client(house: House) -> None:
    house.seconds(5, SLOW)
    totals = house.found.histograms["inter_token_latency_seconds"]["tiny"]
    example = totals.exemplars[bisect_left(totals.bounds, SLOW)]
    assert example is not None
    assert (example.trace_id, example.value) == ("4bf92f3577b34da6a3ce929d0e0e4736", SLOW)
    assert house.clock.now().wall - 10 < example.wall <= house.clock.now().wall


def test_nothing_of_a_user_is_in_an_evaluation(house: House) -> None:
    house.seconds(8, SLOW)
    assert house.state.incident is not None
    assert "x1" not in str(house.found)


def unless(condition: str) -> Ruleset:
    rule = f"{{name: slow, when: {P95} > 130ms, over: 5s, unless: {condition}, summary: 'slow: {{value}}'}}"
    return read_rules(f"version: 1\nrules:\n- {rule}\n", "rules.yaml")


@pytest.mark.parametrize("condition", CONDITIONS)
def test_every_named_condition_has_somebody_who_answers_it(condition: str) -> None:
    house = House(unless(condition))
    house.seconds(10, SLOW)
    assert house.verdict("slow").verdict is Verdict.BREACH


def test_no_condition_is_answered_by_the_detector_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CONDITIONS, "backup_runs", "A backup reads the disk.")
    house = House(unless("backup_runs"))
    with pytest.raises(LookupError, match="backup_runs"):
        house.seconds(10, SLOW)
