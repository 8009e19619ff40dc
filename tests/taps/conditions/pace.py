"""How fast tokens come, whatever a read, an event or a choice carries of them."""

from __future__ import annotations

from tests.taps.conditions.script import (
    DONE,
    END,
    ROLE,
    STOP,
    Do,
    Right,
    chunk,
    condition,
    event,
    interleaved,
    part,
    request,
    stops,
    stream,
    total,
    usage,
    word,
    words,
)
from watchtower.vocabulary.facts import Ending


def prompt_word(index: int) -> bytes:
    return event({"model": "m", "choices": [{"index": index, "text": "w", "finish_reason": None}]})


def tool_call(arguments: str, name: str = "f", *, finish: str | None = None) -> bytes:
    call = {"index": 0, "id": "t", "function": {"name": name, "arguments": arguments}}
    return event(part({"tool_calls": [call]}, finish=finish))


PACE = (
    condition(
        "stream-interval",
        "vllm-project/vllm#27869, kubernetes-sigs/inference-perf#410",
        Right(ending=Ending.COMPLETE, pace=0.015, total=100),
        stream(
            ROLE, (0.15, event(part({"content": "ten tokens of text in one delta"}))) * 10, STOP, total(100), DONE, END
        ),
    ),
    condition(
        "tool-call-in-one-delta",
        "vllm-project/vllm#42878, #50627",
        Right(ending=Ending.COMPLETE, tokens=160, pace=0.02, total=160, finish="tool_calls"),
        stream(
            ROLE,
            words(10, 0.02),
            3.0,
            tool_call('{"a": "' + "x" * 600 + '"}'),
            event(part(finish="tool_calls")),
            total(160),
            DONE,
            END,
        ),
    ),
    condition(
        "tool-call-alone-name-first",
        "the same parsers, when the answer is the call",
        Right(ending=Ending.COMPLETE, tokens=101, pace=0.02, total=101),
        stream(
            ROLE,
            0.1,
            tool_call("", name="f"),
            2.0,
            tool_call("y" * 400, name=""),
            event(part(finish="tool_calls")),
            total(101),
            DONE,
            END,
        ),
    ),
    condition(
        "two-tool-calls",
        "parallel tool calls, each held back",
        Right(ending=Ending.COMPLETE, tokens=110, pace=0.02, total=110),
        stream(
            ROLE,
            words(10, 0.02),
            1.0,
            tool_call("y" * 200),
            1.0,
            tool_call("z" * 200),
            event(part(finish="tool_calls")),
            total(110),
            DONE,
            END,
        ),
    ),
    condition(
        "tool-call-by-token",
        "parsers that stream arguments",
        Right(ending=Ending.COMPLETE, tokens=20, pace=0.05),
        stream(
            ROLE, words(5, 0.05), (0.05, tool_call('"a', name="")) * 15, event(part(finish="tool_calls")), DONE, END
        ),
    ),
    condition(
        "n4-interleaved",
        "vllm-project/vllm#9302",
        Right(ending=Ending.COMPLETE, tokens=40, pace=0.32),
        stream(interleaved(4, 10, 0.3, 0.005), stops(4), total(40), DONE, END),
    ),
    condition(
        "n32-interleaved",
        "vllm-project/vllm#9302",
        Right(ending=Ending.COMPLETE, tokens=256, pace=0.4),
        stream(interleaved(32, 8, 0.4, 0.0), stops(32), total(256), DONE, END),
    ),
    condition(
        "n4-in-one-read",
        "the choices of a step in one chunk",
        Right(ending=Ending.COMPLETE, tokens=40, pace=0.2),
        stream(
            (
                0.2,
                chunk(
                    b"".join(
                        b'data: {"choices":[{"index":%d,"delta":{"content":"w"}}]}\n\n' % index for index in range(4)
                    )
                ),
            )
            * 10,
            stops(4),
            DONE,
            END,
        ),
    ),
    condition(
        "n2-in-one-event",
        "several choices in one event",
        Right(ending=Ending.COMPLETE, tokens=20, pace=0.2),
        stream(
            (0.2, event({"choices": [{"index": i, "delta": {"content": "w"}} for i in (0, 1)]})) * 10,
            stops(2),
            DONE,
            END,
        ),
    ),
    condition(
        "n200-interleaved",
        "more choices than are followed",
        Right(ending=Ending.COMPLETE, tokens=1000, pace=0.3),
        stream(interleaved(200, 5, 0.3, 0.0), stops(200), DONE, END),
    ),
    condition(
        "batch-of-prompts",
        "vllm-project/vllm#9475",
        Right(ending=Ending.COMPLETE, tokens=40, pace=0.32),
        stream(
            (0.3, prompt_word(0), 0.005, prompt_word(1), 0.005, prompt_word(2), 0.005, prompt_word(3), 0.005) * 10,
            DONE,
            END,
        ),
        (
            request(
                "batch-of-prompts", "/v1/completions", {"model": "m", "stream": True, "prompt": ["a", "b", "c", "d"]}
            ),
            Do.AWAIT_ANSWER,
        ),
    ),
    condition(
        "usage-zero-always",
        "mudler/LocalAI#1744",
        Right(ending=Ending.COMPLETE, tokens=20, pace=0.05),
        stream(
            event(part({"role": "assistant", "content": ""}, usage=usage(0))),
            (0.05, word(usage=usage(0))) * 20,
            event(part({"content": ""}, finish="stop", usage=usage(0))),
            DONE,
            END,
        ),
    ),
    condition(
        "usage-stays-at-the-total",
        "a server that repeats one usage",
        Right(ending=Ending.COMPLETE, tokens=20, pace=0.05, total=20),
        stream((0.05, word(usage=usage(20))) * 20, STOP, DONE, END),
    ),
    condition(
        "usage-null-then-final-with-choices",
        "maximhq/bifrost#191, vllm-project/vllm#12394",
        Right(ending=Ending.COMPLETE, tokens=20, pace=0.05, total=20, prompt=9),
        stream((0.05, word(usage=None)) * 20, event(part(finish="stop", usage=usage(20, 9))), total(20, 9), DONE, END),
    ),
    condition(
        "usage-zero-then-final-with-choices",
        "continuous usage that is filled in at the end alone",
        Right(ending=Ending.COMPLETE, tokens=20, pace=0.05, total=20),
        stream((0.05, word(usage=usage(0))) * 20, event(part(finish="stop", usage=usage(20))), DONE, END),
    ),
    condition(
        "usage-every-n-events",
        "continuous usage only on every 5th event",
        Right(ending=Ending.COMPLETE, tokens=20, pace=0.05, total=20),
        stream(
            *words(4, 0.05),
            0.05,
            word(usage=usage(5)),
            *words(4, 0.05),
            0.05,
            word(usage=usage(10)),
            *words(4, 0.05),
            0.05,
            word(usage=usage(15)),
            *words(4, 0.05),
            0.05,
            word(usage=usage(20)),
            STOP,
            DONE,
            END,
        ),
    ),
    condition(
        "usage-that-grows",
        "vLLM's continuous_usage_stats with several tokens an event",
        Right(ending=Ending.COMPLETE, tokens=60, pace=0.02, total=60),
        stream(
            event(part({"role": "assistant", "content": ""}, usage=usage(0))),
            *(step for n in range(1, 21) for step in (0.06, word(usage=usage(3 * n)))),
            STOP,
            DONE,
            END,
        ),
    ),
    condition(
        "proxy-buffers-16k",
        "dstackai/dstack#4269",
        Right(ending=Ending.COMPLETE, tokens=150, pace=0.02),
        stream(
            (
                1.0,
                chunk(
                    b"data: "
                    + b'{"choices":[{"index":0,"delta":{"content":"w"}}]}\n\ndata: ' * 49
                    + b'{"choices":[{"index":0,"delta":{"content":"w"}}]}\n\n'
                ),
            )
            * 3,
            STOP,
            DONE,
            END,
        ),
    ),
)
