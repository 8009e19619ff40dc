"""What every test shares: Hypothesis without wall-clock deadlines, because a busy machine is no defect.

Garbage is collected between modules. Python 3.11.7 fails to parse a source when a finalizer that complains (and so has
its traceback formatted, which parses too) runs in the middle of it; Hypothesis parses sources.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.starvation import pytest_collection_modifyitems as pytest_collection_modifyitems
from tests.starvation import pytest_runtest_logstart as pytest_runtest_logstart

settings.register_profile("watchtower", deadline=None, print_blob=True)
settings.load_profile("watchtower")


def pytest_collection_finish() -> None:
    """What was imported stays: later collections need not look at it."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="module")
def _no_garbage_of_others() -> Iterator[None]:
    yield
    gc.collect()
