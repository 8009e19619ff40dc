"""Readings over baselines: what is unusual, and what explains it. Pure: no I/O, no clock, no chance."""

from watchtower.detectors.load import LoadExplainsLatency, LoadSettings

__all__ = ["LoadExplainsLatency", "LoadSettings"]
