"""Engine "vllm": what one vLLM server says about itself, in our words, over its own HTTP API.

``/health`` and the "running" gauge stay green in a real hang, so they are hints; only the canary, a fresh one-token
generation, proves that the engine serves. Old and new metric names are read; values are summed over the data-parallel
engines (a ratio: the fullest). No error carries a body, an address or a key.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

import httpx
import msgspec
from prometheus_client.parser import text_string_to_metric_families

from watchtower.adapters.engine.questions import Unusable, asked, directed, heard
from watchtower.adapters.engine.vllm_weights import VllmWeights
from watchtower.clock import boottime, boottime_ns
from watchtower.http_clients import CLOSE, NO_KEEP_ALIVE
from watchtower.knobs import EngineSettings
from watchtower.vocabulary.contacts import ContactKind
from watchtower.vocabulary.facts import CanaryEnded, CanaryOutcome, EngineScrape
from watchtower.vocabulary.references import EngineAnswer, Question

LOOK_SECONDS = 1.0
"""For questions that a living server answers at once."""
SCRAPE_SECONDS = 4.0
BODY_BYTES = 4 * 1024 * 1024
"""A longer answer is not read to its end."""

RUNNING = ("vllm:num_requests_running",)
WAITING = ("vllm:num_requests_waiting",)
KV_CACHE = ("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc")
GENERATED = ("vllm:generation_tokens_total", "vllm:generation_tokens")


class Failed(Exception):
    """No usable answer. ``str()`` is a kind, never a body."""

    def __init__(
        self,
        because: str,
        outcome: CanaryOutcome = CanaryOutcome.REFUSED,
        contact: ContactKind = ContactKind.HTTP,
    ) -> None:
        """``contact``: what came of reaching the engine at all; most failures lie in what it answered."""
        super().__init__(because)
        self.outcome = outcome
        self.contact = contact


class VllmEngineSettings(EngineSettings):
    """One vLLM server. It needs nothing that the house does not read as well."""

    kind: Literal["vllm"] = "vllm"
    """vLLM, through its OpenAI-compatible server."""


class VllmEngine:
    """Ports ``Engine`` and ``ServesWeights``. Safe for use by several threads."""

    Settings = VllmEngineSettings

    def __init__(self, settings: VllmEngineSettings, prompt: str = "Say one word.") -> None:
        """``prompt``: what a canary asks; a salt is put before it."""
        self._prompt = prompt
        self.weights = VllmWeights(self._request, Failed, settings.checkpoint)
        """Takes as long as the engine needs to hash its weights, at most some two minutes."""
        self._model = settings.model
        headers = {"user-agent": "watchtower", **CLOSE}
        if settings.api_key is not None:
            headers["authorization"] = f"Bearer {settings.api_key.get_secret_value()}"
        path = settings.url.removeprefix("unix:")
        is_unix = path != settings.url
        # A request over a new connection proves that the engine still accepts; and no proxy of the environment stands
        # between us and our neighbour.
        self._client = httpx.Client(
            base_url="http://engine" if is_unix else settings.url,
            transport=httpx.HTTPTransport(uds=path if is_unix else None, limits=NO_KEEP_ALIVE, trust_env=False),
            headers=headers,
            trust_env=False,
            follow_redirects=False,
        )

    def serving(self) -> tuple[bool, str]:
        """Takes at most about two seconds."""
        try:
            self._get("/health", LOOK_SECONDS)
        except Failed:
            return False, ""
        try:
            version = _decoded(self._get("/version", LOOK_SECONDS)).get("version", "")
        except Failed:
            return True, ""
        return True, version[:64] if isinstance(version, str) else ""

    def scrape(self, at: float) -> EngineScrape:
        """Takes at most about four seconds."""
        try:
            values = _values(self._get("/metrics", SCRAPE_SECONDS).decode("utf-8", "replace"))
        except Failed as failed:
            return EngineScrape(at=at, ok=False, because=str(failed), contact=failed.contact)
        if not any(name.startswith("vllm:") for name in values):
            because = "no vllm metrics are exported (--disable-log-stats?)"
            return EngineScrape(at=at, ok=False, because=because, contact=ContactKind.HTTP)
        return EngineScrape(
            at=at,
            ok=True,
            running=_first(values, RUNNING, sum),
            waiting=_first(values, WAITING, sum),
            kv_cache_ratio=_first(values, KV_CACHE, max),
            generation_tokens=_first(values, GENERATED, sum),
            contact=ContactKind.HTTP,
        )

    def canary(self, id: str, started_at: float, deadline_seconds: float) -> CanaryEnded:
        """Prompt and cache are salted freshly, so that no cache answers for the engine."""
        began = boottime()
        try:
            self._generate(f"{id}-{boottime_ns():x}", deadline_seconds)
            outcome, because, contact = CanaryOutcome.SERVED, "", ContactKind.HTTP
        except Failed as failed:
            outcome, because, contact = failed.outcome, str(failed), failed.contact
        ended = boottime()
        return CanaryEnded(
            at=ended,
            id=id,
            started_at=started_at,
            outcome=outcome,
            seconds=ended - began,
            because=because,
            contact=contact,
        )

    def ask(self, question: Question) -> EngineAnswer:
        """At most about ``question.seconds``. With ``token_ids`` one token is generated and thrown away."""
        until = boottime() + question.seconds
        try:
            model = self._model or self._first_model(question.seconds)
            path, body = asked(question, model)
            remaining = max(0.1, until - boottime())
            answer = self._request("POST", path, remaining, json=body, headers=directed(question))
            return heard(_decoded(answer), question)
        except (Failed, Unusable) as problem:
            return EngineAnswer(because=str(problem))

    def _generate(self, salt: str, seconds: float) -> None:
        """Return when a completion of at least one token came. Raises ``Failed`` with the outcome."""
        until = boottime() + seconds
        body = {
            "model": self._model or self._first_model(seconds),
            "prompt": f"[{salt}] {self._prompt}",
            "cache_salt": salt,
            "max_tokens": 1,
            "temperature": 0,
            "stream": False,
        }
        remaining = max(0.1, until - boottime())
        answer = _decoded(self._request("POST", "/v1/completions", remaining, json=body))
        choices, usage = answer.get("choices"), answer.get("usage")
        if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
            raise Failed("the answer is no completion", CanaryOutcome.BROKEN)
        counted = usage.get("completion_tokens") if isinstance(usage, dict) else None
        # one token may decode to no text, so the engine's own count goes first
        if not (isinstance(counted, int) and counted > 0) and not choices[0].get("text"):
            raise Failed("a completion without a token", CanaryOutcome.BROKEN)

    def _first_model(self, seconds: float) -> str:
        listed = _decoded(self._get("/v1/models", seconds)).get("data")
        first = listed[0] if isinstance(listed, list) and listed else None
        name = first.get("id") if isinstance(first, dict) else None
        if not isinstance(name, str) or not name:
            raise Failed("no model is listed", CanaryOutcome.BROKEN)
        return name

    def _get(self, path: str, seconds: float) -> bytes:
        return self._request("GET", path, seconds)

    def _request(
        self, method: str, path: str, seconds: float, json: object = None, headers: Mapping[str, str] | None = None
    ) -> bytes:
        """The body of a 200, read within about ``seconds`` however slowly it drips. Raises ``Failed``."""
        until = boottime() + seconds
        answered = False
        try:
            with self._client.stream(method, path, json=json, headers=headers, timeout=seconds) as reply:
                answered = True
                if reply.status_code != httpx.codes.OK:
                    raise Failed(f"HTTP {reply.status_code}")
                body = b""
                for part in reply.iter_bytes():
                    body += part
                    if len(body) > BODY_BYTES:
                        raise Failed("the answer is too long", CanaryOutcome.BROKEN)
                    if boottime() > until:
                        raise Failed("no complete answer in time", CanaryOutcome.HUNG)
                return body
        except httpx.ConnectTimeout as problem:
            raise Failed("no connection in time", CanaryOutcome.HUNG, ContactKind.TIMEOUT) from problem
        except httpx.TimeoutException as problem:
            contact = ContactKind.HTTP if answered else ContactKind.TIMEOUT
            raise Failed("no answer in time", CanaryOutcome.HUNG, contact) from problem
        except httpx.ConnectError as problem:
            raise Failed("cannot connect", contact=ContactKind.REFUSED) from problem
        except httpx.RemoteProtocolError as problem:
            contact = ContactKind.HTTP if answered else ContactKind.OK
            raise Failed("broken off in mid-answer, or not HTTP", CanaryOutcome.BROKEN, contact) from problem
        except (httpx.HTTPError, httpx.InvalidURL) as problem:
            contact = ContactKind.HTTP if answered else ContactKind.OK
            raise Failed(type(problem).__name__, contact=contact) from problem


def _decoded(body: bytes) -> dict[str, Any]:
    try:
        document = msgspec.json.decode(body)
    except msgspec.DecodeError as problem:
        raise Failed("the answer is not JSON", CanaryOutcome.BROKEN) from problem
    if not isinstance(document, dict):
        raise Failed("the answer is not a JSON object", CanaryOutcome.BROKEN)
    return document


def _values(exposition: str) -> Mapping[str, list[float]]:
    """Finite values by sample name. Raises ``Failed`` for what is no exposition."""
    values: dict[str, list[float]] = {}
    try:
        for family in text_string_to_metric_families(exposition):
            for sample in family.samples:
                if math.isfinite(sample.value):
                    values.setdefault(sample.name, []).append(float(sample.value))
    except (ValueError, KeyError, IndexError) as problem:
        raise Failed("the metrics cannot be read", CanaryOutcome.BROKEN) from problem
    return values


def _first(
    values: Mapping[str, list[float]], names: tuple[str, ...], over: Callable[[Iterable[float]], float]
) -> float | None:
    for name in names:
        if name in values:
            return float(over(values[name]))
    return None
