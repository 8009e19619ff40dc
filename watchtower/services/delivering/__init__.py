"""Notices leave for the sinks that want them."""
