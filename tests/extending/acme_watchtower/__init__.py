"""Somebody else's distribution: one engine, one supervisor and one sink, written against the public words alone.

It imports ``watchtower.knobs``, ``watchtower.vocabulary`` and, for its tests, ``watchtower.testing``; nothing of
Watchtower knows it. An entry point for each is all that makes them known (``outside.py`` writes them).
"""
