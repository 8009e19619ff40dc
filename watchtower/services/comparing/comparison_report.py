"""The comparison for a person: verdict, effects with their bands, a histogram, and the prompts that moved most.

One rendering for the terminal and for ``--html``. Ids, never texts: the table may be pasted into a ticket.
"""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import numpy as np
from rich.console import Console, Group
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from watchtower.services.comparing.sameness import MOVED, ComparisonReport, Effect, Sameness
from watchtower.vocabulary.errors import BadInput, Problem
from watchtower.vocabulary.quantities import short

WIDTH = 110
BINS = 20
BAR = 44
COLOURS = {Sameness.SAME: "green", Sameness.DIFFERENT: "red", Sameness.TOO_LITTLE_DATA: "yellow"}
WORDS = {
    "meaning": "meaning: common shift, of the usual distance",
    "wording": "wording: common shift, of the usual distance",
    "length": "length, words",
    "markup": "lines that are lists, headings, code",
    "faults": "newly faulty answers",
    "distance": "cosine lost beyond a rerun's",
}


def show(console: Console, found: ComparisonReport, baseline: str, candidate: str) -> None:
    console.print(_page(found, baseline, candidate))


def write_html(path: Path, found: ComparisonReport, baseline: str, candidate: str) -> None:
    """The same page as one self-contained file. Raises BadInput where it cannot be written."""
    console = Console(record=True, width=WIDTH, file=StringIO(), highlight=False)
    console.print(_page(found, baseline, candidate))
    try:
        path.write_text(console.export_html(inline_styles=True), encoding="utf-8")
    except OSError as problem:
        raise BadInput([Problem("--html", "", problem.strerror or "cannot write", f"another place than {path}")]) from (
            problem
        )


def _page(found: ComparisonReport, baseline: str, candidate: str) -> Group:
    colour = COLOURS[found.outcome]
    verdict = Text(found.outcome.value.replace("_", " ").upper(), style=f"bold {colour}")
    verdict.append(f" · {found.because}", style="none")
    parts = [verdict, Text(f"baseline   {baseline}\ncandidate  {candidate}")]
    counts = f"{found.prompts} prompts answered by both, {found.identical} of them identically"
    if found.only_baseline or found.only_candidate:
        counts += (
            f"; left out: {found.only_baseline} only in the baseline, {found.only_candidate} only in the candidate"
        )
    parts.append(Text(counts))
    parts.append(Text(f"meaning by {found.encoder}" if found.encoder else f"no meaning: {found.no_encoder}"))
    parts.append(Text(_likelihood(found)))
    body: list[Text | Table | Rule] = [*parts]
    if found.effects:
        body += [Rule(style="dim"), _effects(found)]
    if found.per_prompt:
        body += [Rule(style="dim"), _histogram(found), Rule(style="dim"), _moved(found)]
    return Group(*body)


def _likelihood(found: ComparisonReport) -> str:
    read = found.likelihood
    if read is None:
        return f"no log-probabilities: {found.no_likelihood}"
    excess, low, high = (short(value, 2) for value in (read.excess, read.low, read.high))
    return (
        f"log-probabilities of {read.tokens} tokens: {short(read.nats, 2)} nats apart, {excess} ({low} … {high}) times "
        "what the baseline's own noise allows"
    )


def _effects(found: ComparisonReport) -> Table:
    table = Table("measure", "candidate against baseline", "95 % band", "same within", "p", box=None)
    for effect in found.effects:
        style = "red" if effect.p < found.alpha else "yellow" if not effect.inside else ""
        tolerance = "–" if effect.tolerance is None else f"± {_amount(effect, effect.tolerance, signed=False)}"
        band = f"{_amount(effect, effect.low)} … {_amount(effect, effect.high)}"
        table.add_row(
            WORDS[effect.name], _amount(effect, effect.value), band, tolerance, f"{effect.p:.3f}", style=style
        )
    table.caption = f"all together: p {found.p:.4f}, confidence {100 * (1 - found.p):.2f} %"
    table.caption_justify = "left"
    return table


def _amount(effect: Effect, value: float, *, signed: bool = True) -> str:
    if effect.name == "distance":
        return f"{value:+.3f}" if signed else f"{value:.3f}"
    if effect.name == "length":  # a mean of logarithms
        value = float(np.expm1(value)) if signed else value
    if effect.name in ("meaning", "wording"):
        signed = False
    return f"{100 * value:+.1f} %" if signed else f"{100 * value:.1f} %"


def _histogram(found: ComparisonReport) -> Table:
    values = np.array([prompt.closeness for prompt in found.per_prompt])
    low = min(0.0, float(np.floor(values.min() * 10) / 10))
    counts, edges = np.histogram(values, bins=BINS, range=(low, 1.0 + 1e-9))
    what = "meaning" if found.encoder else "wording"
    table = Table(
        "", "", "", box=None, show_header=False, title=f"cosine of the paired answers' {what}", title_justify="left"
    )
    first = int(np.flatnonzero(counts)[0])
    for count, edge in list(zip(counts, edges, strict=False))[first:]:
        bar = "█" * round(BAR * count / max(1, counts.max())) or ("▏" if count else "")
        table.add_row(f"{edge:.2f}", bar, str(count))
    table.caption = f"mean {values.mean():.3f}, median {np.median(values):.3f}, sd {values.std():.3f}"
    table.caption_justify = "left"
    return table


def _moved(found: ComparisonReport) -> Table:
    table = Table(
        "prompt", "nats", "cosine", "first 16 words", "words", "newly faulty",
        title="what moved most", title_justify="left", box=None,
    )  # fmt: skip
    for prompt in found.per_prompt[:MOVED]:
        table.add_row(
            prompt.id[:40],
            "–" if prompt.nats is None else short(prompt.nats, 2),
            f"{prompt.closeness:.3f}",
            f"{100 * prompt.agreement:.0f} %",
            f"{prompt.baseline_words} → {prompt.candidate_words}",
            ", ".join(prompt.faults),
        )
    return table
