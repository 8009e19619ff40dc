"""``python anthropic_client.py URL``, with the engine's own Python, which has Anthropic's client: asks in each way.

Prints a line for each answer, as the client understood it: ``{"ask": …, "input": …, "output": …, "stop": …}``.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import anthropic

TOOL = {
    "name": "weather",
    "input_schema": {
        "type": "object",
        "properties": {"unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}},
        "required": ["unit"],
        "additionalProperties": False,
    },
}


def tell(ask: str, usage: Any, output: int, stop: str | None) -> None:
    print(json.dumps({"ask": ask, "input": usage.input_tokens, "output": output, "stop": stop}), flush=True)


def tell_whole(ask: str, message: Any) -> None:
    tell(ask, message.usage, message.usage.output_tokens, message.stop_reason)


def main(url: str) -> None:
    with anthropic.Anthropic(base_url=url, api_key="none", max_retries=0, timeout=60) as client:
        asked: dict[str, Any] = {
            "model": "tiny",
            "max_tokens": 40,
            "messages": [{"role": "user", "content": "Tell me of the sea."}],
        }
        tell_whole("whole", client.messages.create(**asked))
        with client.messages.stream(**asked) as stream:
            for _ in stream.text_stream:
                pass
            tell_whole("stream", stream.get_final_message())
        choice = {"type": "tool", "name": "weather"}
        # Event by event: a model of random weights seldom ends its arguments, and the client would insist on that.
        began = ended = None
        for event in client.messages.create(**asked, tools=[TOOL], tool_choice=choice, stream=True):
            began = event.message if event.type == "message_start" else began
            ended = event if event.type == "message_delta" else ended
        assert began is not None and ended is not None
        tell("tool", began.usage, ended.usage.output_tokens, ended.delta.stop_reason)


if __name__ == "__main__":
    main(sys.argv[1])
