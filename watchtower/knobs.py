"""What every group of knobs has in common, and what the house itself reads of a plug-in's.

A plug-in brings its own settings: a class beside it that extends the one of its socket (engine, supervisor, sink) and
imports nothing of the house but this file and the vocabulary. So adding a plug-in never touches the central settings;
what the house does need to know of it stands here, typed, and is the same for every kind.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from watchtower.vocabulary.readings import Severity

Seconds = Annotated[float, Field(gt=0, le=30 * 86400)]
Socket = Literal["engines", "supervisors", "sinks"]
"""Where a plug-in goes in."""


class Group(BaseModel):
    """Base of every group of knobs: unknown names are mistakes, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    def revealed(self) -> dict[str, Any]:
        """As plain values with secrets in clear: for a process of ours, never for a log."""
        return {name: _revealed(value) for name, value in self.model_dump().items()}


def _revealed(value: Any) -> Any:
    match value:
        case SecretStr():
            return value.get_secret_value()
        case dict():
            return {key: _revealed(item) for key, item in value.items()}
        case list() | tuple():
            return [_revealed(item) for item in value]
        case Path():
            return str(value)
        case _:
            return value


class Mistake(NamedTuple):
    """What is wrong with one value; whoever knows the file adds the place."""

    route: tuple[str | int, ...]
    """Below the group."""
    what: str
    cure: str


class PluginGroup(Group):
    """The knobs of whatever ``kind`` names. Each kind extends the group of its socket by its own."""

    socket: ClassVar[Socket]
    kind: str

    def mistakes(self) -> Iterable[Mistake]:
        """All that types cannot show. Contacts nothing and quotes no secret."""
        return ()


class EngineSettings(PluginGroup):
    """The serving engine beside us."""

    socket: ClassVar[Socket] = "engines"
    kind: str = "vllm"
    """Which engine adapter."""
    url: str = "http://127.0.0.1:8000"
    """The engine's own address: ``http://host:port`` or ``unix:/path``."""
    model: str = ""
    """Model name for canaries; empty: the first that ``/v1/models`` lists."""
    api_key: SecretStr | None = None
    """Sent as Bearer by canaries and scrapes. Better: environment WATCHTOWER__ENGINE__API_KEY."""
    data_parallel_size: Annotated[int, Field(ge=1, le=64)] = 1
    """Data-parallel ranks behind this address: reference canaries visit each (``X-data-parallel-rank``)."""
    scrape_seconds: Seconds = 5.0
    """How often the engine's own metrics are read."""
    observe_seconds: Seconds = 2.0
    """How often the adapter is asked who is running."""
    checkpoint: str = ""
    """Directory of the weights that should be served, as the engine sees it; empty: what the engine was started with
    (``root`` in ``/v1/models``). A rollback loads the blessed checkpoint from this directory. Part of the references'
    key: declare another one, and its answers are compared with no references but its own."""


class SupervisorSettings(PluginGroup):
    """Who can restart the engine."""

    socket: ClassVar[Socket] = "supervisors"
    acts: ClassVar[bool] = False
    """This kind can restart the engine; without that mode ``auto`` is refused."""
    starts_engine: ClassVar[bool] = False
    """``watchtower run`` starts the engine with it."""
    kind: str = "none"
    """``process``: our keeper starts and owns the engine. ``none``: Watchtower tells people and never acts."""

    def withholding(self, names: Collection[str]) -> SupervisorSettings:
        """The same, and an engine that inherits our environment does not get these variables of it."""
        return self


class TemplateSettings(Group):
    """Your own words, in Jinja2, sandboxed; empty: the built-in ones. ``docs/alerts.md`` lists what can be named."""

    headline: str = ""
    """The first line, of at most 150 characters: what a phone shows."""
    text: str = ""
    """Replaces the body: what, since when, what was done, and the next command."""


SinkName = Annotated[str, Field(min_length=1, max_length=64)]


class SinkSettings(PluginGroup):
    """What every sink has. Outbox, metrics and ``watchtower sinks test NAME`` speak of a sink by its name, so two of
    one kind need two names. An address that works like a password is a secret."""

    socket: ClassVar[Socket] = "sinks"
    keeps_open: ClassVar[bool] = False
    """The receiver keeps an alert open until it is told of its end."""
    name: SinkName
    templates: TemplateSettings = TemplateSettings()
    """Your own words, in Jinja2, sandboxed; empty: the built-in ones. ``docs/alerts.md`` lists what can be named."""
    min_severity: Severity = Severity.INFO
    """Only notices of at least this severity go here: ``page``, ``warn`` or ``info`` (everything). An escalation is
    always a page, and so is the end of an incident that was escalated."""
