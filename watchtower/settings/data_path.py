"""The knobs of the data path: relay, hold, and the one-token requests that prove that the engine serves."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from watchtower.knobs import Group, Seconds


class HoldSettings(Group):
    """How long traffic may wait while a cure is under way."""

    wait_seconds: Seconds = 5.0
    """Longest one request waits; then 503 with Retry-After. A single replica may allow up to 45."""
    total_seconds: Seconds = 60.0
    """Longest the hold itself lasts; the relay worker releases it alone if the daemon is gone."""
    drain_seconds: Seconds = 30.0
    """Longest to wait for open exchanges to finish before a restart that is not for a hang."""
    max_requests: Annotated[int, Field(ge=0)] = 256
    """Most requests parked in one worker; the next gets 503."""
    max_bytes: Annotated[int, Field(ge=0)] = 64 * 1024 * 1024
    """Most bytes of parked requests in one worker; beyond it clients are not read from."""


class RelaySettings(Group):
    """The data plane: one HTTP/1.1 hop that forwards bytes as they are."""

    listen: str = "127.0.0.1:8100"
    """Where clients connect: ``host:port``. Nothing listens wider unless told."""
    workers: Annotated[int, Field(ge=1, le=16)] = 1
    """Relay processes sharing the listening socket."""
    guard: bool = True
    """Refuse the engine's control paths (``/collective_rpc``, ``/sleep``, …; docs/routes.md) from clients."""
    allow_paths: tuple[str, ...] = ()
    """Control paths that clients may use all the same, exact or ending in ``*``."""
    tag_header: str = ""
    """Request header that names the caller's class of traffic; empty: no tags."""
    connect_seconds: Seconds = 5.0
    """Longest to wait for a connection to the engine; then 502."""
    max_connections: Annotated[int, Field(ge=1)] = 4096
    """Most client connections of one worker with a request under way; the next gets 503. As many again may wait for
    their next request, and as many for their first; the one that waited longest makes room."""
    head_seconds: Seconds = 30.0
    """Longest that a request's head may take to arrive; then 408."""
    body_pause_seconds: Seconds = 60.0
    """Longest that a client may pause within a request's body; then 408."""
    client_idle_seconds: Seconds = 650.0
    """How long a client's connection may idle. Longer than any gateway's pool keeps it, so that the gateway closes."""
    known_blind: tuple[str, ...] = ("/tokenize", "/detokenize")
    """Routes that pass unread on purpose (``/v1/audio/speech``, …), by the name that status lists them under: counted
    and listed, and never called blindness. Their failures count all the same."""
    hold: HoldSettings = HoldSettings()


class CanarySettings(Group):
    """One-token requests of our own, to the engine itself."""

    every_seconds: Seconds = 60.0
    """Regular interval."""
    deadline_seconds: Seconds = 15.0
    """No answer by then: the canary hangs."""
    least_interval_seconds: Seconds = 2.0
    """Never more often than this, whatever asks."""
    prompt: str = "Say one word."
    """What is asked; a fresh salt is added, so that no cache can answer."""
