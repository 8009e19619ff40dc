"""What every dialect's reader writes down, and when it says that this is not its dialect."""

from __future__ import annotations

import msgspec
import pytest

from watchtower.exchanges.answer_reading import AnswerPart, BodyReader, EventStreamReader
from watchtower.exchanges.dialect import MAX_BODY_BYTES
from watchtower.exchanges.exchange import Exchange, ExchangeTable
from watchtower.vocabulary.errors import ProtocolFault

DECODE = msgspec.json.Decoder(AnswerPart).decode


class Stream(EventStreamReader[AnswerPart]):
    def _found(self, part: AnswerPart) -> None:
        self.exchange.fresh += 1


class Body(BodyReader[AnswerPart]):
    def _found(self, part: AnswerPart) -> None:
        self._finish_reason({"not": "a string"})


def begun() -> Exchange:
    return ExchangeTable("0.1").begin(1, "/v1/x")


def stream(*payloads: bytes) -> Stream:
    reader = Stream(begun(), DECODE)
    for payload in payloads:
        reader.feed(b"data: " + payload + b"\n\n")
    return reader


@pytest.mark.parametrize(
    "usage", [b'{"completion_tokens": 3, "prompt_tokens": 5}', b'{"output_tokens": 3, "input_tokens": 5}']
)
def test_totals_are_taken_under_either_name_and_the_newest_count(usage: bytes) -> None:
    exchange = stream(b'{"usage": {"completion_tokens": 1}}', b'{"usage": ' + usage + b"}").exchange

    assert (exchange.completion_tokens, exchange.prompt_tokens) == (3, 5)


def test_a_total_that_is_not_told_keeps_the_one_before() -> None:
    exchange = stream(b'{"usage": {"completion_tokens": 7}}', b'{"usage": {"completion_tokens": null}}').exchange

    assert (exchange.completion_tokens, exchange.prompt_tokens) == (7, -1)


def test_a_stream_names_its_model_once() -> None:
    reader = stream(b'{"model": "' + b"m" * 300 + b'"}', b'{"model": "other"}')

    assert (reader.exchange.model, reader.exchange.stream) == ("m" * 256, True)


@pytest.mark.parametrize(("error", "errored"), [(b'{"message": "no"}', True), (b"null", False), (b"{}", False)])
def test_an_error_is_one_only_when_there_is_something_in_it(error: bytes, errored: bool) -> None:
    assert stream(b'{"error": ' + error + b"}").errored is errored


def test_done_ends_a_stream_and_is_no_event() -> None:
    reader = stream(b"{}", b" [DONE] ")

    assert (reader.ended, reader.exchange.fresh, reader.malformed) == (True, 1, 0)


def test_what_cannot_be_read_is_counted_after_something_could_and_a_fault_before() -> None:
    assert stream(b"{}", b"{", b"\xff").malformed == 2
    with pytest.raises(ProtocolFault):
        stream(b"{")


def test_a_body_says_the_same_at_its_end_and_a_reason_that_is_no_string_is_no_label() -> None:
    reader = Body(begun(), DECODE)
    reader.feed(b'{"model": "m", "usage": ')
    reader.feed(b'{"completion_tokens": 9}, "error": "no"}')
    assert not reader.ended
    reader.finish()

    exchange = reader.exchange
    assert (reader.ended, reader.errored, reader.malformed) == (True, True, 0)
    assert (exchange.model, exchange.completion_tokens, exchange.finish_reason) == ("m", 9, "other")


def test_a_body_that_is_no_json_has_ended_and_is_malformed() -> None:
    reader = Body(begun(), DECODE)
    reader.feed(b"<html>")
    reader.finish()

    assert (reader.ended, reader.malformed) == (True, 1)


def test_a_body_that_is_too_long_is_not_kept() -> None:
    reader = Body(begun(), DECODE)
    reader.feed(b"x" * MAX_BODY_BYTES)
    with pytest.raises(ProtocolFault):
        reader.feed(b"x")
