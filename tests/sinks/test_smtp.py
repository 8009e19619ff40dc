"""Mails to a real server on the loopback, which refuses, hangs and half-accepts."""

from __future__ import annotations

import asyncio
from email import message_from_string, policy

import pytest

from tests.sinks.mailserver import MailServer, mail_server
from tests.sinks.samples import ESCALATED, OPENED, sink_settings
from watchtower.ports import Delivery
from watchtower.sinks.smtp import SmtpSink
from watchtower.testing.clock import HandClock
from watchtower.vocabulary.incidents import Notice


async def sent(server: MailServer, notice: Notice = ESCALATED, timeout: float = 10.0) -> Delivery:
    to = {"host": "127.0.0.1", "port": server.port, "tls": "none", "timeout_seconds": timeout}
    people = {"sender": "watchtower@example.org", "recipients": ("ann@example.org", "bob@example.org")}
    return await SmtpSink(sink_settings("smtp", **to, **people), HandClock()).send(notice, 1)


async def test_a_mail_says_it_all_in_its_subject_and_the_rest_below() -> None:
    async with mail_server() as server:
        assert (await sent(server)).delivered
    mail = message_from_string(server.mails[0], policy=policy.default)
    assert mail["Subject"].startswith("PERSON NEEDED · chat-7b: p95 per-token latency 254 ms over 130 ms")
    assert (mail["To"], mail["Importance"]) == ("ann@example.org, bob@example.org", "high")
    assert "Next      watchtower explain inc-6349d2" in mail.get_content()


async def test_mails_of_one_incident_are_one_conversation_and_a_repeated_mail_is_the_same() -> None:
    async with mail_server() as server:
        for notice in (OPENED, ESCALATED, ESCALATED):
            await sent(server, notice)
    mails = [message_from_string(mail) for mail in server.mails]
    assert {mail["References"] for mail in mails} == {"<inc-6349d2@example.org>"}
    assert mails[0]["Message-ID"] != mails[1]["Message-ID"]
    assert server.mails[1] == server.mails[2]


@pytest.mark.parametrize(
    ("refusals", "final", "because"),
    [
        ({"banner": "554 no service"}, True, "SMTP 554: refused"),
        ({"banner": "421 too busy"}, False, "SMTP 421: refused"),
        ({"MAIL": "451 later"}, False, "SMTP 451: refused"),
        ({"MAIL": "552 T0P-S3CRET too big"}, True, "SMTP 552: refused"),
        ({"RCPT": "550 unknown"}, False, "SMTP 550: no recipient is accepted"),
        ({"dot": "554 spam"}, True, "SMTP 554: refused"),
        ({"dot": "452 disk full"}, False, "SMTP 452: refused"),
    ],
)
async def test_what_the_server_says_decides_what_happens_next(
    refusals: dict[str, str], final: bool, because: str
) -> None:
    async with mail_server(**refusals) as server:
        result = await sent(server)
    assert (result.delivered, result.final, result.because) == (False, final, because)
    assert server.mails == []


async def test_somebody_who_has_it_is_not_sent_it_again_because_somebody_else_has_not() -> None:
    async with mail_server(**{"RCPT TO:<bob": "550 unknown"}) as server:
        result = await sent(server)
    assert (result.delivered, result.because) == (True, "1 of the recipients refused")


@pytest.mark.parametrize("where", ["banner", "EHLO", "dot"])
async def test_a_server_that_hangs_costs_the_timeout_and_no_thread(where: str) -> None:
    async with mail_server(**{where: "hang"}) as server, asyncio.timeout(20):
        result = await sent(server, timeout=0.5)
        await asyncio.get_running_loop().shutdown_default_executor()  # returns only when the thread has ended
    assert (result.delivered, result.final) == (False, False)
    assert result.because in ("timeout", "TimeoutError", "SMTPServerDisconnected")
