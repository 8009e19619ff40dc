"""One bad rule file for each mistake: the file's name is the mistake, the text beside it is what people are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from watchtower.rules.rule_files import load_rules, read_rules
from watchtower.vocabulary.errors import BadInput

BAD = Path(__file__).parent / "bad"


@pytest.mark.parametrize("file", sorted(BAD.glob("*.yaml")), ids=lambda file: file.stem)
def test_a_bad_rule_is_refused_with_place_and_cure(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(BAD)
    with pytest.raises(BadInput) as refused:
        load_rules([Path(file.name)])
    assert str(refused.value) == file.with_suffix(".txt").read_text().rstrip("\n")
    assert all(problem.what and problem.cure for problem in refused.value.problems)


# ── tag and variant ─────────────────────────────────────────────────────────────────────────────

LABELLED = """version: 1
rules:
  - name: slow_live
    when: inter_token_latency_seconds.p95 > 130ms or exchanges.error_ratio > 10%
    unless: exchanges.open < 2
    tag: live
    variant: chat-7b
"""


def test_a_rule_may_be_about_the_traffic_of_one_tag_and_variant() -> None:
    signals = read_rules(LABELLED, "rules.yaml").signals()
    assert [str(signal) for signal in signals] == [
        'inter_token_latency_seconds.p95{tag="live",variant="chat-7b"}',
        'exchanges.error_ratio{tag="live",variant="chat-7b"}',
        "exchanges.open",
    ]


@pytest.mark.parametrize(
    ("when", "label"),
    [
        ("gpu_utilization.spread > 15pp", "tag: live"),
        ("exchanges.arrival_rate > 3", "variant: chat-7b"),
        ("inter_token_latency_seconds.p95 > 1s and canary.latency > 1s", "tag: live"),
    ],
)
def test_a_reading_that_is_not_known_by_tag_or_variant_is_told_with_its_place(when: str, label: str) -> None:
    text = f"version: 1\nrules:\n  - name: slow\n    when: {when}\n    {label}\n"
    with pytest.raises(BadInput) as caught:
        read_rules(text, "rules.yaml")
    (problem,) = caught.value.problems
    assert problem.where == "rules.yaml:5"
    assert "is not known by" in problem.what


def test_more_tags_than_are_kept_are_refused_before_the_night(tmp_path: Path) -> None:
    rule = "  - name: slow_{n}\n    when: inter_token_latency_seconds.p95 > 1s\n    tag: tag-{n}\n"
    file = tmp_path / "rules.yaml"
    file.write_text("version: 1\nrules:\n" + "".join(rule.replace("{n}", str(n)) for n in range(65)))
    with pytest.raises(BadInput, match="65 pairs of tag and variant"):
        load_rules([file])


def test_an_empty_tag_is_no_tag() -> None:
    text = 'version: 1\nrules:\n  - name: slow\n    when: gpu_xid.fatal > 0\n    tag: ""\n'
    assert [str(signal) for signal in read_rules(text, "rules.yaml").signals()] == ["gpu_xid.fatal"]
