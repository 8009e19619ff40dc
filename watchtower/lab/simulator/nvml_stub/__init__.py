"""A library with NVML's ABI and no GPU behind it: what it says stands in a text file (see the top of nvml_stub.c).

The real pynvml and the real gpu child run on it, in our tests and in ``watchtower bench gpu``. It is compiled with the
machine's own C compiler when it is first wanted, and kept under the user's cache by the hash of its source, so that two
versions never meet. Nothing loads it by accident: only who puts its directory into LD_LIBRARY_PATH.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from watchtower.vocabulary.errors import NotReachable

SOURCE = Path(__file__).with_name("nvml_stub.c")
NAME = "libnvidia-ml.so.1"
"""The one name that pynvml opens."""
FLAGS = (
    *("-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-fvisibility=hidden", "-pthread"),
    f"-Wl,-soname,{NAME}",
)
OF_2022 = ("-DOLD",)
"""Without what a driver of 2022 does not export."""


def built(cache: Path, *more: str) -> Path:
    """The directory for LD_LIBRARY_PATH, made under ``cache`` if it is not there. Raises NotReachable without a C
    compiler, or when the compiler refuses."""
    directory = cache / sha256(SOURCE.read_bytes() + " ".join((*FLAGS, *more)).encode()).hexdigest()[:16]
    library = directory / NAME
    if library.exists():
        return directory
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise NotReachable("there is no C compiler to build the stand-in for NVML with · install gcc")
    directory.mkdir(parents=True, exist_ok=True)
    unfinished = directory / f"{NAME}.{os.getpid()}"  # two who build at once must not see each other's half
    made = subprocess.run([compiler, *FLAGS, *more, "-o", unfinished, SOURCE], capture_output=True, check=False)
    if made.returncode:
        said = made.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
        raise NotReachable(f"{compiler} could not build the stand-in for NVML: {said[-1][:200]}")
    unfinished.replace(library)
    return directory


def user_cache(environ: Mapping[str, str]) -> Path:
    """Where ``built`` keeps it for this user."""
    return Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "watchtower" / "nvml-stub"
