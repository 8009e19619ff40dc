"""Readings over baselines: what is unusual, and what explains it. Pure: no I/O, no clock, no chance."""

from watchtower.detectors.load_explains_latency import LoadExplainsLatency, LoadNow
from watchtower.detectors.load_settings import LoadSettings

__all__ = ["LoadExplainsLatency", "LoadNow", "LoadSettings"]
