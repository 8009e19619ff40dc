"""Paces that people reported, from the engine's bytes to the verdict: read, told, filed, judged by the shipped rule.

The scripts are those that also go through a real relay worker; here the clock is moved by hand. A pace within the limit
is never a breach and one beyond it is never well, whatever is known of the tokens; where the number is known it is
the right one.
"""

from __future__ import annotations

import pytest

from tests.taps.conditions.pace import PACE
from tests.taps.conditions.script import Condition
from tests.windows.traffic import START
from watchtower.exchanges.dialects.openai_chat import OPENAI_CHAT
from watchtower.exchanges.exchange import ExchangeTable
from watchtower.exchanges.responses import ResponseReader
from watchtower.rules.rule_files import load_rules, shipped_rules
from watchtower.vocabulary.facts import RelayFrame
from watchtower.vocabulary.readings import Explanation, Reading, Truth, Verdict
from watchtower.windows import Windows

P95 = "inter_token_latency_seconds.p95"
LIMIT = 0.13
OVER = 30.0
AT_ONCE = 5
ROUNDS_TO_LEARN = 5
NO_COUNTS = {
    # what is said of no total and no count: the pieces are the most that a token took
    *("n4-in-one-read", "n2-in-one-event", "n200-interleaved", "batch-of-prompts"),
    *("usage-zero-always", "tool-call-by-token", "proxy-buffers-16k"),
}

HELD_BACK = {"tool-call-in-one-delta", "tool-call-alone-name-first", "two-tool-calls"}
"""An answer with pieces of unknown size says nothing of the ratio; others of the same model do."""
BY_NAME = {condition.name: condition for condition in PACE}


class Engine:
    """One relay worker's readers before an engine that does the same again and again."""

    def __init__(self) -> None:
        self.windows, self.table = Windows(), ExchangeTable("0.77")
        self.now, self.sequence = START, 0
        self.frame()

    def frame(self) -> None:
        self.sequence += 1
        news = self.table.drain()
        self.windows.absorb(
            RelayFrame(
                at=self.now, worker=0, pid=77, sequence=self.sequence, open_exchanges=len(self.table.open), news=news
            )
        )

    def round(self, condition: Condition) -> None:
        """Some of them side by side, from request to end."""
        readers = [self._asked() for _ in range(AT_ONCE)]
        framed = self.now
        for step in condition.engine[0]:
            if isinstance(step, float):
                until = self.now + step
                while until > self.now + 1.0:  # a worker says at least once a second that it lives
                    self.now += 1.0
                    self.frame()
                self.now = until
            elif isinstance(step, bytes):
                for reader in readers:
                    reader.feed(step, round(self.now * 1e9))
            if self.now >= framed + 0.2:
                self.frame()
                framed = self.now
        self.frame()

    def _asked(self) -> ResponseReader:
        exchange = self.table.begin(round(self.now * 1e9), OPENAI_CHAT.routes[0])
        exchange.request_whole(round(self.now * 1e9))
        reader = ResponseReader(lambda name: None)
        reader.expect("POST", exchange, OPENAI_CHAT)
        return reader

    def reading(self) -> Reading:
        return self.windows.read(P95, OVER, self.now)

    def verdict(self) -> Verdict:
        rules = load_rules([shipped_rules() / "triad.yaml"])
        unasked = Explanation(Truth.FALSE, None, "")
        _, verdicts = rules.evaluate(
            lambda signal, over: self.windows.read(signal, OVER, self.now), lambda name: unasked, {}, self.now
        )
        return next(said.verdict for said in verdicts if said.rule == "slow_tokens")


def seconds_of(condition: Condition) -> float:
    return sum(step for step in condition.engine[0] if isinstance(step, float))


@pytest.mark.parametrize("condition", PACE, ids=lambda condition: condition.name)
def test_the_pace_is_judged_right_from_the_bytes_to_the_verdict(condition: Condition) -> None:
    engine, pace = Engine(), condition.right[0].pace
    assert pace is not None
    teacher = BY_NAME["usage-null-then-final-with-choices"] if condition.name in HELD_BACK else condition
    for _ in range(ROUNDS_TO_LEARN):
        engine.round(teacher)
    for _ in range(round(OVER / seconds_of(condition) + 1)):
        engine.round(condition)
    reading = engine.reading()
    if condition.name in NO_COUNTS:
        assert reading.value is None and "include_usage" in reading.because
        assert reading.high is not None and reading.high > 0.95 * pace
        assert engine.verdict() is (Verdict.OK if reading.high <= LIMIT else Verdict.UNKNOWN)
    else:
        assert reading.value == pytest.approx(pace, rel=0.05), reading
        assert engine.verdict() is (Verdict.BREACH if pace > LIMIT else Verdict.OK)
