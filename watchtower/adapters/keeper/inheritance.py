"""What the engine inherits of our environment, and whether a later start would still get the same.

An engine is configured by variables as much as by its command line (HF_HOME, VLLM_*, CUDA_VISIBLE_DEVICES), so it
inherits what we have, but for what is ours alone. The names are frozen in the keeper's plan, each with a hash of its
value: a restart that would quietly run another engine is refused, and only the names of what differs are told.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase
from hashlib import blake2b
from typing import Final

OURS: Final = (
    "WATCHTOWER__*",
    "WATCHTOWER_CRASH_AT",
    "LISTEN_*",
    "NOTIFY_SOCKET",
    "WATCHDOG_*",
    "CREDENTIALS_DIRECTORY",
)
"""Our configuration, with its secrets, and what the service manager said to us."""
BY_OCCASION: Final = (
    *("_", "SHLVL", "PWD", "OLDPWD", "TERM", "COLUMNS", "LINES", "HOSTNAME"),
    *("INVOCATION_ID", "JOURNAL_STREAM", "MANAGERPID", "SYSTEMD_EXEC_PID", "MEMORY_PRESSURE_*", "XDG_SESSION_*"),
    *("SSH_*", "SUDO_*", "DBUS_SESSION_BUS_ADDRESS", "PYTEST_CURRENT_TEST"),
    *("*_SERVICE_HOST", "*_SERVICE_PORT", "*_SERVICE_PORT_*", "*_PORT_*_TCP*", "*_PORT_*_UDP*"),
)
"""They differ with who starts us, and where: a shell, a service manager, a pod. The engine gets them; nobody compares
them."""
MOST_NAMES: Final = 12
"""Told of one difference; more are counted."""


def inherited(environ: Mapping[str, str], withhold: Collection[str] = ()) -> dict[str, str]:
    """Name → hash of the value for what the engine inherits of ``environ``; "" where nobody compares it.

    ``withhold``: names, exact or as patterns with ``*``, that it does not get."""
    return {
        name: "" if _matches(name, BY_OCCASION) else _hash(value)
        for name, value in sorted(environ.items())
        if not _matches(name, OURS) and not _matches(name, withhold)
    }


def difference(before: Mapping[str, str], now: Mapping[str, str], *, but: Collection[str] = ()) -> str:
    """What a person reads of two of these; "" when they agree. ``but``: names that do not count, because the
    configuration sets them."""
    old = {name: value for name, value in before.items() if value and name not in but}
    new = {name: value for name, value in now.items() if value and name not in but}
    parts = (
        ("missing", old.keys() - new.keys()),
        ("added", new.keys() - old.keys()),
        ("changed", {name for name in old.keys() & new.keys() if old[name] != new[name]}),
    )
    return "; ".join(f"{what}: {_listed(names)}" for what, names in parts if names)


def _listed(names: Collection[str]) -> str:
    first = sorted(names)[:MOST_NAMES]
    more = len(names) - len(first)
    return ", ".join(first) + (f" and {more} more" if more else "")


def _matches(name: str, patterns: Collection[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _hash(value: str) -> str:
    return blake2b(value.encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()
