"""The stand-in for NVML is built once, and says so when it cannot be."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from watchtower.lab.simulator import nvml_stub
from watchtower.vocabulary.errors import NotReachable


@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is needed to build the stand-in for NVML")
def test_it_is_built_once_for_each_source_and_set_of_flags(tmp_path: Path) -> None:
    directory = nvml_stub.built(tmp_path)
    made = (directory / nvml_stub.NAME).stat().st_mtime_ns
    assert nvml_stub.built(tmp_path) == directory
    assert (directory / nvml_stub.NAME).stat().st_mtime_ns == made
    assert [path.name for path in directory.iterdir()] == [nvml_stub.NAME]
    assert nvml_stub.built(tmp_path, *nvml_stub.OF_2022) != directory


def test_without_a_compiler_the_cure_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotReachable, match=r"no C compiler .* install gcc"):
        nvml_stub.built(tmp_path)


@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is needed to build the stand-in for NVML")
def test_a_compiler_that_refuses_is_quoted_and_leaves_no_library(tmp_path: Path) -> None:
    with pytest.raises(NotReachable, match="could not build the stand-in"):
        nvml_stub.built(tmp_path, "--no-such-flag-of-any-compiler")
    assert not list(tmp_path.rglob(nvml_stub.NAME))
    assert nvml_stub.user_cache({"XDG_CACHE_HOME": "/x"}) == Path("/x/watchtower/nvml-stub")
