"""The user's own words, in a sandbox; an alert is never lost to its own wording."""

from __future__ import annotations

import pytest

from tests.sinks.samples import ESCALATED, OPENED
from watchtower.knobs import TemplateSettings
from watchtower.sinks.message import message_of, plain
from watchtower.sinks.slack import payload
from watchtower.sinks.templates import VARIABLES, Words, mistakes


def test_own_words_replace_headline_and_body_and_keep_the_command() -> None:
    words = Words(TemplateSettings(headline="{{ word }} {{ target }}!", text="{{ what }}\n{{ rules }}"))
    message = words.message(ESCALATED)
    assert plain(message) == (
        "PERSON NEEDED chat-7b!\n\np95 per-token latency 254 ms over 130 ms\nslow_tokens\n\n"
        "Next  watchtower explain inc-6349d2\n"
        "Then  watchtower ack inc-6349d2 --resume --reason '…' # or --resolve"
    )
    assert words.fallbacks == 0


def test_own_words_are_escaped_for_the_receiver_like_any_other() -> None:
    message = Words(TemplateSettings(text="<!channel> & {{ target }}")).message(OPENED)
    assert "&lt;!channel&gt; &amp; chat-7b" in str(payload(message))


def test_every_promised_name_can_be_named() -> None:
    assert list(mistakes(TemplateSettings(text="".join(f"{{{{ {name} }}}}" for name in VARIABLES)))) == []


@pytest.mark.parametrize(
    ("template", "what"),
    [
        ("{{ wrod }}", "'wrod' is undefined"),
        ("one\n{% if %}", "line 2: Expected an expression"),
        ("{{ ''.__class__.__mro__ }}", "unsafe"),
        ("{{ 1 / 0 }}", "cannot be rendered: ZeroDivisionError"),
        ("{% if severity == 'page' %}{{ waht }}{% endif %}", "'waht' is undefined"),
        ("{% for i in range(10**9) %}x{% endfor %}", "OverflowError"),
    ],
)
def test_a_mistake_is_found_before_anything_runs(template: str, what: str) -> None:
    ((field, said),) = mistakes(TemplateSettings(headline=template))
    assert field == "headline"
    assert what in said


def test_a_template_that_fails_at_runtime_gives_way_to_the_built_in_words_and_is_counted() -> None:
    words = Words(TemplateSettings(headline="{{ 1 / (news | length) }}"))
    assert words.message(OPENED) == message_of(OPENED)
    assert words.fallbacks == 1
    assert words.message(ESCALATED).headline.startswith("0.0")
    assert words.fallbacks == 1


def test_a_template_that_says_nothing_leaves_the_first_line_alone() -> None:
    assert Words(TemplateSettings(headline="{{ link }}")).message(OPENED).headline == message_of(OPENED).headline
