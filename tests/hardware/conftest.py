from __future__ import annotations

from pathlib import Path

import pytest

from tests.hardware.machine import Machine
from watchtower.lab.simulator import nvml_stub
from watchtower.vocabulary.errors import NotReachable


def library_for(directory: Path, *flags: str) -> Path:
    try:
        return nvml_stub.built(directory, *flags)
    except NotReachable as problem:
        pytest.skip(str(problem))


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return library_for(tmp_path_factory.mktemp("nvml"))


@pytest.fixture(scope="session")
def old_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return library_for(tmp_path_factory.mktemp("nvml-old"), *nvml_stub.OF_2022)


@pytest.fixture
def machine(tmp_path: Path, library: Path) -> Machine:
    return Machine(tmp_path, library)
