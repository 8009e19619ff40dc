"""Where the hardware differs from what was expected, and where that cannot be told."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from watchtower.detectors.placement_findings import Finding, PlacementQuestion, compare
from watchtower.settings import PlacementSettings, StageSettings
from watchtower.vocabulary.gpus import GpuSeen, Trouble

H100 = {
    "name": "NVIDIA H100 80GB HBM3", "pcie_generation": 1, "pcie_generation_max": 5, "pcie_width": 16,
    "nvlink_active": 18, "power_limit_watts": 700.0,
}  # fmt: skip
EXPECTED = StageSettings(
    ranks=2, model="h100", pcie_generation=5, pcie_width=16, nvlinks=18, power_limit_watts=700, name="tp"
)


def found(*gpus: GpuSeen, stage: StageSettings = EXPECTED) -> dict[tuple[str, PlacementQuestion], Finding]:
    return {(finding.gpu, finding.question): finding for finding in compare(PlacementSettings(stages=(stage,)), gpus)}


def gpu(index: int, **changes: Any) -> GpuSeen:
    return GpuSeen(**{"uuid": f"GPU-{index}", "index": index, **H100, **changes})


def test_what_is_as_expected_is_ok_also_while_its_links_rest() -> None:
    findings = found(gpu(0), gpu(1))
    assert len(findings) == 1 + 2 * 5
    assert all(finding.ok for finding in findings.values())


@pytest.mark.parametrize(
    ("changes", "question", "real"),
    [
        ({"name": "NVIDIA L40S"}, PlacementQuestion.MODEL, "NVIDIA L40S"),
        ({"pcie_generation_max": 4}, PlacementQuestion.PCIE_GENERATION, "4"),
        ({"pcie_width": 8}, PlacementQuestion.PCIE_WIDTH, "8"),
        ({"nvlink_active": 12}, PlacementQuestion.NVLINKS, "12"),
        ({"power_limit_watts": 400.0}, PlacementQuestion.POWER_LIMIT, "400"),
    ],
)
def test_each_difference_is_one_mismatch_of_one_gpu(
    changes: dict[str, Any], question: PlacementQuestion, real: str
) -> None:
    findings = found(gpu(0), gpu(1, **changes))
    wrong = [finding for finding in findings.values() if not finding.ok]
    assert [(finding.gpu, finding.question, finding.real) for finding in wrong] == [("GPU-1", question, real)]


def test_what_cannot_be_read_is_neither_right_nor_wrong() -> None:
    assert found(gpu(0), gpu(1, nvlink_active=None))["GPU-1", PlacementQuestion.NVLINKS].ok is None


def test_a_missing_and_a_lost_gpu_are_mismatches() -> None:
    stage = StageSettings(gpus=("GPU-0", "GPU-1", "GPU-2"))
    findings = found(gpu(0), GpuSeen(uuid="GPU-1", trouble=Trouble.LOST), stage=stage)
    assert findings["", PlacementQuestion.RANKS] == Finding(
        stage="all", question=PlacementQuestion.RANKS, expected="3", real="1", ok=False
    )
    assert findings["GPU-1", PlacementQuestion.PRESENT].real == "lost"
    assert findings["GPU-2", PlacementQuestion.PRESENT].real == "not seen"


def test_stages_may_have_different_cards() -> None:
    placement = PlacementSettings(
        stages=(
            StageSettings(name="first", gpus=("GPU-0",), model="H100"),
            StageSettings(name="second", gpus=("GPU-1",), model="L40S"),
        )
    )
    assert all(finding.ok for finding in compare(placement, [gpu(0), gpu(1, name="NVIDIA L40S")]))
    swapped = compare(placement, [gpu(0, name="NVIDIA L40S"), gpu(1)])
    assert [finding.ok for finding in swapped if finding.question is PlacementQuestion.MODEL] == [False, False]


@pytest.mark.parametrize(
    ("stages", "says"),
    [
        (({"name": "a", "gpus": ["GPU-0"]}, {"name": "b"}), "name the UUIDs"),
        (({"name": "a", "gpus": ["GPU-0"]}, {"name": "b", "gpus": ["GPU-0"]}), "in two stages"),
        (({"gpus": ["GPU-0"]}, {"gpus": ["GPU-1"]}), "same name"),
    ],
)
def test_stages_that_cannot_be_told_apart_are_refused(stages: tuple[dict[str, Any], ...], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        PlacementSettings.model_validate({"stages": stages})
