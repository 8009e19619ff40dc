"""Which series a reading is of: its name, and whose traffic.

``tag`` is the caller's class of traffic (a header that the operator names); ``variant`` is the model that answered.
Without either, a signal is of all traffic. A variant is known only with the answer, so what is counted before there is
one (arrivals) has none.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from watchtower.vocabulary.readings import READINGS

MOST_LABELLED: Final = 64
"""Pairs of tag and variant that rules may name: a series costs about half a millisecond a tick."""


class Signal(NamedTuple):
    name: str
    """One of ``READINGS``."""
    tag: str = ""
    variant: str = ""

    @property
    def labelled(self) -> bool:
        return bool(self.tag or self.variant)

    def misfit(self) -> str:
        """Why there is no such series, whoever names it; "" where there may be one."""
        knows = READINGS[self.name].labels
        wrong = [key for key, value in (("tag", self.tag), ("variant", self.variant)) if value and key not in knows]
        return f"{self.name} is not known by {' or '.join(wrong)}" if wrong else ""

    def __str__(self) -> str:
        """``name{tag="live"}``, as Prometheus writes it; the bare name for all traffic."""
        if not self.labelled:
            return self.name
        labels = [f'{key}="{value}"' for key, value in (("tag", self.tag), ("variant", self.variant)) if value]
        return f"{self.name}{{{','.join(labels)}}}"
