"""The one table between our metrics and OpenTelemetry's names, units and attributes.

GenAI and hardware conventions are in state "Development" and move; whoever follows them changes this file alone.
Sources: open-telemetry/semantic-conventions v1.41.1 (docs/gen-ai) and v1.44.0 (docs/hardware). A metric without a row
keeps its name: ``watchtower_x_seconds`` becomes ``watchtower.x`` in ``s``, which a collector turns back into ours.

The latency between tokens is not ``gen_ai.server.time_per_output_token``: that is one mean per request, ours is one
value per token, so it keeps a name of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

SCHEMA_URL = "https://opentelemetry.io/schemas/1.41.1"


class Mapped(NamedTuple):
    """How one metric appears in OpenTelemetry."""

    name: str
    unit: str
    """UCUM."""
    attributes: Mapping[str, str]
    """Label → attribute."""
    constant: Mapping[str, str] = MappingProxyType({})
    """Attributes that the convention requires beside them."""
    updown: bool = False
    """A gauge that the convention wants as an UpDownCounter."""


_GPU = {"gpu": "hw.id"}
"""The index of this boot; the UUID stands in ``watchtower.gpu_info``."""

CONVENTIONS: dict[str, Mapped] = {
    "watchtower_time_to_first_token_seconds": Mapped(
        "gen_ai.server.time_to_first_token",
        "s",
        {"model": "gen_ai.response.model"},
        {"gen_ai.operation.name": "inference"},  # chat and text completion are counted together
    ),
    "watchtower_inter_token_latency_seconds": Mapped(
        "watchtower.inter_token_latency", "s", {"model": "gen_ai.response.model"}
    ),
    "watchtower_gpu_utilization_ratio": Mapped("hw.gpu.utilization", "1", _GPU, {"hw.gpu.task": "general"}),
    "watchtower_gpu_memory_used_bytes": Mapped("hw.gpu.memory.usage", "By", _GPU, updown=True),
    "watchtower_gpu_memory_total_bytes": Mapped("hw.gpu.memory.limit", "By", _GPU, updown=True),
    "watchtower_gpu_ecc_corrected_errors": Mapped(
        "hw.errors", "{error}", _GPU, {"hw.type": "gpu", "error.type": "ecc_corrected"}
    ),
    "watchtower_gpu_ecc_uncorrected_errors": Mapped(
        "hw.errors", "{error}", _GPU, {"hw.type": "gpu", "error.type": "ecc_uncorrected"}
    ),
}
"""By the family's name, without ``_total``."""

EXCHANGE: Mapping[str, str] = {
    "operation": "gen_ai.operation.name",
    "provider": "gen_ai.provider.name",
    "model": "gen_ai.response.model",
    "stream": "gen_ai.request.stream",
    "prompt_tokens": "gen_ai.usage.input_tokens",
    "completion_tokens": "gen_ai.usage.output_tokens",
    "finish_reason": "gen_ai.response.finish_reasons",
    "first_token_seconds": "gen_ai.response.time_to_first_chunk",
    "status": "http.response.status_code",
    "failure": "error.type",
    "address": "server.address",
    "port": "server.port",
}
"""What is known of an exchange → the attribute of its span (docs/gen-ai/gen-ai-spans.md)."""


def operation(path: str) -> str:
    """The convention's name for what is asked for at ``path``."""
    return "chat" if path.endswith("/chat/completions") else "text_completion"


_UNITS = {
    "_bytes_per_second": "By/s",
    "_per_second": "1/s",
    "_seconds": "s",
    "_bytes": "By",
    "_celsius": "Cel",
    "_watts": "W",
    "_hertz": "Hz",
    "_ratio": "1",
    "_cosine": "1",
}


def mapped(name: str) -> Mapped | None:
    """The row of family ``name``, or the rule for all others with labels under their own names; None: not ours."""
    if name in CONVENTIONS:
        return CONVENTIONS[name]
    if not name.startswith("watchtower_"):
        return None
    stem = name.removeprefix("watchtower_")
    suffix = next((unit for unit in _UNITS if stem.endswith(unit)), "")
    return Mapped(f"watchtower.{stem.removesuffix(suffix)}", _UNITS.get(suffix, "1"), {})


def attribute(row: Mapped, label: str) -> str:
    return row.attributes.get(label, f"watchtower.{label}")
