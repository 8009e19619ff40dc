"""An inference engine with faults on command, and what is needed to break a real one the same way.

Pure core (no sockets, no clocks): ``chance`` → ``language`` (texts, checkpoints) · ``ranks`` (step times, faults) →
``scheduler`` (continuous batching) → ``measurements`` (vLLM's metric names) · ``wire`` (OpenAI's shapes).
Around it: ``loop`` (steps in time) and ``app`` (HTTP). Beside it: ``traffic`` (a client that never retries),
``faults`` (injectors that prove themselves), ``brake`` (stops one process) and ``vllm_cpu`` (a real engine).
"""
