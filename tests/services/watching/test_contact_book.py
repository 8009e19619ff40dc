"""Only a status line proves an engine, and only several tries disprove it."""

from __future__ import annotations

import pytest

from watchtower.services.watching.contact_book import APART_SECONDS, ContactBook
from watchtower.vocabulary.contacts import Contact, ContactBy, ContactKind
from watchtower.vocabulary.facts import AnyFact, CanaryEnded, CanaryOutcome, EngineScrape, ExchangeNews, RelayFrame

HTTP, OK, REFUSED, TIMEOUT = ContactKind.HTTP, ContactKind.OK, ContactKind.REFUSED, ContactKind.TIMEOUT


def scrape(at: float, kind: ContactKind | None) -> EngineScrape:
    return EngineScrape(at=at, ok=kind is HTTP, contact=kind)


def canary(at: float, kind: ContactKind | None) -> CanaryEnded:
    return CanaryEnded(at=at, id="c", started_at=at, outcome=CanaryOutcome.REFUSED, seconds=0, contact=kind)


def relay(at: float, *contacts: tuple[ContactKind, float], token_at: float | None = None) -> RelayFrame:
    news = [ExchangeNews(id="x", last_token_at=token_at)] if token_at is not None else []
    told = [Contact(ContactBy.RELAY, kind, when) for kind, when in contacts]
    return RelayFrame(at=at, worker=0, pid=1, sequence=1, open_exchanges=0, contacts=told, news=news)


def silence(now: float, *facts: AnyFact) -> float | None:
    book = ContactBook()
    for fact in facts:
        book.absorb(fact)
    return book.silence(now)


@pytest.mark.parametrize("kind", [REFUSED, TIMEOUT, OK])
def test_two_tries_apart_without_an_answer_are_a_silence_since_the_last_answer(kind: ContactKind) -> None:
    assert silence(30, scrape(10, HTTP), scrape(15, kind), canary(20, kind)) == 20


@pytest.mark.parametrize(
    "facts",
    [
        [],
        [scrape(10, HTTP)],
        [scrape(10, HTTP), scrape(15, REFUSED)],
        [scrape(10, HTTP), scrape(15, REFUSED), canary(15 + APART_SECONDS - 0.1, REFUSED)],
        [scrape(15, REFUSED), canary(25, REFUSED), relay(26, (HTTP, 25.5))],
        [scrape(15, None), canary(25, None)],
    ],
    ids=["nothing tried", "answered", "one try", "tries too close", "answered since", "we could not ask"],
)
def test_anything_less_says_nothing(facts: list[AnyFact]) -> None:
    assert silence(30, *facts) is None


def test_an_engine_that_never_answered_is_silent_since_the_first_try() -> None:
    assert silence(30, scrape(10, REFUSED), scrape(15, REFUSED)) == 20


def test_the_hands_count_together_and_a_frame_that_repeats_itself_is_no_new_try() -> None:
    refused = (REFUSED, 15.0)
    assert silence(30, relay(16, refused), relay(25, refused)) is None
    assert silence(30, relay(16, refused), scrape(20, TIMEOUT)) == 15


def test_tokens_prove_it_like_a_status_line() -> None:
    assert silence(30, scrape(10, TIMEOUT), scrape(20, TIMEOUT), relay(28, token_at=28.0)) is None


def test_an_answer_that_is_older_than_the_failures_undoes_none_of_them() -> None:
    assert silence(30, scrape(15, REFUSED), scrape(21, REFUSED), relay(22, (HTTP, 12.0))) == 18
    assert silence(30, scrape(15, REFUSED), scrape(21, REFUSED), relay(22, (HTTP, 17.0))) is None, "4 s are too few"


def test_people_see_the_newest_of_each_hand_and_kind() -> None:
    book = ContactBook()
    for fact in (scrape(10, HTTP), scrape(12, HTTP), canary(15, REFUSED)):
        book.absorb(fact)
    assert book.document(20) == [
        {"by": "canary", "kind": "refused", "seconds_ago": 5},
        {"by": "scrape", "kind": "http", "seconds_ago": 8},
    ]
