"""Whose GPUs: every form a token may take, and never a guess."""

from __future__ import annotations

import pytest

from tests.hardware.machine import uuid
from watchtower.hardware.interpretation.visibility import Ground, select, variables
from watchtower.vocabulary.gpus import GpuSeen, Trouble


def gpus(count: int, **values: object) -> list[GpuSeen]:
    """NVML's order is the bus's order here."""
    return [
        GpuSeen(uuid=uuid(index), index=index, bus_id=f"00000000:{16 + index:02X}:00.0", processes=[])
        for index in range(count)
    ]


def chosen(environ: dict[str, str] | None, count: int = 4) -> list[int] | str:
    """Indexes, or why not."""
    seen = gpus(count)
    selection = select((), environ, seen)
    if not selection.known:
        assert selection.uuids == ()
        return selection.because
    return [next(gpu.index for gpu in seen if gpu.uuid == uuid) for uuid in selection.uuids]


BUS = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"CUDA_VISIBLE_DEVICES": f"{uuid(3)},{uuid(1)}"}, [3, 1]),
        ({"CUDA_VISIBLE_DEVICES": "GPU-00000002"}, [2]),
        ({"CUDA_VISIBLE_DEVICES": "gpu-00000002".replace("gpu", "GPU")}, [2]),
        ({"CUDA_VISIBLE_DEVICES": f"MIG-{uuid(1)}/1/0"}, [1]),
        ({"CUDA_VISIBLE_DEVICES": "2,0", **BUS}, [2, 0]),
        ({"CUDA_VISIBLE_DEVICES": " 2 , 0 ", **BUS}, [2, 0]),
        ({"CUDA_VISIBLE_DEVICES": "1,-1,2", **BUS}, [1]),
        ({"CUDA_VISIBLE_DEVICES": "1,nonsense,2", **BUS}, [1]),
        ({"CUDA_VISIBLE_DEVICES": "0,1,2,3"}, [0, 1, 2, 3]),
        ({"CUDA_VISIBLE_DEVICES": "3,2,1,0"}, [0, 1, 2, 3]),
        ({"CUDA_VISIBLE_DEVICES": ""}, []),
        ({"CUDA_VISIBLE_DEVICES": "-1"}, []),
        ({"CUDA_VISIBLE_DEVICES": "1,1", **BUS}, []),
        ({"NVIDIA_VISIBLE_DEVICES": f"{uuid(0)},{uuid(2)}"}, [0, 2]),
        ({"NVIDIA_VISIBLE_DEVICES": f"{uuid(0)},{uuid(2)}", "CUDA_VISIBLE_DEVICES": "1", **BUS}, [2]),
        ({"NVIDIA_VISIBLE_DEVICES": f"{uuid(0)},{uuid(2)}", "CUDA_VISIBLE_DEVICES": "0,1"}, [0, 2]),
        ({"NVIDIA_VISIBLE_DEVICES": "all", "CUDA_VISIBLE_DEVICES": "1", **BUS}, [1]),
    ],
)
def test_tokens_name_gpus(environ: dict[str, str], expected: list[int]) -> None:
    assert chosen(environ) == expected


@pytest.mark.parametrize(
    ("environ", "because"),
    [
        (None, "cannot be read"),
        ({}, "neither NVIDIA_VISIBLE_DEVICES nor CUDA_VISIBLE_DEVICES is set"),
        ({"CUDA_VISIBLE_DEVICES": "0,1"}, "fastest first is no order"),
        ({"CUDA_VISIBLE_DEVICES": "0,1", "CUDA_DEVICE_ORDER": "FASTEST_FIRST"}, "fastest first is no order"),
        ({"CUDA_VISIBLE_DEVICES": "7", **BUS}, "counts more GPUs than are visible here"),
        ({"CUDA_VISIBLE_DEVICES": "GPU-0000000"}, "is ambiguous"),
        ({"CUDA_VISIBLE_DEVICES": "GPU-77777777"}, "is not visible here"),
        ({"CUDA_VISIBLE_DEVICES": "MIG-12345678-0000-4000-8000-000000000000"}, "is a MIG slice"),
        ({"NVIDIA_VISIBLE_DEVICES": "all"}, "but not which it uses"),
        ({"NVIDIA_VISIBLE_DEVICES": "0,1"}, "counts the host's GPUs"),
        ({"NVIDIA_VISIBLE_DEVICES": "0:0", "CUDA_VISIBLE_DEVICES": "0", **BUS}, "counts the host's GPUs"),
        ({"NVIDIA_VISIBLE_DEVICES": "void"}, "says nothing of devices given otherwise"),
        ({"NVIDIA_VISIBLE_DEVICES": "none"}, "says nothing of devices given otherwise"),
    ],
)
def test_what_could_mean_two_things_is_unknown(environ: dict[str, str] | None, because: str) -> None:
    why = chosen(environ)
    assert isinstance(why, str)
    assert because in why
    assert why.endswith("set hardware.uuids"), "every unknown has its cure"


@pytest.mark.parametrize("environ", [{}, {"NVIDIA_VISIBLE_DEVICES": "all"}, {"NVIDIA_VISIBLE_DEVICES": "0"}])
def test_where_there_is_one_gpu_it_is_that_one(environ: dict[str, str]) -> None:
    assert chosen(environ, count=1) == [0]


def test_numbers_mean_nothing_where_slices_are_counted_too() -> None:
    seen = gpus(2)
    seen[0].unavailable["utilization"] = Trouble.MIG
    selection = select((), {"CUDA_VISIBLE_DEVICES": "0,1", **BUS}, seen)
    assert not selection.known
    assert "MIG" in selection.because


def test_the_bus_decides_not_the_order_in_which_they_were_found() -> None:
    seen = list(reversed(gpus(4)))
    assert select((), {"CUDA_VISIBLE_DEVICES": "0,1", **BUS}, seen).uuids == (uuid(0), uuid(1))


def test_configuration_wins_over_everything() -> None:
    selection = select([uuid(1)], {"CUDA_VISIBLE_DEVICES": uuid(0)}, gpus(2))
    assert (selection.uuids, selection.ground) == ((uuid(1),), Ground.CONFIGURATION)


def test_processes_answer_where_variables_do_not() -> None:
    seen = [
        GpuSeen(uuid=uuid(0), processes=[1]),
        GpuSeen(uuid=uuid(1), processes=[40, 41]),
        GpuSeen(uuid=uuid(2), processes=None),
        GpuSeen(uuid=uuid(3), processes=[43]),
    ]
    selection = select((), {"NVIDIA_VISIBLE_DEVICES": "all"}, seen, pids={40, 43, 99})
    assert (selection.uuids, selection.ground) == ((uuid(1), uuid(3)), Ground.PROCESSES)


def test_empty_process_lists_do_not_mean_that_nobody_is_there() -> None:
    assert not select((), None, gpus(2), pids={40}).known


def test_of_an_environment_only_three_variables_are_kept() -> None:
    block = (
        b"HF_TOKEN=hf_secret\0CUDA_VISIBLE_DEVICES=0,1\0NVIDIA_VISIBLE_DEVICES=\0X=CUDA_DEVICE_ORDER=1\0broken\0\xff=1"
    )
    assert variables(block) == {"CUDA_VISIBLE_DEVICES": "0,1", "NVIDIA_VISIBLE_DEVICES": ""}
