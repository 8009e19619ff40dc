"""The knobs of what answers mean: references, samples of answers to users, and what comparing them may cost."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, model_validator

from watchtower.knobs import Group, Seconds


class ReferenceSettings(Group):
    """Questions of our own whose blessed answers are known: they notice other weights, numerics, templates, caches.
    Nothing is asked before ``watchtower references capture`` has made references."""

    every_seconds: Seconds = 120.0
    """Regular interval between two rounds; in a round every reference is asked once."""
    least_interval_seconds: Seconds = 30.0
    """No round sooner after the one before, whatever asks for it."""
    deadline_seconds: Seconds = 30.0
    """For one answer; the first that misses it ends the round."""
    concurrency: Annotated[int, Field(ge=1, le=8)] = 2
    """Requests of ours at once."""
    tokens_per_round: Annotated[int, Field(ge=100)] = 20_000
    """Prompt and answer tokens that one round may cost; beyond it references take turns over several rounds."""
    max_tokens: Annotated[int, Field(ge=4, le=1024)] = 48
    """Longest answer. Part of the references' key."""
    template: Literal["chat", "plain"] = "chat"
    """``chat``: through the engine's chat template; ``plain``: as a completion. Part of the references' key."""
    prompts: Path | None = None
    """YAML file of questions, relative to this file; without one the shipped set. Part of the references' key."""
    repeats: Annotated[int, Field(ge=3, le=20)] = 5
    """How often a capture asks each question, to learn how much its answers differ while all is well."""
    cache_checks: Annotated[int, Field(ge=0, le=100)] = 4
    """References, the longest questions, that are asked a second time in a way that may read the prefix cache."""
    minimum_answers: Annotated[int, Field(ge=3)] = 8
    """References that must have answered before a round, or a reading, says anything."""
    while_idle: bool = False
    """Go on asking while users ask nothing; false lets an engine that scales to zero rest."""
    idle_seconds: Seconds = 600.0
    """No request of users for so long counts as no load."""


class KeepSettings(Group):
    """Whether the text of samples is written down (``retained.db``, 0600), after credentials were taken out of it."""

    text: bool = False
    """Keep questions and answers of sampled exchanges. Needs the extra ``retention`` (detect-secrets), which finds keys
    and passwords; names, addresses and numbers of people stay in the text."""
    seconds: Seconds = 86400.0
    """How long; then they are overwritten. Turning ``text`` off forgets all at the next start."""
    most: Annotated[int, Field(ge=1, le=100_000)] = 2000
    """Samples kept at most, the newest."""


class SampleSettings(Group):
    """Answers to users whose text is looked at, in memory, to tell how far output has moved (``watchtower drift``).
    Nothing is sampled before ``watchtower references capture`` has made references."""

    ratio: Annotated[float, Field(ge=0, le=1)] = 0.02
    """Share of the observed answers. 0: none but those of ``references``."""
    references: bool = True
    """Also take every greedy request that asks a reference's question, and compare its answer with the blessed ones."""
    text_characters: Annotated[int, Field(ge=200, le=200_000)] = 16_384
    """Of one question, and of one answer; what is longer is cut."""
    memory_bytes: Annotated[int, Field(ge=64 * 1024)] = 4 * 1024 * 1024
    """Text that may wait in the daemon to be turned into numbers; beyond it the oldest samples fall off, counted."""
    then: Annotated[int, Field(ge=50, le=2000)] = 400
    """Samples that today's answers are compared with: the first ones, while nothing was wrong, after the capture of the
    references in force. Kept as embeddings and keyed hashes."""
    now: Annotated[int, Field(ge=50, le=2000)] = 200
    """Newest samples that are compared with them."""
    minimum: Annotated[int, Field(ge=20)] = 60
    """Samples of each time below which nothing is said."""
    every_seconds: Seconds = 60.0
    """How often the comparison is made, if new samples came."""
    keep: KeepSettings = KeepSettings()
    """Retention of text: off unless asked for."""


class EncoderKind(StrEnum):
    LOCAL = "local"
    SERVER = "server"
    NONE = "none"


class ScoringSettings(Group):
    """How alike two answers are: the encoder behind ``similarity``, and what it may cost."""

    encoder: EncoderKind = EncoderKind.LOCAL
    """``local``: sentence-transformers in a child process (extra ``similarity``). ``server``: an OpenAI-compatible
    ``/v1/embeddings``. ``none``: no similarity; agreement, log-probabilities and text checks carry on."""
    model: str = ""
    """A directory or a hub name; empty: the offline all-MiniLM-L6-v2. With ``server``: the name it knows."""
    sha256: Annotated[str, Field(pattern=r"^([0-9a-fA-F]{64})?$")] = ""
    """What ``model.safetensors`` of a directory must hash to; the offline encoder is always checked."""
    backend: Literal["torch", "onnx", "openvino"] = "torch"
    """sentence-transformers' backend; the other two need their own packages."""
    url: str = ""
    """With ``server``: the base before ``/embeddings``, e.g. ``http://127.0.0.1:8080/v1``."""
    api_key: SecretStr | None = None
    """With ``server``: sent as Bearer. Better: environment WATCHTOWER__SCORING__API_KEY."""
    cpu_ratio: Annotated[float, Field(gt=0, le=1)] = 0.10
    """Share of the machine's CPU that embedding may take over time; loading the encoder is not counted."""
    deadline_seconds: Seconds = 60.0
    """Longest for one batch; then the child is killed, or the server given up on, and the scores are UNKNOWN."""
    memory_bytes: Annotated[int, Field(ge=256 * 1024 * 1024)] = 1024**3
    """A scorer child that grows beyond this is replaced."""

    @model_validator(mode="after")
    def _a_server_has_an_address_and_a_model(self) -> ScoringSettings:
        if self.encoder is EncoderKind.SERVER and not (self.url.startswith(("http://", "https://")) and self.model):
            raise ValueError("encoder 'server' needs scoring.url (http://…/v1) and scoring.model")
        return self
