"""Reports as the tools write them (real ones of 40 requests, cut down to what is read), read as figures in seconds."""

from __future__ import annotations

from pathlib import Path

import pytest

from watchtower.lab.benchmarks.crosscheck.aiperf import Aiperf
from watchtower.lab.benchmarks.crosscheck.guidellm import Guidellm
from watchtower.lab.benchmarks.crosscheck.measured import Definition
from watchtower.lab.benchmarks.crosscheck.trusted_tools import TrustedTool, environment, read_report
from watchtower.lab.benchmarks.crosscheck.vllm_bench import VllmBench
from watchtower.vocabulary.errors import NotReachable

REPORTS = Path(__file__).parent / "reports"


@pytest.mark.parametrize("tool", [Aiperf(), Guidellm(), VllmBench()], ids=lambda tool: tool.name)
def test_requests_and_tokens_are_what_was_asked(tool: TrustedTool) -> None:
    figures = tool.figures(REPORTS)
    assert (figures.requests, figures.output_tokens) == (40, 40 * 64)


def test_aiperf_tells_gaps_of_tokens_and_of_requests() -> None:
    found = Aiperf().figures(REPORTS).distributions
    assert found[Definition.FIRST_TOKEN].statistics == pytest.approx(
        {"mean": 0.808062879075, "p50": 0.9299809015, "p95": 1.04961675225}
    )
    assert found[Definition.GAP].count == 40 * 63
    assert found[Definition.GAP].statistics["p95"] == pytest.approx(0.07597, rel=1e-3)
    assert found[Definition.MEAN_GAP].count == 40


def test_guidellm_tells_gaps_of_requests_and_the_mean_of_tokens() -> None:
    found = Guidellm().figures(REPORTS).distributions
    assert found[Definition.MEAN_GAP].statistics == pytest.approx(
        {"mean": 0.058496, "p50": 0.055447, "p95": 0.068623}, rel=1e-4
    )
    assert found[Definition.GAP].statistics == {"mean": found[Definition.MEAN_GAP].statistics["mean"]}


def test_the_gaps_of_vllms_bench_count_in_completions_only() -> None:
    """The first event of a chat has no text; the bench takes it for a token."""
    assert Definition.GAP not in VllmBench().figures(REPORTS).distributions
    assert Definition.MEAN_GAP in VllmBench().figures(REPORTS).distributions


def test_a_tool_that_left_no_report_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotReachable, match="aiperf left no report"):
        read_report("aiperf", tmp_path, "missing.json")


def test_a_tool_without_packages_lives_with_the_engine(tmp_path: Path) -> None:
    assert environment(VllmBench(), tmp_path, lambda line: None) == tmp_path


def test_an_environment_that_is_complete_is_not_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHTOWER_TOOLS", str(tmp_path))
    place = tmp_path / f"aiperf-{Aiperf.version}"
    place.mkdir()
    (place / ".complete").touch()
    told: list[str] = []
    assert environment(Aiperf(), tmp_path / "vllm", told.append) == place
    assert told == []
