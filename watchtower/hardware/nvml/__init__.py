"""NVML through the real pynvml: the only place that imports it.

``NvmlSource`` is the face. One file a concern: ``driver`` (every call passes here), ``meanings`` (what an error
number means), ``session`` (open, enumerate, close), one reader for each group of values, ``xid`` (its own thread).
"""

from watchtower.hardware.nvml.source import NvmlSource

__all__ = ["NvmlSource"]
