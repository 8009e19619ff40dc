"""What exists is documented, what is documented exists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel
from typer.main import get_command

from watchtower.catalogue import CATALOGUE, settings_of
from watchtower.cli import app
from watchtower.configuration import read_settings
from watchtower.rules.rule_files import load_rules
from watchtower.settings import Settings
from watchtower.taps import answers
from watchtower.vocabulary.facts import AnyFact
from watchtower.vocabulary.incidents import HoldReason
from watchtower.vocabulary.metrics import METRICS, relay_metric
from watchtower.vocabulary.readings import READINGS
from watchtower.vocabulary.words import RELAY_COUNTERS

ROOT = Path(__file__).resolve().parent.parent.parent
TREES = (*(ROOT / name for name in ("watchtower", "tests", "docs", "scripts")), *ROOT.glob("*.*"))
README = (ROOT / "README.md").read_text(encoding="utf-8")


def groups(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    yield model
    for field in model.model_fields.values():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from groups(field.annotation)


def plugin_groups() -> Iterator[type[BaseModel]]:
    for socket, kinds in CATALOGUE.items():
        yield from (settings_of(socket, kind) for kind in kinds)


def test_every_knob_has_its_sentence_or_a_name_that_needs_none() -> None:
    plain = {"kind", "name", "version", "cooldown_cap_seconds", "timeout_seconds", "listen"}
    nested = {
        "relay",
        "engine",
        "supervisor",
        "canary",
        "references",
        "evidence",
        "placement",
        "hardware",
        "scoring",
        "remediation",
        "sinks",
        "web",
        "hold",
        "recording",
    }
    missing = [
        f"{group.__name__}.{name}"
        for group in (*groups(Settings), *plugin_groups())
        for name, field in group.model_fields.items()
        if not field.description and name not in plain | nested
    ]
    assert missing == []


def test_every_command_has_help_and_an_example() -> None:
    command = get_command(app)
    leaves = dict(getattr(command, "commands", {}))
    for group in ("rules", "bench", "references", "checkpoints", "sinks", "journal"):
        leaves |= {f"{group} {name}": leaf for name, leaf in leaves.pop(group).commands.items()}
    for name, leaf in leaves.items():
        assert leaf.help, name
        assert "Example" in (leaf.epilog or ""), name


def test_every_command_that_the_readme_names_exists() -> None:
    known = set(getattr(get_command(app), "commands", {}))
    named = set(re.findall(r"^watchtower ([a-z-]+)", README, flags=re.M)) | set(
        re.findall(r"`watchtower ([a-z-]+)", README)
    )
    assert named <= known, named - known


def test_the_configuration_in_the_readme_is_accepted(tmp_path: Path) -> None:
    texts = re.findall(r"```yaml\n(version: 1\n.*?)```", README, flags=re.S)
    configuration = next(text for text in texts if "target:" in text)
    secret = tmp_path / "secret"
    secret.write_text("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n")
    file = tmp_path / "watchtower.yaml"
    file.write_text(configuration.replace("/run/secrets/watchtower-webhook", str(secret)))
    assert read_settings(file, {}).problems == []


def test_the_rule_in_the_readme_is_accepted(tmp_path: Path) -> None:
    text = next(text for text in re.findall(r"```yaml\n(version: 1\n.*?)```", README, flags=re.S) if "rules:\n" in text)
    file = tmp_path / "rules.yaml"
    file.write_text(text)
    assert [rule["name"] for rule in yaml.safe_load(text)["rules"]] == [rule.name for rule in load_rules([file]).rules]


@pytest.mark.parametrize("word", [*READINGS, *HoldReason])
def test_every_word_stands_in_the_generated_manual(word: str) -> None:
    assert f"`{word}`" in (ROOT / "docs" / "words.md").read_text(encoding="utf-8")


def test_facts_differ_by_their_tag() -> None:
    tags = [fact.__struct_config__.tag for fact in AnyFact.__args__]
    assert len(tags) == len(set(tags))


@pytest.mark.parametrize("document", ["CONTRIBUTING.md", "docs/architecture.md", "docs/relay.md"])
def test_every_path_that_the_guides_name_exists(document: str) -> None:
    """Written from anywhere on: a file name occurs once. What has a ``<kind>`` in it is the reader's to choose."""
    quoted = re.findall(r"`([^`\n]+)`", (ROOT / document).read_text(encoding="utf-8"))
    words = {word for text in quoted for word in text.split()}
    named = {word for word in words if re.fullmatch(r"\w[\w./-]*/|\w[\w./-]*\.(py|md|toml)", word)}
    there = [f"/{path.relative_to(ROOT)}" for top in TREES for path in (top, *top.rglob("*"))]
    assert named
    assert {name for name in named if not any(path.endswith(f"/{name.rstrip('/')}") for path in there)} == set()


@pytest.mark.parametrize("document", ["CONTRIBUTING.md", "README.md", "docs/relay.md"])
def test_every_target_of_make_that_the_guides_name_exists(document: str) -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = set(re.findall(r"(?:`|^)make ([a-z0-9-]+)", (ROOT / document).read_text(encoding="utf-8"), re.MULTILINE))
    assert named
    assert named - targets == set()


def knobs(model: type[BaseModel], path: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield path + name
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from knobs(field.annotation, f"{path}{name}.")


def test_what_the_page_of_the_relay_names_exists() -> None:
    """Knobs with the default that it tells, commands, metrics, and what our own answers call themselves."""
    page = (ROOT / "docs" / "relay.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:relay|samples|remediation|engine)\.[a-z_.]*[a-z])(?:`|:)", page))
    assert len(named) > 5
    assert named - {*knobs(Settings), "engine.unreachable", "engine.data_parallel_size"} == set()
    for knob, seconds in re.findall(r"`(relay\.[a-z_.]+)` \((\d+) s\)", page):
        value: Any = Settings(version=1)
        for part in knob.split("."):
            value = getattr(value, part)
        assert value == float(seconds), knob
    assert set(re.findall(r"`watchtower ([a-z]+)", page)) <= set(getattr(get_command(app), "commands", {}))
    counters = {f"{relay_metric(name)}_total" for name in RELAY_COUNTERS}
    assert set(re.findall(r"`(watchtower_[a-z_]+)", page)) <= METRICS.keys() | counters
    kinds = {answer.kind for answer in vars(answers).values() if isinstance(answer, answers.OwnAnswer)}
    codes = set(re.findall(r"\b(?:403|408|502|503) `([a-z_]+)`", page))
    assert len(codes) > 2
    assert codes <= kinds
