"""What is wrong with a sink's settings that their types cannot show: addresses and templates. Nothing is contacted.

``watchtower check`` asks here and adds file and line; a sink that is made without that asks here too. What only one
kind can get wrong, its own settings say (``mistakes``). No answer quotes an address or a secret.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import SecretStr

from watchtower.knobs import Mistake, SinkSettings
from watchtower.sinks import templates
from watchtower.sinks.addresses import mistake_in
from watchtower.vocabulary.errors import BadInput, Problem


def mistakes(settings: SinkSettings) -> list[Mistake]:
    """Everything that is wrong with one sink: what its kind says, and its templates."""
    return [*settings.mistakes(), *template_mistakes(settings)]


def require(settings: SinkSettings) -> None:
    """Raises BadInput when anything is wrong."""
    found = mistakes(settings)
    if found:
        where = f"sink {settings.name}"
        raise BadInput(
            [Problem(where, ".".join(map(str, mistake.route)), mistake.what, mistake.cure) for mistake in found]
        )


def address_mistakes(url: str | SecretStr, *route: str | int, clear_text: bool = False) -> Iterator[Mistake]:
    """At most one, about the address at ``route``. ``clear_text``: http:// is good enough for other machines too."""
    found = mistake_in(url.get_secret_value() if isinstance(url, SecretStr) else url, clear_text=clear_text)
    if found:
        yield Mistake(route, *found)


def template_mistakes(settings: SinkSettings) -> Iterator[Mistake]:
    """About the words of the user's own, which every sink may have."""
    for field, what in templates.mistakes(settings.templates):
        yield Mistake(("templates", field), what, f"it may name: {', '.join(templates.VARIABLES)}")
