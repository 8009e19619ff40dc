"""A real vLLM that runs on the CPU, with a tiny checkpoint: for demonstrations and tests against the real thing.

``install.sh`` makes its environment, ``make_checkpoint.py`` (run by that environment's Python) writes a checkpoint,
``engine`` knows the command line. Nothing here is imported by the product's own data path.
"""
