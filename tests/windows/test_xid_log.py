"""Errors of the driver as a reading: which count, for how long, and when nobody knows."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.windows.hardware_scenes import at_work, reports, uuid, watched
from tests.windows.traffic import START
from watchtower.vocabulary.facts import GpuReport
from watchtower.vocabulary.gpus import GpuSeen, GpuSource, Trouble, Xid
from watchtower.vocabulary.readings import Reading
from watchtower.vocabulary.xids import XIDS, XidKind, meaning
from watchtower.windows.xid_log import FATAL_XIDS

HEALTHY = reports([0.9, 0.9, 0.9, 0.9])


def heard(*xids: Xid, at: float = 71, gpus: list[GpuSeen] | None = None, trouble: Trouble | None = None) -> GpuReport:
    return GpuReport(at=START + at, source=GpuSource.NVML, gpus=gpus or [], xids=list(xids), trouble=trouble)


def read(*more: GpuReport, over: float = 30, later: float = 0.0) -> Reading:
    windows, now = watched(HEALTHY, more)  # no traffic: a card may fail while nobody asks for anything
    return windows.read(FATAL_XIDS, over, now + later)


def test_a_driver_that_is_listened_to_and_says_nothing_is_zero() -> None:
    assert read().value == 0


def test_a_fatal_error_counts_and_names_its_gpu_and_what_it_means() -> None:
    reading = read(heard(Xid(START + 71, uuid(2), 79)))
    assert reading.value == 1
    assert reading.detail == "GPU 2 (GPU-2): Xid 79, it fell off the bus: the machine needs a reboot"


@pytest.mark.parametrize("number", [13, 31, 43, 45, 63, 94, 154, 99999])
def test_an_applications_error_or_an_unknown_number_is_not_fatal(number: int) -> None:
    assert read(heard(Xid(START + 71, uuid(2), number))).value == 0


def test_the_newest_of_each_gpu_is_told() -> None:
    reading = read(
        heard(Xid(START + 70.1, uuid(0), 48), Xid(START + 70.2, uuid(0), 64), Xid(START + 70.9, uuid(3), 145))
    )
    assert reading.value == 3
    assert reading.detail.startswith("GPU 0 (GPU-0): Xid 64, remapping a memory row failed")
    assert "GPU 3 (GPU-3): Xid 145, NVLink failed" in reading.detail and "48" not in reading.detail


def test_it_leaves_the_window_when_the_gpu_is_back_and_stays_while_it_is_away() -> None:
    event = Xid(START + 71, uuid(2), 79)
    assert read(heard(event), later=31).value == 0
    lost = GpuSeen(uuid=uuid(2), index=2, trouble=Trouble.LOST, because="Xid 79: it fell off the bus")
    assert read(heard(event, gpus=[lost]), later=31).value == 1


def test_what_was_heard_is_known_although_the_driver_fell_silent_since() -> None:
    silent = heard(at=72, trouble=Trouble.DRIVER_WEDGED)
    assert read(silent).value is None
    assert read(heard(Xid(START + 71, uuid(1), 119)), silent).value == 1


@pytest.mark.parametrize("trouble", [Trouble.NOT_SUPPORTED, Trouble.NO_PERMISSION])
def test_where_nobody_listens_it_is_unknown_and_not_zero(trouble: Trouble) -> None:
    reading = read(heard(gpus=[GpuSeen(uuid=uuid(1), index=1, unavailable={"xids": trouble})]))
    assert reading.value is None and reading.because.startswith("GPU 1 (GPU-1): no Xid is heard")


def test_without_any_source_it_is_unknown() -> None:
    windows, now = watched(at_work())
    assert windows.read(FATAL_XIDS, 30, now).because.startswith("no GPU source is configured")


def test_an_event_that_names_no_gpu_still_counts() -> None:
    assert read(heard(Xid(START + 71, "", 79))).detail.startswith("an unnamed GPU: Xid 79")


def test_every_meaning_is_a_short_sentence() -> None:
    assert all(text.text and len(text.text) < 80 for text in XIDS.values())
    assert meaning(79).kind is XidKind.FATAL and meaning(123456).kind is XidKind.OTHER


def test_the_manual_lists_every_number_with_its_meaning() -> None:
    manual = (Path(__file__).resolve().parents[2] / "docs" / "gpu.md").read_text(encoding="utf-8").splitlines()
    rows = [f"| {number} | {xid.kind.value} | {xid.text} |" for number, xid in XIDS.items()]
    assert [row for row in rows if row not in manual] == []
