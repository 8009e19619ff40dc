"""The suites that judge our own plug-ins judge somebody else's: they are part of what is installed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from tests.adapters.scripted import Script, served
from tests.extending.acme_watchtower.diary import Diary, DiarySettings
from tests.extending.acme_watchtower.parrot import Parrot, ParrotSettings
from watchtower.ports import Engine, Sink
from watchtower.testing.clock import HandClock
from watchtower.testing.engine_contract import SECRET, EngineContract
from watchtower.testing.sink_contract import SinkContract


class TestParrot(EngineContract):
    @pytest.fixture
    def served(self) -> Iterator[Engine]:
        with served(Script(status=(200, {"version": "1.0", "waiting": 0}), repeat=(200, {"said": "hello"}))) as script:
            yield Parrot(ParrotSettings(url=script.url))

    @pytest.fixture
    def gone(self) -> Engine:
        return Parrot(ParrotSettings(url="http://127.0.0.1:1", api_key=SecretStr(SECRET)))


class TestDiary(SinkContract):
    @pytest.fixture
    def taking(self, tmp_path: Path) -> Sink:
        return Diary(DiarySettings(kind="diary", path=tmp_path / "diary.jsonl"), HandClock())

    @pytest.fixture
    def unreachable(self, tmp_path: Path) -> Sink:
        return Diary(DiarySettings(kind="diary", path=tmp_path / "not-there" / "diary.jsonl"), HandClock())
