"""How long users wait, for the first word and for each next one, and whether the load explains it."""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards import frame
from dashboards.limits import Limits
from dashboards.palette import BAD, GOOD, LINE, UNKNOWN, judged, thresholds
from dashboards.panels import Panel, heat, lines, tile
from dashboards.queries import MODEL, Query, limit, rate, ratio, reading

TOKENS, FIRST = "watchtower_inter_token_latency_seconds", "watchtower_time_to_first_token_seconds"


def bucket(limits: Limits) -> str:
    """The bucket whose bound is the limit itself, as the exporter writes it."""
    return repr(float(limits["inter_token_latency_seconds.p95"].value))


def percentiles(name: str, *stats: str) -> list[Query]:
    return [Query(reading(f"{name}.{stat}"), stat, LINE[stat]) for stat in stats]


def now(limits: Limits) -> list[Panel]:
    p95 = "inter_token_latency_seconds.p95"
    labels = f'{MODEL}, le="{bucket(limits)}"'
    within = ratio(f"sum({rate(f'{TOKENS}_bucket', labels)})", f"sum({rate(f'{TOKENS}_count', MODEL)})")
    stalled = limits["token_progress.stalled"]
    return [
        tile(
            "Per token, p95",
            "Over the rules' window; red from their limit on.",
            Query(reading(p95)),
            unit="s",
            judge=judged(limits[p95]),
            width=4,
        ),
        tile(
            "Per token, median",
            "What an ordinary token takes.",
            Query(reading("inter_token_latency_seconds.p50")),
            unit="s",
            width=4,
        ),
        tile(
            "Tokens inside the limit",
            "The share of tokens that came within the limit: 95 % of them should.",
            Query(within),
            unit="percentunit",
            decimals=1,
            width=4,
            judge=thresholds((None, UNKNOWN), (0, BAD), (0.95, GOOD)),
            missing="NO TOKENS",
        ),
        tile(
            "First token, p95",
            "What a user waits until the answer begins.",
            Query(reading("time_to_first_token_seconds.p95")),
            unit="s",
            width=4,
        ),
        tile(
            "No token for",
            "How long requests have been open with no token for any of them; 0 while tokens flow.",
            Query(reading("token_progress.stalled")),
            unit="s",
            judge=judged(stalled),
            decimals=1,
            width=4,
        ),
        tile(
            "Tokens",
            "Output tokens a second over all requests.",
            Query(reading("token_progress.rate")),
            unit="suffix: tok/s",
            decimals=0,
            missing="NO TOKENS",
            width=4,
        ),
    ]


def per_token() -> list[Panel]:
    return [
        lines(
            "Per-token latency",
            "Did the whole distribution move, or only its tail? Over the rules' window, as the rules judge it.",
            *percentiles("inter_token_latency_seconds", "p50", "p95", "p99", "mean"),
            limit("slow_tokens"),
            unit="s",
            table=True,
        ),
        heat(
            "Where the tokens fall",
            "Two bands are two kinds of requests, or two kinds of ranks; a percentile shows neither.",
            TOKENS,
            unit="s",
        ),
    ]


def first_token() -> list[Panel]:
    return [
        lines(
            "Time to first token",
            "Queueing and prefill: it rises with load and long prompts, where the per-token latency may stay calm.",
            *percentiles("time_to_first_token_seconds", "p50", "p95", "p99", "mean"),
            unit="s",
            table=True,
        ),
        heat("Where the first tokens fall", "The same, request by request.", FIRST, unit="s"),
    ]


def by_model() -> list[Panel]:
    def p95(name: str) -> Query:
        buckets = rate(f"{name}_bucket", MODEL)
        return Query(f"histogram_quantile(0.95, sum by (le, model) ({buckets}))", "{{model}}", exemplar=True)

    return [
        lines(
            "Per-token latency by model, p95",
            "Is one model slow, or all of them? A sum over models hides the sick one.",
            p95(TOKENS),
            limit("slow_tokens"),
            unit="s",
        ),
        lines(
            "Time to first token by model, p95",
            "The same for the first token; a diamond is one request, with its trace where one was joined.",
            p95(FIRST),
            unit="s",
        ),
    ]


def stalls() -> list[Panel]:
    return [
        lines(
            "Stalls",
            "The longest single gap that a client felt, and how long nobody has got a token.",
            Query(reading("inter_token_latency_seconds.max"), "longest gap", "orange"),
            Query(reading("token_progress.stalled"), "no token for", "red"),
            unit="s",
        ),
        lines(
            "One-token canary",
            "Our own small request: fast while users are slow points at the load, hanging with them at the engine.",
            Query(reading("canary.latency"), "served in", "blue"),
            Query(reading("canary.unanswered"), "unanswered for", "red"),
            unit="s",
        ),
    ]


def load() -> list[Panel]:
    return [
        lines(
            "Open requests",
            "How many share the engine, as the relay sees it and as the engine says.",
            Query(reading("exchanges.open"), "open at the relay", "blue"),
            Query(reading("engine_running"), "running", "green"),
            Query(reading("engine_waiting"), "queued", "orange"),
            unit="short",
            width=8,
        ),
        lines(
            "Arrivals and tokens",
            "Latency that rises with arrivals is load; latency that rises alone is a fault.",
            Query(reading("exchanges.arrival_rate"), "requests/s", "blue"),
            Query(reading("token_progress.rate"), "tokens/s", "purple"),
            unit="suffix:/s",
            width=8,
            low=None,
            logarithmic=True,
        ),
        lines(
            "KV cache",
            "A full cache preempts requests: the latency jumps with no fault anywhere.",
            Query(reading("engine_kv_cache_ratio"), "in use", "blue"),
            unit="percentunit",
            width=8,
            high=1,
        ),
        lines(
            "Prompt bytes",
            "Long prompts cost prefill: every open answer waits for it.",
            Query(reading("exchanges.prompt_rate"), "prompts", "blue"),
            unit="Bps",
            width=12,
        ),
        lines(
            "Exact rate of requests by the relay's counters",
            "Requests forwarded, and those that ask for tokens among them.",
            Query(rate("watchtower_relay_requests_total"), "all requests", "text"),
            Query(rate("watchtower_relay_generations_total"), "generations", "blue"),
            Query(rate("watchtower_relay_clients_left_total"), "clients that left before the end", "orange"),
            unit="reqps",
            width=12,
        ),
    ]


def dashboard(limits: Limits) -> Dashboard:
    return frame.assemble(
        frame.LATENCY,
        "Latency",
        "How long users wait for the first word and for each next one, and whether the load explains it.",
        [
            ("Now", now(limits)),
            ("Between two tokens", per_token()),
            ("Until the first token", first_token()),
            ("By model", by_model()),
            ("Stalls and canaries", stalls()),
            ("Does the load explain it?", load()),
        ],
    )
