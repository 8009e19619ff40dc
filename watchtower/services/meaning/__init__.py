"""What the engine's answers mean: references, captures, the judge of answers, samples of live answers."""
