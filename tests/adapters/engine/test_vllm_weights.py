"""What the vLLM adapter makes of weights: read back, replaced in the right order, and never believed to be replaced."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.adapters.scripted import Script, served
from watchtower.adapters.engine.vllm import VllmEngine, VllmEngineSettings
from watchtower.lab.simulator.swap import write_stand_in
from watchtower.vocabulary.actions import Reply, ReplyKind

GOOD = {"checksums": {"tp1:b": "22", "tp0:a": "11"}}
ORDER = ["/pause?mode=wait", "/collective_rpc", "/reset_prefix_cache", "/weight_checker"]


def engine(script: Script, **settings: Any) -> VllmEngine:
    return VllmEngine(VllmEngineSettings(url=script.url, **settings))


def willing(**answers: tuple[int, Any]) -> Script:
    """A dev-mode vLLM; ``answers`` replace its own."""
    usual: dict[str, tuple[int, Any]] = {
        "v1__models": (200, {"data": [{"id": "tiny", "root": "/weights/served", "max_model_len": 8}]}),
        "version": (200, {"version": "0.32.0"}),
        "get_world_size": (200, {"world_size": 2}),
        "collective_rpc": (200, {"results": [None, None]}),
        "reset_prefix_cache": (200, {"success": True}),
        "weight_checker": (200, GOOD),
        "update_weight_version": (200, {"success": True}),
        "resume": (200, {"status": "resumed"}),
    }
    script = Script(**(usual | answers))
    script.answers.setdefault("/pause?mode=wait", (200, {"status": "paused"}))
    return script


def asked(script: Script) -> list[str]:
    return [path for path, _, _ in script.asked]


def digest(script: Script) -> str:
    return engine(script).weights.checkpoint(1.0).observed


@pytest.fixture
def weights(tmp_path: Path) -> str:
    return str(write_stand_in(tmp_path / "weights"))


def test_declared_is_what_it_was_started_with_and_observed_a_digest_over_all_checksums() -> None:
    with served(willing()) as script:
        seen = engine(script).weights.checkpoint(7.0)
    assert (seen.at, seen.declared, seen.because) == (7.0, "/weights/served", "")
    assert len(seen.observed) == 64
    assert seen.config_fingerprint
    with served(willing(weight_checker=(200, {"checksums": {"tp1:b": "22", "tp0:a": "12"}}))) as other:
        assert digest(other) != seen.observed
    with served(willing(weight_checker=(200, {"checksums": {"tp0:a": "11", "tp1:b": "22"}}))) as reordered:
        assert digest(reordered) == seen.observed


def test_the_configuration_goes_before_what_the_engine_declares() -> None:
    with served(willing()) as script:
        assert engine(script, checkpoint="/mounted/here").weights.checkpoint(7.0).declared == "/mounted/here"


@pytest.mark.parametrize(
    ("answer", "because"),
    [
        ((404, ""), "VLLM_SERVER_DEV_MODE=1"),
        ((500, {"error": "secret of a user"}), "HTTP 500"),
        ((200, {"checksums": {}}), "no checksums"),
        ((200, "<html>"), "no checksums"),
    ],
)
def test_weights_that_cannot_be_read_are_unknown_with_a_reason(answer: tuple[int, Any], because: str) -> None:
    with served(willing(weight_checker=answer)) as script:
        seen = engine(script).weights.checkpoint(7.0)
    assert seen.observed == ""
    assert because in seen.because
    assert "secret" not in seen.because


def load(script: Script, weights: str, wanted: str | None = None) -> Reply:
    wanted = digest(script) if wanted is None else wanted
    script.asked.clear()
    return engine(script).weights.load(weights, wanted, 10.0)


def test_a_rollback_goes_by_the_safe_order_and_reads_the_weights_back(weights: str) -> None:
    with served(willing()) as script:
        reply = load(script, weights)
        assert reply.kind is ReplyKind.ACKED
        assert asked(script) == [*ORDER, "/update_weight_version", "/resume"]
        call = script.asked[1][2]
        assert (call["method"], call["kwargs"]) == ("reload_weights", {"weights_path": weights})


def test_a_200_proves_nothing_when_the_weights_read_something_else(weights: str) -> None:
    with served(willing()) as script:
        reply = load(script, weights, wanted="f" * 64)
        assert reply.kind is ReplyKind.FAILED
        assert "its files have changed" in reply.because
        assert asked(script)[-1] == "/resume"


@pytest.mark.parametrize(
    ("answers", "kind"),
    [
        ({"collective_rpc": (500, {"error": "half-way"})}, ReplyKind.FAILED),
        ({"reset_prefix_cache": (200, {"success": False})}, ReplyKind.FAILED),
        ({"weight_checker": (500, "")}, ReplyKind.FAILED),
        ({"pause?mode=wait": (503, "")}, ReplyKind.REJECTED),
        ({"update_weight_version": (404, "")}, ReplyKind.ACKED),
    ],
)
def test_whatever_goes_wrong_is_told_for_what_it_is_and_no_pause_stays(
    answers: dict[str, tuple[int, Any]], kind: ReplyKind, weights: str
) -> None:
    with served(willing()) as script:
        wanted = digest(script)
        script.answers |= {f"/{path}": answer for path, answer in answers.items()}
        reply = load(script, weights, wanted)
        assert reply.kind is kind, reply
        assert asked(script)[-1] == "/resume"
        assert ("/collective_rpc" in asked(script)) is (kind is not ReplyKind.REJECTED)


def cut(directory: Path) -> None:
    file = directory / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1])


def empty(directory: Path) -> None:
    (directory / "model.safetensors").unlink()


def incomplete(directory: Path) -> None:
    (directory / "model.safetensors.index.json").write_text('{"weight_map": {"a": "model-2.safetensors"}}')


def garbage(directory: Path) -> None:
    (directory / "model.safetensors").write_bytes(b"\x08" + b"\0" * 7 + b"not json")


@pytest.mark.parametrize(
    ("damage", "because"),
    [
        (cut, "cut off"),
        (empty, "holds no"),
        (incomplete, "model-2.safetensors is missing"),
        (garbage, "cannot be read"),
    ],
)
def test_a_checkpoint_that_is_not_whole_never_reaches_the_engine(damage: Any, because: str, weights: str) -> None:
    damage(Path(weights))
    with served(willing()) as script:
        reply = load(script, weights, wanted="f" * 64)
        assert (reply.kind, asked(script)) == (ReplyKind.REJECTED, [])
        assert because in reply.because


@pytest.mark.parametrize("path", ["/nowhere/at/all", "some/hub-name", ""])
def test_what_cannot_be_seen_from_here_is_not_loaded(path: str) -> None:
    with served(willing()) as script:
        reply = load(script, path, wanted="f" * 64)
        assert (reply.kind, asked(script)) == (ReplyKind.REJECTED, [])
        assert "set engine.checkpoint" in reply.because
