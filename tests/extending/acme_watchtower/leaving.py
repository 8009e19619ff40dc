"""Sink "leaving": a module that ends the process of whoever imports it, as scripts without a guard do."""

raise SystemExit("acme needs its licence")
