"""Closed lists of names that cross a wall: what is not listed here is not sent, and every entry has its sentence."""

from __future__ import annotations

CAUSED = "relay_caused_errors."
"""Prefix of the counters of client errors that the relay itself caused; the rest of the name is the kind."""

DROPPED = "dropped_news"
"""``RelayFrame.dropped_news`` among the counts."""

FINISH_REASONS: frozenset[str] = frozenset(
    {"stop", "length", "tool_calls", "function_call", "content_filter", "abort", "error"}
    | {"repetition", "eos_token", "stop_sequence", "eos", "limit", "word", "load", "unload"}
    | {"end_turn", "max_tokens", "tool_use", "pause_turn", "refusal", "model_context_window_exceeded"}
    | {"completed", "incomplete", "max_output_tokens"}
)
"""Why answers end, in the words of the engines that we know (OpenAI, vLLM, TGI, Ollama, llama.cpp, Anthropic)."""

RELAY_COUNTERS: dict[str, str] = {
    "connections": "Client connections accepted.",
    "requests": "Requests forwarded to the engine.",
    "generations": "Generation requests among them, as far as they were forwarded.",
    "requests_malformed": "Connections that stopped being readable HTTP/1.1; forwarded unchanged, not observed.",
    "responses_malformed": "Answers of the engine that are not HTTP/1.1; forwarded unchanged, not observed.",
    "responses_unobserved": "Answers to generation requests in a form that is not read (compressed, unknown type).",
    "events_malformed": "Answers with at least one event or body that could not be decoded.",
    "unknown_finish": "Answers whose finish reason no engine that we know gives; they count as good.",
    "relay_tunnels": "Connections that switched protocol (HTTP/2, TLS, upgrade); protocol not observed.",
    "clients_left": "Clients that went away before they had everything.",
    "clients_let_go": "Client connections without a request, closed to make room for others.",
    "descriptors_short": "Times that this worker had no descriptor left for a client or for the engine.",
    "clients_slow": "Times that a client's full buffer stopped us from reading the engine.",
    "upstream_deaths": "Answers cut short by the engine; mirrored to the client as a reset.",
    "sampled": "Answers whose text was taken as a sample, in memory (samples.ratio, or a reference's question).",
    "samples_skipped": "Answers that were to be sampled while too many others were, or whose end was not regular.",
    "parked": "Generation requests parked by a hold.",
    "released": "Parked requests forwarded when their hold ended.",
    CAUSED + "upstream_unreachable": "502: the engine did not accept the connection.",
    CAUSED + "upstream_closed": "502: the engine closed the connection before any byte of an answer.",
    CAUSED + "connection_limit": "503: more requests under way than max_connections or the descriptors allow.",
    CAUSED + "request_timeout": "408 or reset: a request stopped arriving (head_seconds, body_pause_seconds).",
    CAUSED + "answer_unread": "Reset: the client read nothing of its answer for client_idle_seconds.",
    CAUSED + "hold_full": "503: a hold is on and no more requests may be parked.",
    CAUSED + "hold_wait": "503: parked for as long as one request may wait.",
    CAUSED + "guarded": "403: the path controls the engine and is refused from clients.",
    CAUSED + "guarded_opaque": "Reset: a request that controls the engine, in bytes that are none as we read them.",
    CAUSED + "stuck": "Reset: this relay worker stood still for a minute and was ended; one an answer, at least one.",
    CAUSED + "shutdown": "Reset: the answer had not ended when this relay worker had to exit.",
}
"""``RelayFrame.counters``: cumulative since the worker started."""
