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


def tell(ask: str, message: Any) -> None:
    usage = message.usage
    told = {"ask": ask, "input": usage.input_tokens, "output": usage.output_tokens, "stop": message.stop_reason}
    print(json.dumps(told), flush=True)


def main(url: str) -> None:
    with anthropic.Anthropic(base_url=url, api_key="none", max_retries=0, timeout=60) as client:
        asked: dict[str, Any] = {
            "model": "tiny",
            "max_tokens": 40,
            "messages": [{"role": "user", "content": "Tell me of the sea."}],
        }
        tell("whole", client.messages.create(**asked))
        with client.messages.stream(**asked) as stream:
            for _ in stream.text_stream:
                pass
            tell("stream", stream.get_final_message())
        choice = {"type": "tool", "name": "weather"}
        with client.messages.stream(**asked, tools=[TOOL], tool_choice=choice) as stream:
            for _ in stream:
                pass
            tell("tool", stream.get_final_message())


if __name__ == "__main__":
    main(sys.argv[1])
