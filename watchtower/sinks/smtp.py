"""E-mail by SMTP: smtplib on a thread, bounded as a whole, because a server may be slow at every single line.

The mails of one incident are one conversation (``References``), and a mail that is sent twice keeps its ``Message-ID``.
The subject is the first line of the message. What a server says is reduced to its code; the certificate is checked.
"""

from __future__ import annotations

import asyncio
import re
import smtplib
import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Annotated, Literal

from pydantic import Field, SecretStr

from watchtower import __version__
from watchtower.http_clients import is_local_host
from watchtower.knobs import Mistake, Seconds, SinkName, SinkSettings
from watchtower.ports import Clock, Delivery
from watchtower.sinks.checking import require
from watchtower.sinks.delivery import DELIVERED, Attempt, final, retry
from watchtower.sinks.message import Message, Tone, plain
from watchtower.sinks.templates import Words
from watchtower.vocabulary.incidents import Notice

_READY = 220
_TOO_BIG = 552
_REFUSED = 554
_MAIL_ADDRESS = re.compile(r"[^\s@,;:<>\"()\[\]\\]+@[^\s@,;:<>\"()\\]+")


class SmtpSinkSettings(SinkSettings):
    """E-mail; the mails of one incident are one conversation."""

    kind: Literal["smtp"]
    name: SinkName = "smtp"
    host: Annotated[str, Field(min_length=1)]
    """The mail server."""
    port: Annotated[int, Field(ge=1, le=65535)] = 587
    """587 with ``starttls``, 465 with ``implicit``."""
    tls: Literal["starttls", "implicit", "none"] = "starttls"
    """``none`` only to this machine. The server's certificate is always checked."""
    username: str = ""
    """Empty: no login."""
    password: SecretStr | None = None
    """Better: ``password_file``."""
    sender: Annotated[str, Field(min_length=3)]
    """The From address, e.g. ``watchtower@example.org``."""
    recipients: Annotated[tuple[str, ...], Field(min_length=1, max_length=50)]
    """The To addresses."""
    timeout_seconds: Seconds = 30.0

    def mistakes(self) -> Iterator[Mistake]:
        if self.tls == "none" and not is_local_host(self.host):
            yield Mistake(("tls",), "sends alerts in the clear", "use starttls or implicit (none only to this machine)")
        if bool(self.username) != (self.password is not None):
            missing = "password" if self.username else "username"
            yield Mistake((missing,), "is missing", "a login needs username and password")
        for field, addresses in (("sender", (self.sender,)), ("recipients", self.recipients)):
            for index, address in enumerate(addresses):
                if not _MAIL_ADDRESS.fullmatch(address):
                    route = (field,) if field == "sender" else (field, index)
                    yield Mistake(route, "is not a mail address", "write name@example.org, and nothing else")


class SmtpSink:
    """``ports.Sink``."""

    Settings = SmtpSinkSettings

    def __init__(self, settings: SmtpSinkSettings, clock: Clock, console: str = "") -> None:
        require(settings)
        self.name = settings.name
        self.words = Words(settings.templates, console)
        self._settings = settings

    async def send(self, notice: Notice, attempt: int) -> Delivery:
        """One attempt, in at most ``timeout_seconds`` altogether. Never raises for what the server does."""
        mail = mail_of(self.words.message(notice), self._settings)
        talk = _Talk(self._settings)
        try:
            async with asyncio.timeout(self._settings.timeout_seconds):
                return await asyncio.to_thread(talk.deliver, mail)
        except TimeoutError:
            return retry("timeout")
        finally:
            talk.hang_up()

    async def close(self) -> None:
        """Nothing stays open between mails."""


def mail_of(message: Message, settings: SmtpSinkSettings) -> EmailMessage:
    """The mail; the same bytes at every attempt."""
    domain = settings.sender.rpartition("@")[2]
    mail = EmailMessage()
    mail["Subject"] = message.headline
    mail["From"] = f"Watchtower <{settings.sender}>"
    mail["To"] = ", ".join(settings.recipients)
    mail["Date"] = format_datetime(datetime.fromtimestamp(message.wall, UTC))
    mail["Message-ID"] = f"<{_token(message.id)}@{domain}>"
    mail["References"] = f"<{_token(message.key)}@{domain}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Mailer"] = f"Watchtower {__version__}"
    if message.tone is Tone.ALARM:
        mail["Importance"] = "high"
    mail.set_content(plain(message) + "\n")
    return mail


def _token(text: str) -> str:
    """Only what may stand in a message id."""
    return "".join(letter if letter.isascii() and (letter.isalnum() or letter in "-_.") else "-" for letter in text)


class _Talk:
    """One conversation with the server; ``hang_up`` ends it from outside, whatever the thread waits for."""

    def __init__(self, settings: SmtpSinkSettings) -> None:
        self._settings = settings
        self._smtp: smtplib.SMTP | None = None
        self._over = False

    def deliver(self, mail: EmailMessage) -> Delivery:
        try:
            smtp = self._connected()
            if self._settings.password is not None:
                smtp.login(self._settings.username, self._settings.password.get_secret_value())
            refused = smtp.send_message(mail)
            with suppress(smtplib.SMTPException, OSError):
                smtp.quit()
        except smtplib.SMTPRecipientsRefused as problem:
            codes = {code for code, _ in problem.recipients.values()}
            return _judged(max(codes), "no recipient is accepted")
        except smtplib.SMTPResponseException as problem:
            what = "login refused" if isinstance(problem, smtplib.SMTPAuthenticationError) else "refused"
            return _judged(problem.smtp_code, what)
        except ssl.SSLCertVerificationError:
            return retry("TLS: the certificate is not trusted")
        except ssl.SSLError:
            return retry("TLS: no handshake")
        except (smtplib.SMTPException, OSError, ValueError) as problem:
            return retry(type(problem).__name__)
        if refused:  # somebody has it: sending it again would only repeat it to them
            return Attempt(delivered=True, because=f"{len(refused)} of the recipients refused")
        return DELIVERED

    def hang_up(self) -> None:
        self._over = True
        sock = self._smtp.sock if self._smtp else None
        if sock is not None:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _connected(self) -> smtplib.SMTP:
        settings, context = self._settings, ssl.create_default_context()
        smtp = self._smtp = (
            smtplib.SMTP_SSL(timeout=settings.timeout_seconds, context=context)
            if settings.tls == "implicit"
            else smtplib.SMTP(timeout=settings.timeout_seconds)
        )
        # Given to the constructor it would connect there, out of reach of hang_up; TLS checks the name against it.
        smtp._host = settings.host  # type: ignore[attr-defined]
        code, _ = smtp.connect(settings.host, settings.port)
        if self._over or code != _READY:
            raise smtplib.SMTPConnectError(code, "")
        if settings.tls == "starttls":
            smtp.starttls(context=context)
        return smtp


def _judged(code: int, what: str) -> Delivery:
    """552 and 554 speak of this very mail; everything else may be mended or pass."""
    because = f"SMTP {code}: {what}"
    return final(because) if code in (_TOO_BIG, _REFUSED) else retry(because)
