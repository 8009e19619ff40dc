"""Watchtower: a sidecar that sees an LLM inference server degrade first, says so clearly, and cures it safely.

Read the data path top to bottom:
``Fact → Exchange → Window → Reading → Verdict → Incident → Action → Outcome``.
"""

__version__ = "0.1.0"
