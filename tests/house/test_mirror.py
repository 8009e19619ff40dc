"""The test tree mirrors the source: who opens a file knows where its tests are, and a gap shows in the listing.

A module that chooses has ``tests/<room>/test_<module>.py``. Where it is better tested through its neighbour, or only as
a process, it stands below with the file that tests it, and that file must be able to reach it.
"""

from __future__ import annotations

from functools import cache
from pathlib import PurePosixPath

import pytest

from tests.house.source import ROOT, Module, modules

CHOOSES = 8
"""From so many branches on there is something to test."""

THROUGH_A_NEIGHBOUR: dict[str, str] = {
    "watchtower/canaries/asking.py": "tests/canaries/test_rounds.py",
    "watchtower/configuration/consistency.py": "tests/configuration/test_bad_configurations.py",
    "watchtower/configuration/environment.py": "tests/configuration/test_layers.py",
    "watchtower/configuration/secrets.py": "tests/configuration/test_layers.py",
    "watchtower/configuration/schema.py": "tests/programs/test_check.py",
    "watchtower/configuration/shapes.py": "tests/configuration/test_bad_configurations.py",
    "watchtower/configuration/tree.py": "tests/configuration/test_yamltree.py",
    "watchtower/configuration/validating.py": "tests/configuration/test_bad_configurations.py",
    "watchtower/detectors/load_baseline.py": "tests/detectors/test_load_explains_latency.py",
    "watchtower/exporters/otel.py": "tests/exporters/test_telemetry.py",
    "watchtower/exporters/remediation_spans.py": "tests/exporters/test_telemetry.py",
    "watchtower/lab/benchmarks/process_costs.py": "tests/lab/benchmarks/test_relay_peers.py",
    "watchtower/lab/demonstration/play.py": "tests/programs/test_demo.py",
    "watchtower/lab/demonstration/screen.py": "tests/programs/test_demo.py",
    "watchtower/lab/simulator/brake.py": "tests/lab/simulator/test_faults.py",
    "watchtower/lab/simulator/control.py": "tests/lab/simulator/test_app.py",
    "watchtower/lab/simulator/generation.py": "tests/lab/simulator/test_app.py",
    "watchtower/lab/simulator/procfs.py": "tests/lab/simulator/test_faults.py",
    "watchtower/programs/timing.py": "tests/programs/test_check.py",
    "watchtower/remediation/arrival.py": "tests/remediation/test_decision.py",
    "watchtower/remediation/assessment.py": "tests/remediation/test_decision.py",
    "watchtower/remediation/blessing.py": "tests/remediation/test_rollback.py",
    "watchtower/remediation/compensation.py": "tests/remediation/test_rollback.py",
    "watchtower/remediation/conclusion.py": "tests/remediation/test_action.py",
    "watchtower/remediation/step.py": "tests/remediation/test_decision.py",
    "watchtower/rules/expressions.py": "tests/rules/test_grammar.py",
    "watchtower/remediation/proposal.py": "tests/remediation/test_gates.py",
    "watchtower/remediation/remedies/by_incarnation.py": "tests/remediation/remedies/test_remedies.py",
    "watchtower/remediation/remedies/by_weights.py": "tests/remediation/remedies/test_remedies.py",
    "watchtower/services/comparing/comparison_report.py": "tests/programs/test_compare.py",
    "watchtower/services/meaning/capturing.py": "tests/services/meaning/test_reference_service.py",
    "watchtower/settings/gpu_knobs.py": "tests/configuration/test_bad_configurations.py",
    "watchtower/sinks/opsgenie.py": "tests/sinks/test_receivers.py",
    "watchtower/sinks/slack.py": "tests/sinks/test_templates.py",
    "watchtower/taps/relay_worker.py": "tests/taps/test_forwarding.py",
    "watchtower/taps/upstream_connection.py": "tests/taps/test_forwarding.py",
    "watchtower/vocabulary/facts.py": "tests/taps/test_versions.py",
    "watchtower/windows/continuity.py": "tests/windows/test_windows.py",
    "watchtower/windows/intake.py": "tests/windows/test_windows.py",
    "watchtower/windows/probes.py": "tests/windows/test_windows.py",
    "watchtower/windows/traffic_readings.py": "tests/windows/test_windows.py",
}
"""Module → the test file that goes through all its ways, by way of the door that callers use."""

AS_A_PROCESS: dict[str, str] = {
    "watchtower/adapters/keeper/engine_tree.py": "tests/programs/test_keeper.py",
    "watchtower/adapters/keeper/launching.py": "tests/programs/test_keeper.py",
    "watchtower/cli/looking.py": "tests/e2e/test_lifecycle.py",
    "watchtower/cli/ordering.py": "tests/house/test_documents.py",
    "watchtower/daemon/assembly.py": "tests/e2e/test_lifecycle.py",
    "watchtower/hardware/nvml/clocks.py": "tests/hardware/test_program.py",
    "watchtower/hardware/nvml/device.py": "tests/hardware/test_program.py",
    "watchtower/hardware/nvml/gpm.py": "tests/hardware/test_program.py",
    "watchtower/hardware/nvml/instruments.py": "tests/hardware/test_program.py",
    "watchtower/hardware/nvml/links.py": "tests/hardware/test_program.py",
    "watchtower/hardware/nvml/session.py": "tests/hardware/test_program.py",
    "watchtower/hardware/nvml/source.py": "tests/hardware/test_program.py",
    "watchtower/hardware/nvml/utilization.py": "tests/hardware/test_utilization.py",
    "watchtower/hardware/nvml/xid.py": "tests/hardware/test_program.py",
    "watchtower/programs/adapter.py": "tests/adapters/test_adapter_child.py",
    "watchtower/programs/gpu.py": "tests/hardware/test_program.py",
    "watchtower/programs/relay.py": "tests/e2e/test_lifecycle.py",
    "watchtower/programs/drift.py": "tests/e2e/test_live_answers.py",
    "watchtower/scoring/worker/encoder.py": "tests/scoring/test_worker.py",
}
"""Module → the test file that runs it as the process that it is made for; nothing there imports it."""


def own_test(module: Module) -> PurePosixPath:
    place = PurePosixPath(module.place)
    return PurePosixPath("tests", *place.parts[1:-1], f"test_{place.name}")


@cache
def reached(test: str) -> frozenset[str]:
    """Names of all modules that the file ``test`` imports, directly or not, the catalogue's lists included."""
    every = {module.name: module for module in modules("watchtower", "tests")}
    found, waiting = set[str](), [Module(ROOT / test)]
    while waiting:
        module = waiting.pop()
        for name in (module.imports | module.named) & every.keys() - found:
            found.add(name)
            waiting.append(every[name])
    return frozenset(found)


def test_every_module_that_chooses_has_its_tests_where_one_looks_for_them() -> None:
    listed = THROUGH_A_NEIGHBOUR.keys() | AS_A_PROCESS.keys()
    without = [
        module.place
        for module in modules()
        if module.branches >= CHOOSES
        and module.path.name != "__init__.py"
        and module.place not in listed
        and not (ROOT / own_test(module)).exists()
    ]
    assert without == []


@pytest.mark.parametrize(("place", "test"), THROUGH_A_NEIGHBOUR.items(), ids=lambda value: str(value).split("/")[-1])
def test_the_test_that_stands_in_for_a_modules_own_reaches_it(place: str, test: str) -> None:
    assert Module(ROOT / place).name in reached(test)


@pytest.mark.parametrize("test", sorted(set(AS_A_PROCESS.values())))
def test_the_test_that_runs_a_process_exists(test: str) -> None:
    assert (ROOT / test).exists()


def test_the_lists_hold_only_what_needs_to_stand_in_them() -> None:
    listed = [Module(ROOT / place) for place in (*THROUGH_A_NEIGHBOUR, *AS_A_PROCESS)]
    needless = [
        module.place
        for module in listed
        if not module.path.exists() or module.branches < CHOOSES or (ROOT / own_test(module)).exists()
    ]
    assert needless == []
