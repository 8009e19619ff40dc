"""The knobs of what leaves the daemon: faces for people, telemetry, and what is recorded."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, SecretStr, model_validator

from watchtower.knobs import Group, Seconds

SMALLEST_RECORDING_BYTES = 1024 * 1024


class RecordingSettings(Group):
    """What was seen and decided, kept for explanations and replay (``recording/``, 0600): facts and journal entries,
    never a text of users."""

    total_bytes: Annotated[int, Field(ge=0)] = 64 * 1024 * 1024
    """Of all its files; the oldest goes first. 64 MiB hold about an hour at 1,000 tokens a second, and days of an idle
    server. 0: off, and what was recorded is removed at the next start."""

    @model_validator(mode="after")
    def _large_enough_for_something(self) -> RecordingSettings:
        if 0 < self.total_bytes < SMALLEST_RECORDING_BYTES:
            raise ValueError("recording.total_bytes holds next to nothing · 1 MiB or more, or 0 to turn it off")
        return self


class OtlpSettings(Group):
    """OpenTelemetry over OTLP/HTTP: metrics, remediations as traces, exchanges if wanted. Needs the extra ``otlp``."""

    endpoint: str = ""
    """The collector's base address, e.g. ``http://127.0.0.1:4318``; empty: nothing is sent."""
    headers: SecretStr | None = None
    """``name=value,name=value``, e.g. an API key. Better: WATCHTOWER__TELEMETRY__OTLP__HEADERS or ``headers_file``."""
    every_seconds: Seconds = 15.0
    """How often a batch is sent."""
    timeout_seconds: Seconds = 5.0
    """Longest that one batch may take, retries included."""
    exchanges: bool = False
    """Also a span for each exchange whose client keeps its trace (``traceparent``, sampled): counts, no text."""

    @model_validator(mode="after")
    def _an_address(self) -> OtlpSettings:
        if self.endpoint and not self.endpoint.startswith(("http://", "https://")):
            raise ValueError("the collector's address begins with http:// or https:// · e.g. http://127.0.0.1:4318")
        if any("=" not in pair for pair in self._written()):
            raise ValueError("headers are written name=value,name=value")
        return self

    def pairs(self) -> dict[str, str]:
        """The headers by name."""
        return {name.strip(): value.strip() for name, _, value in (pair.partition("=") for pair in self._written())}

    def _written(self) -> list[str]:
        return [pair for pair in self.headers.get_secret_value().split(",") if pair] if self.headers else []


class TelemetrySettings(Group):
    """What is pushed to others, beside what they scrape."""

    otlp: OtlpSettings = OtlpSettings()
    """The OpenTelemetry collector."""


class WebSettings(Group):
    listen: str = "127.0.0.1:9470"
    """Metrics, health, API, console."""
    public_url: str = ""
    """Where people reach the console, e.g. ``https://watch.example``: the link in alerts. Empty: alerts carry none."""
    token: SecretStr | None = None
    """Bearer token for changes over HTTP; without one only the local Unix socket may change anything."""
