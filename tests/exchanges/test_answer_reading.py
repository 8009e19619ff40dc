"""What every dialect's reader writes down, and when it says that this is not its dialect."""

from __future__ import annotations

import msgspec
import pytest

from watchtower.exchanges.answer_reading import MOST_STRANGERS, AnswerPart, BodyReader, EventStreamReader
from watchtower.exchanges.dialect import MAX_BODY_BYTES
from watchtower.exchanges.exchange import Exchange, ExchangeTable
from watchtower.vocabulary.errors import ProtocolFault
from watchtower.vocabulary.facts import Ending

DECODE = msgspec.json.Decoder(AnswerPart).decode


class Stream(EventStreamReader[AnswerPart]):
    def _found(self, part: AnswerPart, payload: bytes | bytearray) -> None:
        self.exchange.fresh += 1


class Body(BodyReader[AnswerPart]):
    def _found(self, part: AnswerPart, payload: bytes | bytearray) -> None:
        self._finish_reason(["no string"])


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


def test_an_object_that_cannot_be_read_is_counted_and_what_is_no_object_is_passed_over() -> None:
    assert stream(b"{}", b"{", b"\xff", b"ping", b"7", b"").malformed == 1


@pytest.mark.parametrize("payload", [b"{", b"tick", b"7", b"[]"])
def test_a_stream_is_another_dialect_after_eight_payloads_without_one_of_its_own(payload: bytes) -> None:
    stream(*[payload] * (MOST_STRANGERS - 1))
    with pytest.raises(ProtocolFault):
        stream(*[payload] * MOST_STRANGERS)


def test_empty_payloads_are_no_strangers_however_many() -> None:
    reader = stream(*[b"", b" "] * MOST_STRANGERS)
    reader.finish()

    assert (reader.malformed, reader.ending()) == (0, None)


def test_a_stream_that_ends_with_nothing_of_its_dialect_in_it_is_another_one() -> None:
    with pytest.raises(ProtocolFault):
        stream(b"tick").finish()


def test_a_body_says_the_same_at_its_end_and_a_reason_that_is_no_string_is_no_label() -> None:
    reader = Body(begun(), DECODE)
    reader.feed(b'{"model": "m", "usage": ')
    reader.feed(b'{"completion_tokens": 9}, "error": "no"}')
    assert not reader.ended
    reader.finish()

    exchange = reader.exchange
    assert (reader.ending(), reader.malformed) == (Ending.ERROR, 0)
    assert (exchange.model, exchange.completion_tokens, exchange.finish_reason) == ("m", 9, "other")


@pytest.mark.parametrize("body", [b"<html>", b"null", b"", b'{"a": [1, 2', b"7", b"[]"])
def test_a_body_that_is_no_json_object_has_not_ended(body: bytes) -> None:
    reader = Body(begun(), DECODE)
    reader.feed(body)
    reader.finish()

    assert (reader.ending(), reader.malformed) == (None, 1)


@pytest.mark.parametrize(
    ("reason", "known", "ending"),
    [
        ("stop", True, Ending.COMPLETE),
        ("abort", True, Ending.FAILED),
        ("error", True, Ending.FAILED),
        ("sunset", False, Ending.COMPLETE),
        ({"type": "length"}, True, Ending.COMPLETE),
        ("", True, None),
        ("null", True, None),
        ("None", True, None),
        (False, True, None),
        ({}, True, None),
    ],
)
def test_a_finish_reason_says_how_it_ended_and_an_empty_one_says_nothing(
    reason: object, known: bool, ending: Ending | None
) -> None:
    reader = stream(b"{}")
    reader.exchange.tokens_read(5)
    reader._finish_reason(reason)

    assert (reader.ending(), reader.exchange.unknown_finish) == (ending, not known)


@pytest.mark.parametrize(
    ("written", "ending"),
    [
        (b'error: {"code": 500, "message": "x"}\n\n', Ending.ERROR),
        (b'error: {"code": 400, "message": "x"}\n\n', Ending.REFUSED),
        (b"event: error\ndata: it broke\n\n", Ending.ERROR),
        (b'event: error\ndata: {"code": 422}\n\n', Ending.REFUSED),
        (b'event: tick\ndata: {"error": {"code": "429"}}\n\n', Ending.SHED),
    ],
)
def test_an_error_may_come_as_a_field_as_a_named_event_or_inside_one(written: bytes, ending: Ending) -> None:
    for cut in range(len(written)):
        reader = stream()
        reader.feed(written[:cut])
        reader.feed(written[cut:] + b"data: [DONE]\n\n")
        assert reader.ending() is ending, cut


def test_a_body_that_is_too_long_is_not_kept() -> None:
    reader = Body(begun(), DECODE)
    reader.feed(b"x" * MAX_BODY_BYTES)
    with pytest.raises(ProtocolFault):
        reader.feed(b"x")
