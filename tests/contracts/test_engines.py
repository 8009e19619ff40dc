"""Every engine of the catalogue is held to the contract over a real server, and so are the weights it may offer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from pydantic import SecretStr

from tests.contracts.engines import Simulated
from watchtower.adapters.engine.null_weights import NullWeights, weights_of
from watchtower.adapters.engine.vllm import VllmEngine, VllmEngineSettings
from watchtower.adapters.keeper.launching import ensure_keeper
from watchtower.adapters.supervisor.process import keeper_plan
from watchtower.catalogue import CATALOGUE
from watchtower.lab.simulator.swap import write_stand_in
from watchtower.ports import Engine, ServesWeights, Weights
from watchtower.testing.adapters import eventually
from watchtower.testing.engine_contract import SECRET, EngineContract, WeightsContract
from watchtower.vocabulary.errors import NotReachable


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulated]:
    directory = tmp_path_factory.mktemp("engine")
    server = Simulated(directory, "--checkpoint", str(write_stand_in(directory / "weights")))
    ensure_keeper(keeper_plan(server.state, server.settings))
    try:
        assert server.supervisor.start().yes
        assert eventually(lambda: server.engine.serving()[0])
        yield server
    finally:
        with suppress(NotReachable):
            server.supervisor.stop()


class TestVllm(EngineContract):
    @pytest.fixture
    def served(self, simulated: Simulated) -> Engine:
        return VllmEngine(VllmEngineSettings(url=simulated.url))

    @pytest.fixture
    def gone(self) -> Engine:
        return VllmEngine(VllmEngineSettings(url="http://127.0.0.1:1", api_key=SecretStr(SECRET)))


class TestVllmWeights(WeightsContract):
    @pytest.fixture
    def weights(self, simulated: Simulated) -> Weights:
        engine = VllmEngine(VllmEngineSettings(url=simulated.url))
        assert isinstance(engine, ServesWeights)
        return engine.weights

    @pytest.fixture
    def loadable(self, simulated: Simulated, weights: Weights, tmp_path: Path) -> tuple[str, str]:
        """The weights it was started with; others are in memory."""
        seen = weights.checkpoint(0.0)
        weights.load(str(write_stand_in(tmp_path / "other")), "0" * 64, 30.0)
        assert weights.checkpoint(0.0).observed not in ("", seen.observed)
        return seen.declared, seen.observed


class TestNullWeights(WeightsContract):
    @pytest.fixture
    def weights(self) -> Weights:
        return NullWeights("/weights/declared")

    @pytest.fixture
    def loadable(self) -> None:
        return None


def test_an_engine_that_offers_no_weights_gets_the_null_ones() -> None:
    class Speechless:
        """Serves, and knows nothing of weights."""

        serving = scrape = canary = ask = staticmethod(lambda *told: None)

    weights = weights_of(Speechless(), "/weights/declared")  # type: ignore[arg-type]
    assert isinstance(weights, NullWeights)
    assert weights.checkpoint(0.0).declared == "/weights/declared"
    engine = VllmEngine(VllmEngineSettings())
    assert weights_of(engine, "") is engine.weights


def test_every_engine_of_the_catalogue_is_judged_here() -> None:
    assert set(CATALOGUE["engines"]) == {"vllm"}
