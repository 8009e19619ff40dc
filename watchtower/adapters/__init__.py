"""How an engine is looked at and cured: engines and supervisors behind ports, in a child process of the daemon.

``adapter_child`` is the daemon's side; ``engine``, ``supervisor`` and ``reloads`` run in the child. ``keeper`` is the
process that owns the engine's process tree, and outlives both.
"""
