"""``watchtower compare BASELINE CANDIDATE``: gate a checkpoint before it is served. Two files, or two live engines.

Exit 0: same; 1: different; 3: too little data; 2: an input that cannot be used. Without an encoder the comparison goes
on with wording, length, markup and text checks, and says so. Nobody waits for anybody here, so the scorer may use the
whole machine.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np
from rich.console import Console

from watchtower.canaries.prompts import load_prompts
from watchtower.clock import SystemClock
from watchtower.programs.endpoints import PairedAnswers, address, ask_both, is_address
from watchtower.scoring.choosing import chosen
from watchtower.services.comparing.answer_files import FileAnswer, read_answers
from watchtower.services.comparing.comparison_report import WIDTH, show, write_html
from watchtower.services.comparing.likelihood import weighed
from watchtower.services.comparing.sameness import Sameness, Vectors, judge, pairs
from watchtower.services.loading import load
from watchtower.settings import EncoderKind, ScoringSettings
from watchtower.tasks import TaskGroup
from watchtower.vocabulary.errors import BadInput, ExitCode, Problem

Side = Mapping[str, FileAnswer]
"""One side's answers, by the prompt's id."""
CODES = {
    Sameness.SAME: ExitCode.OK,
    Sameness.DIFFERENT: ExitCode.PROBLEM_FOUND,
    Sameness.TOO_LITTLE_DATA: ExitCode.UNDECIDED,
}


class CompareOptions(msgspec.Struct, frozen=True, kw_only=True):
    baseline: str
    """A file, or the address of a live engine."""
    candidate: str
    """The same kind."""
    prompts: Path | None = None
    """Of live engines: what both are asked; default: the shipped set."""
    concurrency: int = 4
    max_tokens: int = 48
    again: Path | None = None
    """A second run of the baseline on the same prompts."""
    config: Path | None = None
    no_encoder: bool = False
    alpha: float = 0.01
    seed: int = 0
    html: Path | None = None
    json: bool = False


def main(options: CompareOptions) -> int:
    """Raises BadInput, NotReachable."""
    settings, live = _settings(options), _live(options)
    baseline, candidate, again = _read(options) if live is None else (live.baseline, live.candidate, live.again)
    paired = pairs(baseline, candidate)
    if again is not None:
        paired = [(answer, other) for answer, other in paired if answer.id in again]
    if not paired:
        cure = "both files need the same ids for the same prompts"
        raise BadInput([Problem(options.candidate, "id", f"no id is also in {options.baseline}", cure)])
    reruns = [again[answer.id].output for answer, _ in paired] if again is not None else None
    vectors, encoder, because = asyncio.run(_embedded(paired, reruns, settings))
    found = judge(
        paired,
        vectors=vectors,
        again=reruns,
        encoder=encoder,
        no_encoder=because,
        only_baseline=len(baseline) - len(paired),
        only_candidate=len(candidate) - len(paired),
        alpha=options.alpha,
        seed=options.seed,
    )
    if live is not None:
        found = weighed(found, live.shifts, other_tokens=live.other_tokens, because=live.no_logprobs)
    names = options.baseline, options.candidate
    if options.html is not None:
        write_html(options.html, found, *names)
    if options.json:
        print(msgspec.json.format(msgspec.json.encode(found)).decode())
    else:
        console = Console(highlight=False)
        if not console.is_terminal:
            console.width = WIDTH
        show(console, found, *names)
    return CODES[found.outcome]


def _live(options: CompareOptions) -> PairedAnswers | None:
    """Both engines' answers; None where files are compared. Raises BadInput, NotReachable."""
    given = [is_address(side) for side in (options.baseline, options.candidate)]
    if not any(given):
        if options.prompts is not None:
            cure = "leave it out, or give two addresses http://…"
            raise BadInput([Problem("--prompts", "", "files hold their answers already: nobody is asked", cure)])
        return None
    if not all(given):
        cure = "give two files of answers, or two addresses http://…"
        raise BadInput([Problem("the command line", "", "one side is a file, the other a live engine", cure)])
    if options.again is not None:
        raise BadInput([Problem("--again", "", "a live baseline is asked twice anyway", "leave it out")])
    return ask_both(
        address(options.baseline),
        address(options.candidate),
        load_prompts(options.prompts),
        concurrency=options.concurrency,
        max_tokens=options.max_tokens,
    )


def _read(options: CompareOptions) -> tuple[Side, Side, Side | None]:
    """Baseline, candidate and second run from all files, or all their mistakes at once."""
    files = [Path(options.baseline), Path(options.candidate), *([options.again] if options.again else [])]
    found: list[Side] = []
    problems: list[Problem] = []
    for file in files:
        try:
            found.append(read_answers(file))
        except BadInput as problem:
            problems += problem.problems
    if problems:
        raise BadInput(problems)
    return found[0], found[1], found[2] if options.again else None


def _settings(options: CompareOptions) -> ScoringSettings:
    if options.no_encoder:
        return ScoringSettings(encoder=EncoderKind.NONE)
    given = load(options.config, os.environ).settings.scoring if options.config else ScoringSettings()
    return given.model_copy(update={"cpu_ratio": 1.0})


async def _embedded(
    paired: Sequence[tuple[FileAnswer, FileAnswer]], again: Sequence[str] | None, settings: ScoringSettings
) -> tuple[Vectors | None, str, str]:
    """Vectors and the encoder's name, or None and why."""
    if settings.encoder is EncoderKind.NONE:
        return None, "", "not asked for"
    clock = SystemClock()
    encoder, tasks = chosen(settings, clock), TaskGroup(clock.sleep)
    progress = Console(stderr=True, highlight=False)
    sides = [
        [answer.output for answer, _ in paired],
        [other.output for _, other in paired],
        *([list(again)] if again else []),
    ]
    found: list[np.ndarray[tuple[int, ...], np.dtype[np.float32]]] = []
    name = ""
    tasks.start("scorer", encoder.run, restart_after=None)
    try:
        for side, texts in zip(("baseline", "candidate", "second run"), sides, strict=False):
            rows: list[list[float]] = []
            for first in range(0, len(texts), 64):
                answer = await encoder.embed(texts[first : first + 64])
                if answer.vectors is None:
                    return None, "", answer.because
                rows += answer.vectors
                name = answer.encoder
                if progress.is_terminal:
                    progress.print(f"[dim]{side}: {len(rows)} of {len(texts)} embedded[/]", end="\r")
            found.append(np.asarray(rows, dtype=np.float32))
    finally:
        await encoder.close()
        await tasks.stop()
    return Vectors(*found), name, ""
