"""Do the answers still mean the same, do they arrive whole, and do our own questions get answers?"""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards import frame
from dashboards.limits import Limits
from dashboards.palette import VERDICT, judged
from dashboards.panels import Panel, bands, bars, lines, tile
from dashboards.queries import Query, limit, metric, position, rate, reading

MEANING = (
    "meaning_drift",
    "weights_changed",
    "numerics_changed",
    "answers_differ",
    "answers_malformed",
    "answers_fail",
    "hang",
)


def now(limits: Limits) -> list[Panel]:
    return [
        tile(
            "Similarity",
            "Mean cosine of canary answers to their blessed references; red under the rules' limit.",
            Query(reading("similarity.mean")),
            judge=judged(limits["similarity.mean"]),
            decimals=3,
            width=4,
        ),
        tile(
            "Shift of log-probabilities",
            "Are these still the blessed weights? 0 is the same weights and arithmetic; red from the rules' limit on.",
            Query(reading("logprob_shift.mean")),
            unit="suffix: nats",
            judge=judged(limits["logprob_shift.mean"]),
            decimals=3,
            width=4,
        ),
        tile(
            "References in force",
            "Questions of ours whose blessed answers are known; without any, nothing here can be judged.",
            Query(metric("watchtower_references")),
            decimals=0,
            width=4,
        ),
        tile(
            "Failed answers",
            "Share of the answers that ended in 5xx, an error event or a truncated stream.",
            Query(reading("exchanges.error_ratio")),
            unit="percentunit",
            missing="NO ANSWERS",
            judge=judged(limits["exchanges.error_ratio"]),
            decimals=1,
            width=4,
        ),
        tile(
            "Malformed answers",
            "Share of the canaries' answers that are empty, looping, garbled or cut; red from the rules' limit on.",
            Query(reading("malformed_output.ratio")),
            unit="percentunit",
            judge=judged(limits["malformed_output.ratio"]),
            decimals=1,
            width=4,
        ),
        tile(
            "Canary unanswered for",
            "How long the newest one-token canary has waited; 0 once one was served.",
            Query(reading("canary.unanswered")),
            unit="s",
            judge=judged(limits["canary.unanswered"]),
            decimals=1,
            width=4,
        ),
    ]


def evidence() -> list[Panel]:
    return [
        lines(
            "Shift of log-probabilities",
            "Blessed answers read again by the engine: other weights, quantization or kernels show here first.",
            Query(reading("logprob_shift.mean"), "shift", "blue"),
            limit("weights_changed"),
            unit="suffix: nats",
            width=8,
        ),
        lines(
            "Agreement of the first words",
            "Fresh answers, and answers that may come from the prefix cache: only the latter falling means its blocks.",
            Query(reading("prefix_agreement.mean"), "fresh", "blue"),
            Query(reading("cache_agreement.mean"), "from the cache", "orange"),
            unit="percentunit",
            width=8,
            high=1,
        ),
        lines(
            "Malformed answers",
            "Empty, looping, garbled, endless or cut, where the blessed answers are not.",
            Query(reading("malformed_output.ratio"), "malformed", "orange"),
            limit("answers_malformed"),
            unit="percentunit",
            width=8,
            high=1,
        ),
    ]


def meaning() -> list[Panel]:
    rules = "|".join(MEANING)
    verdict = position("watchtower_rule_verdict", "verdict", ("ok", "unknown", "breach"), by="rule")
    chosen = verdict.replace("verdict=", f'rule=~"{rules}", verdict=')
    return [
        lines(
            "Semantic similarity",
            "A restart brings back the same weights: what falls here is cured by a rollback. No line: not compared.",
            Query(reading("similarity.mean"), "mean", "blue"),
            Query(reading("similarity.floor"), "the one that moved most", "super-light-blue"),
            limit("meaning_drift"),
            unit="none",
            soft_low=0.8,
            high=1,
        ),
        bands(
            "What the rules say of the answers",
            "UNKNOWN is a verdict: without references or canaries nobody claims that the answers are good.",
            Query(chosen, "{{rule}}"),
            states=VERDICT,
            width=12,
        ),
    ]


def answers() -> list[Panel]:
    return [
        lines(
            "Failed answers",
            "Share of ended exchanges that failed, against the limit.",
            Query(reading("exchanges.error_ratio"), "failed", "orange"),
            limit("answers_fail"),
            unit="percentunit",
            width=8,
            high=1,
        ),
        lines(
            "How answers ended",
            "What each ending counts as. Failures are the engine's, turned away found no room, apart is empty.",
            Query(f"sum by (counts_as) ({rate('watchtower_exchanges_total')})", "{{counts_as}}"),
            unit="suffix:/s",
            width=8,
            shades={"good": "green", "failure": "red", "turned_away": "orange", "callers": "yellow"},
        ),
        lines(
            "Answers that did not arrive whole",
            "Cut short by the engine, not decodable, or in a form that is not read (and so not judged).",
            Query(rate("watchtower_relay_upstream_deaths_total"), "cut short by the engine", "red"),
            Query(rate("watchtower_relay_events_malformed_total"), "malformed events", "orange"),
            Query(rate("watchtower_relay_responses_malformed_total"), "not HTTP/1.1", "yellow"),
            Query(rate("watchtower_relay_responses_unobserved_total"), "not observed", "purple"),
            unit="suffix:/s",
            width=8,
        ),
    ]


def canaries() -> list[Panel]:
    return [
        lines(
            "Canaries by outcome",
            "HUNG and REFUSED are the second witness that `hang` waits for.",
            Query(f"sum by (outcome) ({rate('watchtower_canaries_total')})", "{{outcome}}"),
            unit="suffix:/s",
            shades={"served": "green", "hung": "red", "refused": "orange", "broken": "purple", "unknown": "text"},
        ),
        lines(
            "Canary latency",
            "Total time of the newest served canary, and how long one has waited without any answer.",
            Query(reading("canary.latency"), "served in", "blue"),
            Query(reading("canary.unanswered"), "unanswered for", "red"),
            unit="s",
            width=6,
        ),
        bars(
            "Canaries in this time range",
            "How many we asked, by outcome.",
            Query(f"sum by (outcome) (increase({metric('watchtower_canaries_total')}[$__range]))", "{{outcome}}"),
            unit="short",
            width=6,
        ),
        bars(
            "Reference rounds, in this time range",
            "Rounds in which all references were asked, and single references that got no answer.",
            Query(f"sum by (result) (increase({metric('watchtower_reference_rounds_total')}[$__range]))", "{{result}}"),
            Query(
                f"sum by (result) (increase({metric('watchtower_reference_answers_total')}[$__range]))", "{{result}}"
            ),
            unit="short",
            width=12,
        ),
        lines(
            "What the references cost",
            "Prompt and completion tokens a second that our own questions take from the engine.",
            Query(rate("watchtower_reference_tokens_total"), "tokens", "purple"),
            unit="suffix: tok/s",
        ),
    ]


def dashboard(limits: Limits) -> Dashboard:
    return frame.assemble(
        frame.QUALITY,
        "Quality",
        "Do the answers still mean the same, do they arrive whole, and do our own questions get answers?",
        [
            ("Now", now(limits)),
            ("Meaning", meaning()),
            ("What changed?", evidence()),
            ("Do answers arrive whole?", answers()),
            ("Canaries and references", canaries()),
        ],
    )
