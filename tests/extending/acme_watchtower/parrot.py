"""Engine "parrot": repeats what it is asked. It has no weights that anybody could read back."""

from __future__ import annotations

import json
from http.client import HTTPException
from typing import Any, Literal
from urllib.error import URLError
from urllib.request import Request, urlopen

from watchtower.clock import boottime
from watchtower.knobs import EngineSettings
from watchtower.vocabulary.facts import CanaryEnded, CanaryOutcome, EngineScrape
from watchtower.vocabulary.references import EngineAnswer, Question


class ParrotSettings(EngineSettings):
    """What only a parrot needs."""

    kind: Literal["parrot"] = "parrot"
    perch: str = "/repeat"
    """The path on which it listens."""


class Parrot:
    """Port ``Engine``."""

    Settings = ParrotSettings

    def __init__(self, settings: ParrotSettings, prompt: str = "hello") -> None:
        self._url, self._perch, self._prompt = settings.url, settings.perch, prompt

    def serving(self) -> tuple[bool, str]:
        status = self._get("/status", 1.0)
        return ("version" in status, str(status.get("version", "")))

    def scrape(self, at: float) -> EngineScrape:
        status = self._get("/status", 4.0)
        if "waiting" not in status:
            return EngineScrape(at=at, ok=False, because="the parrot says nothing")
        return EngineScrape(at=at, ok=True, waiting=float(status["waiting"]))

    def canary(self, id: str, started_at: float, deadline_seconds: float) -> CanaryEnded:
        began = boottime()
        said = self._get(self._perch, deadline_seconds, {"say": f"{id} {self._prompt}"})
        outcome = CanaryOutcome.SERVED if said.get("said") else CanaryOutcome.REFUSED
        ended = boottime()
        because = "" if outcome is CanaryOutcome.SERVED else "the parrot says nothing"
        return CanaryEnded(
            at=ended, id=id, started_at=started_at, outcome=outcome, seconds=ended - began, because=because
        )

    def ask(self, question: Question) -> EngineAnswer:
        if question.token_ids:
            return EngineAnswer(because="a parrot has no log-probabilities")
        said = str(self._get(self._perch, question.seconds, {"say": question.text}).get("said", ""))
        return EngineAnswer(text=said) if said else EngineAnswer(because="the parrot says nothing")

    def _get(self, path: str, seconds: float, body: object = None) -> dict[str, Any]:
        """Its answer; an empty one for whatever goes wrong."""
        try:
            data = json.dumps(body).encode() if body is not None else None
            with urlopen(Request(self._url + path, data), timeout=seconds) as answer:
                found = json.load(answer)
        except (URLError, HTTPException, OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}
