"""Takes credentials out of texts before they may be kept. The finding is detect-secrets' (extra ``retention``).

It knows the keys and tokens of some thirty services, private keys, passwords in assignments and URLs, and strings in
quotes that look random. It does not know people: names, addresses and numbers stay, which is why retention is a
person's decision. Presidio, which looks for people, was tried: eight seconds and 400 MB to import, a language model for
names, and a call to the network from its check of mail addresses; none of it belongs into this daemon.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Protocol

MARK = "[redacted]"
INSTALL = "pip install 'watchtower-sidecar[retention]'"
_AROUND = r"[\w.~+/=-]*"
"""A finding may be the middle of a token (its prefix, its header): the whole of it goes."""


class Redactor(Protocol):
    """One text in; the text without its credentials, and how many passages that took."""

    def __call__(self, text: str) -> tuple[str, int]: ...


def redactor() -> Redactor:
    """Raises ImportError where detect-secrets is not installed."""
    from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class

    kinds: dict[str, Any] = get_mapping_from_secret_type_to_class()  # its own annotation cannot be instantiated
    plugins = [make() for make in kinds.values()]

    def found(line: str) -> set[str]:
        values: set[str] = set()
        for plugin in plugins:
            for secret in plugin.analyze_line(filename="", line=line, line_number=0):
                if secret.secret_value:
                    values.add(secret.secret_value)
        return values

    return lambda text: redact(text, found)


def redact(text: str, found: Callable[[str], set[str]]) -> tuple[str, int]:
    """``found`` names the credentials of one line. A private key goes with every line of its block."""
    lines, count, inside = [], 0, False
    for line in text.splitlines(keepends=True):
        begins = "-----BEGIN" in line and "KEY" in line
        if begins or inside:
            inside = "-----END" not in line
            count += begins
            lines.append(MARK + "\n" if begins else "")
            continue
        for value in sorted(found(line), key=len, reverse=True):
            line, times = re.subn(f"{_AROUND}{re.escape(value)}{_AROUND}", MARK, line)
            count += times
        lines.append(line)
    return "".join(lines), count
