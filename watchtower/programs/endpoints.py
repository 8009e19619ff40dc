"""Two live engines asked the same questions, for ``watchtower compare http://… http://…``.

Greedy answers, each prompt once to the candidate and twice to the baseline, whose second answer shows what repeating
alone changes. Where the baseline gives token ids its answer is read out by both, which needs one generated token each.
Every request carries a fresh salt, so that no prefix cache answers for the engine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from rich.console import Console
from rich.progress import Progress

from watchtower.catalogue import load, settings_of
from watchtower.clock import boottime_ns, sleep_blocking
from watchtower.knobs import EngineSettings
from watchtower.ports import Engine
from watchtower.scoring.measures.logprobs import Shift, shift
from watchtower.services.comparing.answer_files import FileAnswer
from watchtower.vocabulary.errors import BadInput, NotReachable, Problem
from watchtower.vocabulary.references import EngineAnswer, Prompt, Question

SECONDS = 120.0
"""For one answer."""
TRIES = 3
AGAIN_SECONDS = 1.0
READINGS = 2
"""Times that the baseline reads its own answer out: the difference is its noise."""


@dataclass(slots=True)
class PairedAnswers:
    """What two engines said; in the prompts' order."""

    baseline: dict[str, FileAnswer] = field(default_factory=dict)
    candidate: dict[str, FileAnswer] = field(default_factory=dict)
    again: dict[str, FileAnswer] = field(default_factory=dict)
    shifts: dict[str, Shift] = field(default_factory=dict)
    other_tokens: int = 0
    """Prompts that reached the two as other tokens."""
    no_logprobs: str = ""
    """Why log-probabilities cannot be compared; "" when they can."""


@dataclass(frozen=True, slots=True)
class _Trial:
    """Everything heard for one prompt."""

    prompt: Prompt
    baseline: EngineAnswer
    again: EngineAnswer
    candidate: EngineAnswer
    own: list[EngineAnswer]
    """The baseline's answer read out by itself."""
    other: EngineAnswer
    """The same by the candidate."""

    @property
    def other_tokens(self) -> bool:
        tokens = self.baseline.prompt_token_ids, self.candidate.prompt_token_ids
        return all(tokens) and tokens[0] != tokens[1]


def is_address(given: str) -> bool:
    return given.startswith(("http://", "https://"))


def address(given: str) -> str:
    """The base of an OpenAI-compatible server, with or without ``/v1``. Raises BadInput."""
    parts = urlsplit(given)
    if not parts.hostname or parts.query or parts.fragment:
        raise BadInput([Problem("the command line", "", "an address without a host", "e.g. http://127.0.0.1:8000")])
    if parts.username or parts.password:
        what = "an address with a user or password in it"
        raise BadInput([Problem(parts.hostname, "", what, "leave it out: what stands here is printed and logged")])
    return given.rstrip("/").removesuffix("/v1").rstrip("/")


def ask_both(
    baseline: str, candidate: str, prompts: Sequence[Prompt], *, concurrency: int, max_tokens: int
) -> PairedAnswers:
    """At most ``concurrency`` requests at a time, over both. Raises NotReachable at the first question that stays
    without an answer: half a comparison would be of the easy half."""
    engines = [_engine(url).ask for url in (baseline, candidate)]
    sides = [_patient(ask, url) for ask, url in zip(engines, (baseline, candidate), strict=True)]
    console = Console(stderr=True)
    with (
        Progress(console=console, transient=True, disable=not console.is_terminal) as progress,
        ThreadPoolExecutor(concurrency, "asking") as pool,
    ):
        task = progress.add_task("asking both", total=len(prompts))
        trials = []
        try:
            for trial in pool.map(lambda prompt: _ask(prompt, sides, engines, max_tokens), prompts):
                trials.append(trial)
                progress.advance(task)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return _paired(trials)


def _engine(url: str) -> Engine:
    """Of the kind that is meant where none is written."""
    settings = settings_of("engines", EngineSettings().kind).model_validate({"url": url})
    engine: Engine = load("engines", settings.kind)(settings)
    return engine


def _patient(ask: Callable[[Question], EngineAnswer], url: str) -> Callable[[Question, str], EngineAnswer]:
    """Ask ``TRIES`` times; raises NotReachable after that."""

    def say(question: Question, id: str) -> EngineAnswer:
        for left in reversed(range(TRIES)):
            found = ask(question)
            if not found.because:
                return found
            if left:
                sleep_blocking(AGAIN_SECONDS)
        raise NotReachable(f"{url} did not answer question {id}: {found.because}")

    return say


def _ask(
    prompt: Prompt,
    sides: Sequence[Callable[[Question, str], EngineAnswer]],
    engines: Sequence[Callable[[Question], EngineAnswer]],
    max_tokens: int,
) -> _Trial:
    def salt() -> str:
        return f"compare-{prompt.id}-{boottime_ns():x}"

    def say(side: int) -> EngineAnswer:
        return sides[side](Question(text=prompt.text, salt=salt(), max_tokens=max_tokens, seconds=SECONDS), prompt.id)

    baseline, again, candidate = say(0), say(0), say(1)
    asked, answer = baseline.prompt_token_ids, baseline.token_ids

    def read_out(side: int) -> EngineAnswer:
        if not asked or not answer:
            return EngineAnswer(because="the baseline gives no token ids")
        found = engines[side](Question(token_ids=[*asked, *answer], salt=salt(), seconds=SECONDS))
        return found if found.because else EngineAnswer(logprobs=found.logprobs[len(asked) :])

    own = [read_out(0) for _ in range(READINGS)]
    other = (
        read_out(1)
        if not any(answer.because for answer in own)
        else EngineAnswer(because="the baseline's were not to be had")
    )
    return _Trial(prompt, baseline, again, candidate, own, other)


def _paired(trials: Sequence[_Trial]) -> PairedAnswers:
    found = PairedAnswers(other_tokens=sum(trial.other_tokens for trial in trials))
    for trial in trials:
        for side, said in (
            (found.baseline, trial.baseline),
            (found.again, trial.again),
            (found.candidate, trial.candidate),
        ):
            side[trial.prompt.id] = FileAnswer(trial.prompt.id, said.text, trial.prompt.text, said.finish_reason)
        missing = next((f"baseline: {own.because}" for own in trial.own if own.because), "")
        missing = missing or (f"candidate: {trial.other.because}" if trial.other.because else "")
        found.no_logprobs = found.no_logprobs or missing
        own = [reading.logprobs for reading in trial.own]
        moved = None if missing or trial.other_tokens else shift(trial.other.logprobs, own)
        if moved is not None:
            found.shifts[trial.prompt.id] = moved
    return found
