"""What every test shares: Hypothesis without wall-clock deadlines, because a busy machine is no defect."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("watchtower", deadline=None, print_blob=True)
settings.load_profile("watchtower")
