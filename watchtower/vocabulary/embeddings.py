"""What an encoder answers: vectors, or UNKNOWN and why. An encoder that is away is expected, no exception."""

from __future__ import annotations

import msgspec


class Embedding(msgspec.Struct, frozen=True):
    """The answer to one call of ``Encoder.embed``."""

    vectors: list[list[float]] | None
    """One unit vector for each text, in order; None: UNKNOWN. Vectors of unlike ``encoder`` must not be compared."""
    because: str = ""
    """Why there are none: a sentence with its cure, never a text."""
    encoder: str = ""
    """Which encoder, truncation and piecing made them; part of a reference's key. "" while not known."""
