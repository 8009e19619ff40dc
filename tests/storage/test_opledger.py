"""The keeper's ledger believes only what was written whole."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from watchtower.storage.opledger import OpLedger
from watchtower.vocabulary.actions import Incarnation
from watchtower.vocabulary.errors import StorageFault
from watchtower.vocabulary.operations import EngineExited, EngineStarted, FenceRaised, Operation, OpState

ENGINE = EngineStarted(incarnation=Incarnation("1", "2", "boot"), mark="m")
EXITED = EngineExited(incarnation=ENGINE.incarnation, because="exit status 1")


def operation(state: OpState, fence_token: int = 0) -> Operation:
    return Operation(op_id="op", state=state, at=1.0, boot_id="boot", fence_token=fence_token)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keeper.ledger"


def written(path: Path) -> None:
    ledger = OpLedger(path)
    for record in (ENGINE, operation(OpState.BEGUN, 4), EXITED, operation(OpState.DONE), FenceRaised(token=3)):
        ledger.append(record)
    ledger.close()


def test_what_was_appended_is_there_after_reopening(path: Path) -> None:
    written(path)
    ledger = OpLedger(path)
    assert ledger.operations == {"op": operation(OpState.DONE)}
    assert (ledger.engine, ledger.exited) == (ENGINE, EXITED)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_fence_is_the_highest_token_ever_seen(path: Path) -> None:
    written(path)
    assert OpLedger(path).fence == 4


def test_a_new_engine_has_not_exited(path: Path) -> None:
    written(path)
    ledger = OpLedger(path)
    ledger.append(ENGINE)
    assert ledger.exited is None


def test_wherever_the_last_line_is_torn_everything_before_it_is_kept(path: Path) -> None:
    written(path)
    content = path.read_bytes()
    last = content[:-1].rfind(b"\n") + 1
    for cut in range(last, len(content)):
        path.write_bytes(content[:cut])
        ledger = OpLedger(path)
        assert ledger.operations == {"op": operation(OpState.DONE)}
        ledger.append(EXITED)
        ledger.close()
        OpLedger(path).close()


def test_one_flipped_bit_anywhere_is_found(path: Path) -> None:
    written(path)
    content = bytearray(path.read_bytes())
    for place in range(0, len(content) - 1, 7):
        content[place] ^= 1
        path.write_bytes(content)
        with pytest.raises(StorageFault, match="damaged record"):
            OpLedger(path)
        content[place] ^= 1


def test_after_a_failed_write_nothing_more_is_believed(path: Path) -> None:
    ledger = OpLedger(path)
    broken = os.open("/dev/full", os.O_WRONLY)
    os.dup2(broken, ledger._file)
    os.close(broken)
    with pytest.raises(StorageFault):
        ledger.append(operation(OpState.BEGUN))
    assert ledger.operations == {}
    with pytest.raises(StorageFault, match="until the keeper is restarted"):
        ledger.append(operation(OpState.BEGUN))


def test_a_place_that_cannot_be_written_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(StorageFault):
        OpLedger(tmp_path / "missing" / "keeper.ledger")
