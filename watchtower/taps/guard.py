"""Which requests a client may not send: the paths that control an engine.

A development-mode engine (and a plain SGLang) takes these without any authentication. The target is normalised as the
most generous server would read it (absolute form, percent-encoding, dot segments, doubled slashes, case), and a
control path is refused wherever it ends the target, because engines can be mounted under a prefix. A path that
merely looks like one costs a client a 403; one that slips through costs the model.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote_to_bytes

CONTROL_PATHS: Final = (
    # vLLM (development mode, sleep mode, elastic and fault-tolerance routes, run-time LoRA)
    "/abort_requests",
    "/collective_rpc",
    "/fault_tolerance/apply",
    "/finish_weight_update",
    "/init_weight*",
    "/pause",
    "/release_kv_cache_memory",
    "/reset_encoder_cache",
    "/reset_mm_cache",
    "/reset_prefix_cache",
    "/resume",
    "/scale_elastic_ep",
    "/shutdown_weight_transfer_engine",
    "/sleep",
    "/start_draft_weight_update",
    "/start_profile",
    "/start_weight_update",
    "/stop_profile",
    "/update_weight*",
    "/v1/load_lora_adapter",
    "/v1/unload_lora_adapter",
    "/wake_up",
    "/weight_checker",
    # SGLang
    "/abort_request",
    "/begin_weight_update",
    "/clear_hicache_storage_backend",
    "/configure_logging",
    "/continue_generation",
    "/destroy_weights_update_group",
    "/end_weight_update",
    "/flush_cache",
    "/freeze_gc",
    "/load_lora_adapter*",
    "/pause_generation",
    "/pd_role_switch",
    "/release_memory_occupation",
    "/resume_memory_occupation",
    "/set_internal_state",
    "/slow_down",
    "/unload_lora_adapter",
    "/weights_checker",
    # TensorRT-LLM
    "/release_memory",
    "/resume_memory",
    # Watchtower's simulator: faults on command
    "/sim/*",
)
"""Exact, or ending in ``*``. Reads such as ``/is_paused`` and ``/weight_info`` are not listed: they are harmless."""

_SCHEME = re.compile(rb"[A-Za-z][A-Za-z0-9+.\-]*://[^/?#]*")
_DECODINGS: Final = 3


def normal_path(target: bytes) -> str:
    """The path a generous server would route ``target`` to: decoded, lower case, no empty or dot segments."""
    path = target
    absolute = _SCHEME.match(path)
    if absolute:
        path = path[absolute.end() :]
    path = re.split(rb"[?#]", path, maxsplit=1)[0]
    for _ in range(_DECODINGS):  # somebody on the way may decode once more than we would
        decoded = unquote_to_bytes(path)
        if decoded == path:
            break
        path = decoded
    segments: list[str] = []
    for part in re.split(rb"[/\\]", re.split(rb"[?#]", path, maxsplit=1)[0]):
        segment = part.partition(b";")[0].strip().decode("latin-1").lower()
        if segment == "..":
            if segments:
                segments.pop()
        elif segment not in ("", "."):
            segments.append(segment)
    return "/" + "/".join(segments)


def _matches(path: str, pattern: str) -> bool:
    return path.startswith(pattern[:-1]) if pattern.endswith("*") else path == pattern


class Guard:
    """One worker's policy."""

    def __init__(self, enabled: bool = True, allow_paths: tuple[str, ...] = ()) -> None:
        self._enabled = enabled
        self._allowed = tuple(pattern.lower() for pattern in allow_paths)
        refused = [path for path in CONTROL_PATHS if path not in self._allowed] if enabled else []
        self._needles = tuple(f"/{path.removeprefix('/v1').lstrip('/').removesuffix('*')}".encode() for path in refused)

    def refuses(self, path: str) -> bool:
        """``path`` is normal (see ``normal_path``)."""
        if not self._enabled or any(_matches(path, pattern) for pattern in self._allowed):
            return False
        tail = path
        while tail:
            if any(_matches(tail, pattern) for pattern in CONTROL_PATHS):
                return True
            cut = tail.find("/", 1)
            tail = tail[cut:] if cut > 0 else ""
        return False

    def scanner(self) -> Scanner:
        return Scanner(self._needles)


class Scanner:
    """Looks for control paths in the unframed bytes of one connection, also across reads."""

    def __init__(self, needles: tuple[bytes, ...]) -> None:
        self._needles = needles
        self._keep = 3 * max((len(needle) for needle in needles), default=1)  # every byte may be percent-encoded
        self._tail = b""

    def finds(self, data: bytes) -> bool:
        """True: a control path is in ``data``, or ends in it."""
        text = self._tail + data
        self._tail = text[-self._keep :]
        # Servers route by path, so a segment after any run of slashes and dots counts.
        plain = re.sub(rb"/(?:\.?/)+", b"/", unquote_to_bytes(text).replace(b"\\", b"/")).lower()
        return any(needle in plain for needle in self._needles)
