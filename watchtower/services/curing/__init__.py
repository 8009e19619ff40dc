"""Decisions of the remediation machine become durable, then effects."""
