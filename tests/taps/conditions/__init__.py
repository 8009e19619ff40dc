"""Conditions of the wire that people reported with real engines and gateways, as scripts, and what is right in each."""
