"""Pictures, films and the like: what diffusion engines make."""

from __future__ import annotations

from typing import Final

from watchtower.exchanges.dialect import Dialect
from watchtower.exchanges.dialects.pooling import open_whole
from watchtower.exchanges.openai_requests import describe_request

PICTURES: Final = Dialect(
    name="pictures",
    routes=(
        *("/images/generations", "/images/edits", "/images/variations", "/meshes"),
        *("/videos", "/videos/generations", "/actions/generations", "/rollout/generate"),
    ),
    describe=describe_request,
    open=open_whole,
    timed=False,
)
