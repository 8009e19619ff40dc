"""Regular looks at the engine, its keeper and its GPUs."""
