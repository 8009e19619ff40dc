"""docs/alerts.md shows what is really sent, and settings that are really accepted."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.sinks.page import PAGE, payloads
from tests.sinks.samples import WHSEC
from watchtower.services.loading import load
from watchtower.sinks.templates import VARIABLES

TEXT = PAGE.read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", TEXT, flags=re.S)
SHOWN = dict(re.findall(r"<!-- payload: (\w+) -->\n```\w+\n(.*?)\n```", TEXT, flags=re.S))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda text: text.split("kind: ")[1].split()[0])
def test_every_example_of_the_page_passes_the_check(example: str, tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    for name in re.findall(r"secrets/(\w+)", example):
        secret = {
            "webhook": WHSEC,
            "slack": "https://hooks.slack.com/services/x",
            "teams": "https://x.logic.azure.com/y",
        }
        (tmp_path / "secrets" / name).write_text(secret.get(name, "0123456789abcdef0123456789abcdef"))
    file = tmp_path / "watchtower.yaml"
    file.write_text("version: 1\n" + example)
    assert len(load(file, {}).settings.sinks) == 1


@pytest.mark.parametrize("name", payloads())
def test_every_payload_of_the_page_is_what_the_sink_sends(name: str) -> None:
    assert SHOWN[name] == payloads()[name]


@pytest.mark.parametrize("name", VARIABLES)
def test_every_name_that_a_template_may_use_is_on_the_page(name: str) -> None:
    assert f"`{name}`" in TEXT
