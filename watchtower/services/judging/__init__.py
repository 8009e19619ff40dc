"""Facts become windows, readings and verdicts, once a tick."""
