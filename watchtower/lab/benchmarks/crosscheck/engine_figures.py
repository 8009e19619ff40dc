"""What vLLM says of itself, between two scrapes of its own metrics.

Its clock starts when its server has read a request and stops when its core gave a token, so what comes before and after
(sockets, JSON, the event stream) is not in its figures: they are a lower bound for what a client sees. Its histogram of
gaps has one observation for each step of each request, which is a token unless it drafts.
"""

from __future__ import annotations

import httpx

from watchtower.lab.benchmarks.crosscheck.exposed import Scrape, histogram_since
from watchtower.lab.benchmarks.crosscheck.measured import Definition, Figures

HISTOGRAMS = {
    Definition.FIRST_TOKEN: "vllm:time_to_first_token_seconds",
    Definition.GAP: "vllm:inter_token_latency_seconds",
    Definition.MEAN_GAP: "vllm:request_time_per_output_token_seconds",
}


async def scrape(client: httpx.AsyncClient, url: str) -> Scrape:
    """Of the ``/metrics`` below ``url``. Raises httpx.HTTPError."""
    answer = await client.get(f"{url}/metrics")
    answer.raise_for_status()
    return Scrape(answer.text)


def engine_figures(before: Scrape, after: Scrape) -> Figures:
    found = {}
    for definition, name in HISTOGRAMS.items():
        buckets = histogram_since(after, before, name)
        if buckets is not None:
            found[definition] = buckets.distribution()

    def counted(name: str) -> int:
        return round(after.total(name) - before.total(name))

    return Figures(
        requests=counted("vllm:request_success"),
        output_tokens=counted("vllm:generation_tokens"),
        distributions=found,
    )
