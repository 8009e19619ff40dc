"""Hardware → GPU reports: NVML (in a child process) and dcgm-exporter, in the words of ``watchtower.vocabulary.gpus``.

``sources.Hardware`` is the face of the room: it starts what the settings name and hands on one stream of reports. Only
``hardware.nvml`` imports pynvml, and only the gpu child imports ``hardware.nvml``; ``gpu_plan`` is what both sides
share, ``interpretation`` what is pure.
"""
