"""The weights of a running vLLM: read back, and replaced in place, over its dev-mode routes.

Facts, seen on vLLM 0.32 and in its source: ``reload_weights`` changes the weights layer by layer and is no transaction;
a path that cannot be read answers 500 and leaves tensors without data, of which the next request dies; missing tensors
are only a warning in its log; neither the prefix cache nor a request in flight knows of the change. Hence the order
pause (wait) → reload → reset of the prefix cache → checksum → label → resume, a look at the files before anything is
touched, and no belief in a 200: only the checksum says which weights are in memory. A pause is never left behind.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from watchtower.clock import boottime
from watchtower.vocabulary.actions import Reply, ReplyKind
from watchtower.vocabulary.facts import CheckpointSeen

LOOK_SECONDS = 2.0
CONTROL_SECONDS = 10.0
CHECKSUM_SECONDS = 110.0
"""The engine reads all its weights for it, about a second for each gigabyte of a rank."""
HEADER_BYTES = 100 * 1024 * 1024
"""A longer header is none (the limit of the safetensors format)."""
NO_DEV_MODE = "its weights cannot be read back: vLLM was started without VLLM_SERVER_DEV_MODE=1, or is older than 0.19"

Ask = Callable[[str, str, float, object], bytes]
"""(method, path, seconds, JSON body or None) → the body of a 200. Raises ``failure``."""


class VllmWeights:
    """Port ``Weights``. Safe for one thread."""

    def __init__(self, ask: Ask, failure: type[Exception], declared: str) -> None:
        """``failure``: what ``ask`` raises; its text is a kind. ``declared``: of the configuration, "" for none."""
        self._ask = ask
        self._failure = failure
        self._declared = declared

    def checkpoint(self, at: float) -> CheckpointSeen:
        root, fingerprint = self._card()
        declared = self._declared or root
        try:
            return CheckpointSeen(at=at, declared=declared, observed=self._digest(), config_fingerprint=fingerprint)
        except self._failure as problem:
            because = NO_DEV_MODE if str(problem) == "HTTP 404" else f"its weights cannot be read back: {problem}"
            return CheckpointSeen(at=at, declared=declared, config_fingerprint=fingerprint, because=because)

    def cannot_load(self, path: str) -> str:
        """A path that cannot be read would destroy the running engine: it must be whole, and seen from here."""
        directory = Path(path)
        if not directory.is_absolute() or not directory.is_dir():
            return f"{path} is no directory on this machine · set engine.checkpoint to where these weights lie"
        files = sorted(directory.glob("*.safetensors"))
        if not files:
            return f"{path} holds no .safetensors file"
        index = directory / "model.safetensors.index.json"
        try:
            named = set(msgspec.json.decode(index.read_bytes())["weight_map"].values()) if index.exists() else set()
            broken = [file.name for file in files if not _whole(file)]
        except (OSError, msgspec.DecodeError, KeyError, TypeError, AttributeError) as problem:
            return f"{path} cannot be read: {type(problem).__name__}"
        missing = sorted(named - {file.name for file in files})
        if broken:
            return f"{path} is not whole: {broken[0]} is cut off"
        return f"{path} is not whole: {missing[0]} is missing" if missing else ""

    def load(self, path: str, digest: str, seconds: float) -> Reply:
        until = boottime() + seconds
        if because := self.cannot_load(path):
            return Reply(ReplyKind.REJECTED, f"nothing was touched: {because}"[:300])
        try:
            self._ask("POST", "/pause?mode=wait", max(1.0, seconds / 2), None)
        except self._failure as problem:
            self.resume()
            return Reply(ReplyKind.REJECTED, f"nothing was loaded: the engine did not pause ({problem})"[:300])
        try:
            return self._replace(path, digest, until)
        finally:
            self.resume()

    def _replace(self, path: str, digest: str, until: float) -> Reply:
        left = max(1.0, until - boottime())
        call = {"method": "reload_weights", "kwargs": {"weights_path": path}, "timeout": left}
        try:
            self._ask("POST", "/collective_rpc", left, call)
            self._must_drop_the_prefix_cache()
            found = self._digest()
        except self._failure as problem:
            return Reply(ReplyKind.FAILED, f"the reload went wrong half-way: {problem}"[:300])
        if found != digest:
            because = f"{path} was loaded and reads {found[:12]}, not the blessed {digest[:12]}: its files have changed"
            return Reply(ReplyKind.FAILED, because[:300])
        with suppress(self._failure):  # a label for people; nothing depends on it
            self._ask("POST", "/update_weight_version", CONTROL_SECONDS, {"new_version": digest[:12]})
        return Reply(ReplyKind.ACKED, f"{path} was loaded and reads {digest[:12]}"[:300])

    def _must_drop_the_prefix_cache(self) -> None:
        answer = _object(self._ask("POST", "/reset_prefix_cache", CONTROL_SECONDS, None))
        if answer.get("success") is not True:
            raise self._failure("the prefix cache of the old weights could not be dropped")

    def resume(self) -> None:
        """Whatever happened: nobody shall wait for a pause of ours."""
        with suppress(self._failure):
            self._ask("POST", "/resume", CONTROL_SECONDS, None)

    def _digest(self) -> str:
        """Over all checksums, sorted by name. Raises ``failure``."""
        answer = _object(self._ask("POST", "/weight_checker", CHECKSUM_SECONDS, {"action": "checksum"}))
        checksums = answer.get("checksums")
        if not isinstance(checksums, dict) or not checksums:
            raise self._failure("the answer holds no checksums")
        lines = "".join(f"{name}={checksums[name]}\n" for name in sorted(checksums))
        return hashlib.sha256(lines.encode()).hexdigest()

    def _card(self) -> tuple[str, str]:
        """(what the engine was started with, fingerprint of how it serves it); "" where it does not say."""
        facts: dict[str, Any] = {}
        with suppress(self._failure):
            listed = _object(self._ask("GET", "/v1/models", LOOK_SECONDS, None)).get("data")
            first = listed[0] if isinstance(listed, list) and listed and isinstance(listed[0], dict) else {}
            facts = {name: first.get(name) for name in ("root", "max_model_len")}
            facts["version"] = _object(self._ask("GET", "/version", LOOK_SECONDS, None)).get("version")
            facts |= _object(self._ask("GET", "/get_world_size", LOOK_SECONDS, None))
        root = facts.get("root")
        fingerprint = hashlib.sha256(msgspec.json.encode(facts, order="sorted")).hexdigest()[:16] if facts else ""
        return root if isinstance(root, str) else "", fingerprint


def _object(body: bytes) -> dict[str, Any]:
    """The JSON object in ``body``; an empty one for anything else, which then lacks what is looked for."""
    try:
        document = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return {}
    return document if isinstance(document, dict) else {}


def _whole(file: Path) -> bool:
    """Header and data are as long as the header says (https://github.com/huggingface/safetensors#format)."""
    size = file.stat().st_size
    with file.open("rb") as stream:
        prefix = stream.read(8)
        if len(prefix) < 8:
            return False
        (length,) = struct.unpack("<Q", prefix)
        if length > min(HEADER_BYTES, size - 8):
            return False
        header = msgspec.json.decode(stream.read(length))
    ends: list[int] = [tensor["data_offsets"][1] for name, tensor in header.items() if name != "__metadata__"]
    return bool(size == 8 + length + max(ends, default=0))
