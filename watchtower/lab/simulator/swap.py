"""The fault *drift*: another checkpoint loaded into the running server, the way somebody would really do it.

Works on the simulator and on a real vLLM alike, through the same dev-mode routes, straight to the engine. The proof is
the engine's own weight checksums before and after; ``back`` loads the declared weights again, if that is still needed.
"""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path
from typing import Any

import httpx

from watchtower.ports import Clock

SECONDS = 60.0


class CheckpointSwap:
    """``swap`` and ``back`` for one engine; ``checksum`` is what a demonstration sees with its own eyes."""

    def __init__(self, url: str, clock: Clock, client: httpx.AsyncClient, *, declared: str, other: str) -> None:
        self._url, self._clock, self._client = url, clock, client
        self.declared, self.other = declared, other
        self._good: dict[str, str] = {}

    async def swap(self) -> tuple[float, float, dict[str, Any]]:
        """(asked for at, seen at, evidence). Raises httpx.HTTPError and KeyError for an engine that plays no part."""
        self._good = before = await self._tensors()
        injected = self._clock.now().boot
        await self._load(self.other)
        after = await self._tensors()
        changed = sum(after[name] != before[name] for name in before)
        evidence = {
            "loaded": Path(self.other).name,
            "checksum_before": _digest(before),
            "checksum_after": _digest(after) if after != before else "",
            "tensors_changed": f"{changed} of {len(before)}",
        }
        return injected, self._clock.now().boot, evidence

    async def checksum(self) -> str:
        """Over all weights in memory now; "" when the engine does not tell."""
        try:
            return _digest(await self._tensors())
        except (httpx.HTTPError, KeyError, ValueError):
            return ""

    async def back(self) -> None:
        """The declared weights, whoever has to load them. Safe to call at any time."""
        if not self._good:
            return
        try:
            if await self._tensors() != self._good:
                await self._load(self.declared)
        except (httpx.HTTPError, KeyError, ValueError):
            pass  # an engine that is not there has no weights of ours
        self._good = {}

    async def _load(self, path: str) -> None:
        call = {"method": "reload_weights", "kwargs": {"weights_path": path}}
        (await self._client.post(f"{self._url}/collective_rpc", json=call, timeout=SECONDS)).raise_for_status()

    async def _tensors(self) -> dict[str, str]:
        answer = await self._client.post(f"{self._url}/weight_checker", json={"action": "checksum"}, timeout=SECONDS)
        answer.raise_for_status()
        found: dict[str, str] = answer.json()["checksums"]
        return found


def _digest(tensors: dict[str, str]) -> str:
    """As Watchtower's adapter makes it, so that people can compare the two."""
    return hashlib.sha256("".join(f"{name}={tensors[name]}\n" for name in sorted(tensors)).encode()).hexdigest()


def write_stand_in(directory: Path) -> Path:
    """A checkpoint for the simulator: a whole safetensors file with one byte of weights."""
    directory.mkdir(parents=True, exist_ok=True)
    header = json.dumps({"weights": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}}).encode()
    (directory / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + b"\0")
    return directory
