"""When this worker last reached the engine, and when it last failed to: facts for whoever judges that it is gone."""

from __future__ import annotations

from watchtower.vocabulary.contacts import Contact, ContactBy, ContactKind


class ContactLog:
    """One per worker; the newest of each kind."""

    def __init__(self) -> None:
        self._newest: dict[ContactKind, int] = {}

    def note(self, kind: ContactKind, ns: int) -> None:
        """An attempt ended this way at ``ns`` (CLOCK_BOOTTIME)."""
        self._newest[kind] = ns

    def answered(self, ns: int) -> None:
        """The engine wrote a status line."""
        self._newest[ContactKind.HTTP] = ns

    def newest(self) -> list[Contact]:
        return [Contact(ContactBy.RELAY, kind, ns * 1e-9) for kind, ns in self._newest.items()]
