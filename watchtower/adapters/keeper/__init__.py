"""The keeper: a small process that owns the engine's process tree, and carries out each operation at most once."""
