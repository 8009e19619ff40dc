"""Which requests a client may not send: the paths that control an engine.

A development-mode engine (and a plain SGLang) takes these without any authentication. The target is normalised as the
most generous server would read it (absolute form, percent-encoding, dot segments, doubled slashes, case), and a
control path is refused wherever it ends the target, because engines can be mounted under a prefix. A path that
merely looks like one costs a client a 403; one that slips through costs the model. Only targets are looked at, never
the body of a request whose framing is intact.

``tests/taps/routes`` holds the routes of released engines, each with what becomes of it; docs/routes.md shows the
lists below.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import unquote_to_bytes

CONTROL_PATHS: Final = (
    # vLLM: development mode, sleep mode, elastic and fault-tolerance routes, LoRA at run time (also for SageMaker)
    "/abort_requests",
    "/adapters*",
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
    # SGLang: most of these obey a GET as well
    "/abort_request",
    "/add_external_corpus",
    "/begin_weight_update",
    "/clear_hicache_storage_backend",
    "/configure_logging",
    "/continue_generation",
    "/destroy_weights_update_group",
    "/dump_expert_distribution_record",
    "/dumper/*",
    "/end_weight_update",
    "/flush_cache",
    "/freeze_gc",
    "/get_remote_instance_transfer_engine_info",
    "/get_weights_by_name",
    "/get_weights_checksum",
    "/load_lora_adapter*",
    "/merge_lora_weights",
    "/pause_generation",
    "/pd_role_switch",
    "/release_memory_occupation",
    "/remote_instance_transfer_engine_info",
    "/remove_external_corpus",
    "/resume_memory_occupation",
    "/send_weights_to_remote_instance",
    "/set_internal_state",
    "/set_lora",
    "/set_trace_level",
    "/slow_down",
    "/start_expert_distribution_record",
    "/stop_expert_distribution_record",
    "/unload_lora_adapter",
    "/unmerge_lora_weights",
    "/weights_checker",
    # llama.cpp: both do what their query or body asks for, and that may be any other route
    "/cors-proxy",
    "/predict",
    # TensorRT-LLM
    "/release_memory",
    "/resume_memory",
    # Watchtower's simulator: faults on command
    "/sim/*",
)
"""Refused whatever the method. Exact, or ending in ``*``. Reads such as ``/is_paused`` and ``/weight_info`` are not
listed: they are harmless."""

CHANGED_PATHS: Final = (
    # SGLang
    "/hicache/*",
    # llama.cpp: its settings, LoRA scales, saved and erased slots, the router's models, tools that run commands
    "/lora-adapters",
    "/models",
    "/props",
    "/slots/*",
    "/tools",
    # A model is loaded or dropped: llama.cpp's router, Triton, transformers
    "/load",
    "/load_model",
    "/reset",
    "/unload",
    # Ollama: a model is fetched, made, copied, given away or deleted
    "/api/blobs/*",
    "/api/copy",
    "/api/create",
    "/api/delete",
    "/api/pull",
    "/api/push",
    # Triton and TensorRT-LLM: settings of the server
    "/_resource_governor/*",
    "/steady_clock_offset",
    "/trace/setting",
    "/v2/logging",
)
"""Refused but to LOOKING: there a GET only reads."""

LOOKING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing, where an engine does not make them to."""

_SCHEME = re.compile(rb"[A-Za-z][A-Za-z0-9+.\-]*://[^/?#]*")
_QUERY = re.compile(rb"[?#]")
_PLAIN = re.compile(rb"(?:/[A-Za-z0-9_\-][A-Za-z0-9_.\-]*)+")
"""Most paths: every server reads them alike."""
_PARAMETERS = re.compile(rb"[;?#][^/]*")
"""Also where they were percent-encoded: a server may decode before it takes off parameters and query."""
_SEPARATOR = re.compile(rb"[/\\]")
_UNICODE = re.compile(rb"%[uU]([0-9A-Fa-f]{4})")
"""``%u0070`` is a p to cpp-httplib, which is llama.cpp's server."""
_DECODINGS: Final = 3
MOST_PATH_BYTES: Final = 2048
"""A longer path is refused unread: no engine has one, and judging it would stop every stream of the worker."""
MOST_SEGMENTS: Final = 256
"""The same of one with more segments."""
OVERLONG: Final = "/…"
"""The normal form of such a path."""


def normal_path(target: bytes) -> str:
    """The path a generous server would route ``target`` to: decoded, lower case, no empty or dot segments."""
    return readings(target)[0]


def readings(target: bytes) -> list[str]:
    """The normal path first, then the paths that less generous servers would route ``target`` to: decoded less often,
    and with segments that a generous one drops. To llama.cpp the ``..`` of ``/slots/..`` is the name of a slot."""
    path = _path(target)
    if len(path) > MOST_PATH_BYTES:
        return [OVERLONG]
    if _PLAIN.fullmatch(path):
        return [path.decode("ascii").lower() if path.count(b"/") <= MOST_SEGMENTS else OVERLONG]
    decodings = _decodings(path)
    if len(_SEPARATOR.findall(decodings[-1])) > MOST_SEGMENTS:
        return [OVERLONG]
    found: list[str] = []
    for decoded in reversed(decodings):
        whole = decoded.replace(b"\\", b"/")
        segments = _segments(whole)
        found += (_without_dots(segments), "/" + whole.decode("latin-1").lower().removeprefix("/"))
        found.append("/" + "/".join(segments).removeprefix("/"))
        if ".." in segments:
            found.append(_without_dots(segments, empty_counts=True))
    return list(dict.fromkeys(found))


def _path(target: bytes) -> bytes:
    absolute = _SCHEME.match(target)
    if absolute:
        target = target[absolute.end() :]
    return _QUERY.split(target, maxsplit=1)[0]


def _decodings(path: bytes) -> list[bytes]:
    """``path`` as received, and decoded ever once more: somebody on the way may do it once more than we would."""
    found = [path]
    if b"%" not in path:
        return found
    for _ in range(_DECODINGS):
        decoded = unquote_to_bytes(_UNICODE.sub(_character, found[-1]))
        if decoded == found[-1]:
            break
        found.append(decoded)
    return found


def _character(escape: re.Match[bytes]) -> bytes:
    return chr(int(escape[1], 16)).encode("utf-8", "replace")


def _segments(path: bytes) -> list[str]:
    return [part.strip() for part in _PARAMETERS.sub(b"", path).decode("latin-1").lower().split("/")]


def _without_dots(segments: list[str], empty_counts: bool = False) -> str:
    """``empty_counts``: to RFC 3986 an empty segment is one that ``..`` takes away."""
    kept: list[str] = []
    for segment in segments:
        if segment == "..":
            if kept:
                kept.pop()
        elif segment != "." and (segment or empty_counts):
            kept.append(segment)
    return "/" + "/".join(filter(None, kept))


class _Patterns:
    """Paths, exact or ending in ``*``."""

    def __init__(self, patterns: Iterable[str]) -> None:
        patterns = tuple(patterns)
        self._whole = tuple(pattern for pattern in patterns if not pattern.endswith("*"))
        self._begun = tuple(pattern[:-1] for pattern in patterns if pattern.endswith("*"))

    def __contains__(self, path: str) -> bool:
        return path in self._whole or path.startswith(self._begun)

    def end(self, path: str) -> bool:
        """One of them is what ``path`` ends with, from some segment on. (Each begins with a slash.)"""
        return path.endswith(self._whole) or any(begun in path for begun in self._begun)


_CONTROLLING: Final = _Patterns(CONTROL_PATHS)
_CHANGING: Final = _Patterns(CONTROL_PATHS + CHANGED_PATHS)


class Guard:
    """One worker's policy."""

    def __init__(self, enabled: bool = True, allow_paths: tuple[str, ...] = ()) -> None:
        self._enabled = enabled
        self._allowed = _Patterns(pattern.lower() for pattern in allow_paths)

    def refuses(self, path: str, method: str = "POST") -> bool:
        """``path`` is normal (see ``normal_path``), ``method`` as received."""
        if not self._enabled or path in self._allowed:
            return False
        refused = _CONTROLLING if method in LOOKING else _CHANGING
        return path == OVERLONG or refused.end(path)

    def refuses_request(self, method: str, target: bytes) -> bool:
        """The same of a target as received, in any way that a server may read it."""
        return any(self.refuses(path, method) for path in readings(target))
