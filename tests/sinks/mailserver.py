"""A real SMTP server on the loopback that answers as it is told, and remembers the mails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class MailServer:
    def __init__(self, refusals: dict[str, str]) -> None:
        self.refusals = refusals
        """Beginning of a command line (or ``banner``, ``.``) → the answer to it; "hang": none."""
        self.mails: list[str] = []
        self.recipients: list[str] = []
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._say(writer, "banner", "220 mail.test")
            while line := (await reader.readline()).decode().strip():
                verb = line.split(" ")[0].upper()
                if verb == "RCPT":
                    self.recipients.append(line)
                usual = {"EHLO": "250 mail.test", "DATA": "354 go on", "QUIT": "221 bye"}.get(verb, "250 ok")
                await self._say(writer, line, usual)
                if verb == "DATA" and "DATA" not in self.refusals:
                    mail = (await reader.readuntil(b"\r\n.\r\n")).decode()
                    await self._say(writer, ".", "250 queued")
                    if "." not in self.refusals:
                        self.mails.append(mail)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _say(self, writer: asyncio.StreamWriter, asked: str, usual: str) -> None:
        said = next((text for start, text in self.refusals.items() if asked.lower().startswith(start.lower())), usual)
        if said == "hang":
            await asyncio.sleep(30)
        writer.write(said.encode() + b"\r\n")
        await writer.drain()


@asynccontextmanager
async def mail_server(**refusals: str) -> AsyncIterator[MailServer]:
    mails = MailServer({key.replace("_", " ").replace("dot", "."): text for key, text in refusals.items()})
    server = await asyncio.start_server(mails.serve, "127.0.0.1", 0)
    mails.port = server.sockets[0].getsockname()[1]
    try:
        yield mails
    finally:
        server.close()
