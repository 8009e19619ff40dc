"""All the conditions. Inputs are made up; the reports gave the condition."""

from __future__ import annotations

from typing import Final

from tests.taps.conditions.clients import CLIENTS
from tests.taps.conditions.connections import CONNECTIONS, HELD
from tests.taps.conditions.endings import ENDINGS
from tests.taps.conditions.engines_own import ENGINES_OWN
from tests.taps.conditions.failures import ERRORS
from tests.taps.conditions.forms import FORMS
from tests.taps.conditions.other_dialects import FORMS_AND_ROUTES
from tests.taps.conditions.pace import PACE
from tests.taps.conditions.script import Condition
from tests.taps.conditions.typed import TYPED

CONDITIONS: Final[tuple[Condition, ...]] = (
    *(*PACE, *CLIENTS, *ENDINGS, *ERRORS),
    *(*FORMS, *TYPED, *FORMS_AND_ROUTES, *ENGINES_OWN, *HELD, *CONNECTIONS),
)
