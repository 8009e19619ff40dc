"""``watchtower demo``: a server is broken on purpose, and the audience sees Watchtower notice, cure and prove it.

Stands where ``daemon`` and ``programs`` stand: it connects rooms and nobody imports it. It watches the daemon from
outside only, through the HTTP API that every user has, and takes no word for granted: faults come with proofs, the
client counts its own failures, notices are accepted only with a valid signature, and restarts are checked in /proc.
"""
