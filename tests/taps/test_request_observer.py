"""What is noted of requests: those that ask for tokens, in a dialect that is read, with a body that is small."""

from __future__ import annotations

import pytest

from tests.taps.conftest import Start
from watchtower.exchanges.dialect import MAX_REQUEST_BYTES
from watchtower.exchanges.requests import RequestHead
from watchtower.taps.request_observer import RequestObserver
from watchtower.vocabulary.samples import SampleOrder

CHAT = "/v1/chat/completions"
BODY = b'{"model": "m", "stream": true, "messages": [{"role": "user", "content": "Why?"}]}'


def head(method: str = "POST", length: int = len(BODY), *, chunked: bool = False) -> RequestHead:
    return RequestHead(raw=b"", method=method, target=b"", tag="batch", content_length=length, chunked=chunked)


@pytest.mark.parametrize(
    ("request_", "path", "observed", "counted"),
    [
        (head(), CHAT, True, (1, 1, 0)),
        (head("GET"), CHAT, False, (1, 0, 0)),
        (head(), "/tokenize", False, (1, 0, 0)),
        (head(), "/cohere/v2/chat", False, (1, 1, 1)),
    ],
)
async def test_only_what_asks_for_tokens_in_a_dialect_that_is_read_is_observed(
    start: Start, request_: RequestHead, path: str, observed: bool, counted: tuple[int, int, int]
) -> None:
    relay = (await start()).relay
    observer = RequestObserver(relay)
    observer.begin(request_, path)

    assert (observer.exchange is not None, observer.dialect is not None) == (observed, observed)
    assert tuple(relay.counters[name] for name in ("requests", "generations", "responses_unobserved")) == counted
    if observer.exchange is not None:
        assert (observer.exchange.tag, observer.exchange.request_bytes) == ("batch", len(BODY))


@pytest.mark.parametrize(("path", "quiet"), [(CHAT, False), ("/v1/embeddings", True), ("/v1/audio/speech", True)])
async def test_work_without_tokens_is_quiet_until_it_has_ended(start: Start, path: str, quiet: bool) -> None:
    relay = (await start()).relay
    RequestObserver(relay).begin(head(), path)

    assert bool(relay.exchanges.open)
    assert relay.exchanges.has_news is not quiet


async def test_a_body_in_pieces_names_the_model_and_may_be_sampled(start: Start) -> None:
    relay = (await start()).relay
    relay.sampler.obey(SampleOrder(ratio=1.0))
    observer = RequestObserver(relay)
    observer.begin(head(), CHAT)
    exchange = observer.exchange
    observer.read(BODY[:20])
    observer.read(BODY[20:])
    observer.ended()

    assert exchange is not None
    assert (exchange.model, exchange.stream) == ("m", True)
    assert exchange.sample is not None


@pytest.mark.parametrize("request_", [head(length=MAX_REQUEST_BYTES + 1), head(chunked=True)])
async def test_a_body_that_is_long_or_of_unknown_length_is_not_kept(start: Start, request_: RequestHead) -> None:
    observer = RequestObserver((await start()).relay)
    observer.begin(request_, CHAT)
    exchange = observer.exchange
    observer.read(BODY)
    observer.ended()

    assert exchange is not None
    assert exchange.model == ""


async def test_the_next_request_has_nothing_of_the_one_before(start: Start) -> None:
    observer = RequestObserver((await start()).relay)
    observer.begin(head(), CHAT)
    observer.begin(head("GET", 0), "/v1/models")

    assert (observer.exchange, observer.dialect) == (None, None)
