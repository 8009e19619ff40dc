"""Readings over baselines: what is unusual, and what explains it. Pure: no I/O, no clock, no chance."""

from watchtower.detectors.knobs import LoadSettings
from watchtower.detectors.load import LoadExplainsLatency, LoadNow

__all__ = ["LoadExplainsLatency", "LoadNow", "LoadSettings"]
