"""SageMaker's one route: what is asked, and how it is answered, is whatever the engine behind it understands."""

from __future__ import annotations

from typing import Final

from watchtower.exchanges.choices import CHOICES_SHAPE
from watchtower.exchanges.dialect import Dialect
from watchtower.exchanges.dialects.ollama import OLLAMA_SHAPE
from watchtower.exchanges.dialects.pooling import POOLING_SHAPE
from watchtower.exchanges.dialects.sglang_generate import SGLANG_SHAPE
from watchtower.exchanges.dialects.tgi import TGI_SHAPE
from watchtower.exchanges.first_bytes import open_as
from watchtower.exchanges.openai_requests import describe_request
from watchtower.exchanges.text_output import TEXT_OUTPUT_SHAPE
from watchtower.exchanges.typed_events import TYPED_SHAPE

SAGEMAKER: Final = Dialect(
    name="sagemaker",
    routes=("/invocations",),
    describe=describe_request,
    open=open_as(CHOICES_SHAPE, SGLANG_SHAPE, TGI_SHAPE, OLLAMA_SHAPE, POOLING_SHAPE, TYPED_SHAPE, TEXT_OUTPUT_SHAPE),
)
