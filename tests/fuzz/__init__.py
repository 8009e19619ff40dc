"""Bad input, by the seed: recordings cut anew and mutilated, through a real relay worker and straight into dialects."""
