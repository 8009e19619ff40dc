"""A notice as a person reads it: built once, mapped by every sink to its receiver's format. Pure.

The first line says it all: which kind of news, of which server, how bad against which limit, and what came of it.
Below it stand the same few facts in the same order, and last the literal next command. The same notice gives the same
message at every attempt.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from watchtower.vocabulary.incidents import IncidentState, Notice, NoticeKind
from watchtower.vocabulary.quantities import seconds

HEADLINE_LIMIT = 150
"""Slack's limit of a header; phones show less."""
TEXT_LIMIT = 4000
COMMAND_LIMIT = 500


class Phase(StrEnum):
    """What a notice means to a receiver that keeps an alert open."""

    OPEN = "open"
    """Raise it, or raise it again: somebody should look."""
    UPDATE = "update"
    """Something new about an alert that is open."""
    RESOLVE = "resolve"
    ANNOUNCE = "announce"
    """Opens and closes nothing."""


class Tone(StrEnum):
    ALARM = "alarm"
    WARNING = "warning"
    GOOD = "good"
    NEUTRAL = "neutral"


_PHASES = {
    NoticeKind.OPENED: Phase.OPEN,
    NoticeKind.ESCALATED: Phase.OPEN,
    NoticeKind.BLIND: Phase.OPEN,
    NoticeKind.STORAGE_FAULT: Phase.OPEN,
    NoticeKind.TEST: Phase.OPEN,
    NoticeKind.RESOLVED: Phase.RESOLVE,
    NoticeKind.MODE_CHANGED: Phase.ANNOUNCE,
}
_WORDS = {
    NoticeKind.OPENED: "ALERT",
    NoticeKind.HELD: "NOTHING DONE",
    NoticeKind.WOULD_ACT: "WOULD ACT",
    NoticeKind.RESULT: "NOT CURED",
    NoticeKind.ESCALATED: "PERSON NEEDED",
    NoticeKind.STORAGE_FAULT: "JOURNAL FAULT",
    NoticeKind.MODE_CHANGED: "MODE",
}
_TONES = {
    NoticeKind.ESCALATED: Tone.ALARM,
    NoticeKind.STORAGE_FAULT: Tone.ALARM,
    NoticeKind.RECOVERING: Tone.GOOD,
    NoticeKind.RESOLVED: Tone.GOOD,
    NoticeKind.MODE_CHANGED: Tone.NEUTRAL,
    NoticeKind.TEST: Tone.NEUTRAL,
}


@dataclass(frozen=True, kw_only=True)
class Message:
    """Everything a sink may say. Lines hold no control characters; nothing is escaped yet."""

    id: str
    """Of the notice; constant over retries."""
    key: str
    """Of the incident: the dedup key."""
    kind: NoticeKind
    phase: Phase
    tone: Tone
    word: str
    """The kind of news, in capitals."""
    target: str
    severity: str
    state: IncidentState
    headline: str
    """At most ``HEADLINE_LIMIT`` characters."""
    what: str
    news: str
    since: float
    """Unix seconds; 0: no incident."""
    wall: float
    facts: tuple[tuple[str, str], ...]
    """Name and value, in the order to read them."""
    command: str
    release: str
    """The command that lets the machine go on after a person looked; "" where none is needed."""
    link: str
    """Of the console; "" where it has no address."""
    own_text: str = ""
    """A template's words in place of the facts; "" without one."""

    @property
    def text(self) -> str:
        """The body as running text, without command and link."""
        return self.own_text or (f"{self.what}. {self.news}" if self.news else f"{self.what}.")

    @property
    def untold(self) -> tuple[tuple[str, str], ...]:
        """The facts that the first line does not say in full already: nobody reads a sentence twice at night."""
        return tuple((name, value) for name, value in self.facts if name not in _TOLD or not self._says(value))

    def _says(self, value: str) -> bool:
        return without_lead(value).rstrip(".") in self.headline

    @property
    def commands(self) -> tuple[tuple[str, str], ...]:
        """What to type, in order, each with its name."""
        return (("Next", self.command), *([("Then", self.release)] if self.release else []))


def message_of(notice: Notice, console: str = "") -> Message:
    """The built-in words. ``console``: the console's address, for the link."""
    what = _line(notice.what or notice.title)
    news = _line(notice.news or ("" if notice.what else notice.text))
    word = word_of(notice)
    target = cut(_line(notice.target), 200)
    return Message(
        id=notice.id,
        key=notice.incident,
        kind=notice.kind,
        phase=_PHASES.get(notice.kind, Phase.UPDATE),
        tone=_tone(notice),
        word=word,
        target=target,
        severity=notice.severity,
        state=notice.state,
        headline=_headline(f"{word} · {target}: {what}", news),
        what=cut(what, TEXT_LIMIT),
        news=cut(news, TEXT_LIMIT),
        since=notice.since,
        wall=notice.wall,
        facts=tuple(_facts(notice, what, news)),
        command=cut(_line(notice.next_command), COMMAND_LIMIT),
        release=cut(_line(notice.details.get("release", "")), COMMAND_LIMIT),
        link=console,
    )


def word_of(notice: Notice) -> str:
    """The first word of everything that is said about it."""
    if notice.kind is NoticeKind.HELD and notice.news.startswith("Approval wanted"):
        return "APPROVAL WANTED"
    if notice.kind is NoticeKind.RESULT and notice.details.get("outcome") == "effective":
        return "CURED"
    if notice.kind is NoticeKind.OPENED and notice.severity != "page":
        return "WARNING"
    return _WORDS.get(notice.kind, notice.kind.replace("_", " ").upper())


def plain(message: Message) -> str:
    """The whole as plain text, for mails, pagers and terminals; ends without a line break."""
    lines = [message.headline, ""]
    if message.own_text:
        lines += [message.own_text, ""]
    facts = message.untold if not message.own_text else ()
    below = [*facts, *message.commands, *([("Console", message.link)] if message.link else [])]
    width = max(len(name) for name, _ in below)
    lines += [f"{name:<{width}}  {value}" for name, value in below]
    return "\n".join(lines)


def cut(text: str, most: int) -> str:
    """``text``, or as much of it as fits, ended by …"""
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def clock(wall: float) -> str:
    """Unix seconds as people compare them with their own logs: UTC, whole seconds."""
    return datetime.fromtimestamp(wall, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _facts(notice: Notice, what: str, news: str) -> list[tuple[str, str]]:
    facts = [("What", cut(what, TEXT_LIMIT))]
    if notice.since:
        lasted = notice.wall - notice.since
        facts.append(("Since", clock(notice.since) + (f", for {seconds(round(lasted))}" if lasted >= 1 else "")))
    else:
        facts.append(("When", clock(notice.wall)))
    if news:
        facts.append(("Now", cut(news, TEXT_LIMIT)))
    for name in ("action", "rules", "mode"):
        if name == "action" and notice.kind in _SPEAK_OF_THE_ACTION:
            continue
        if value := _line(notice.details.get(name, "")):
            facts.append((name.capitalize(), cut(value, 500)))
    facts.append(("Severity", notice.severity))
    if notice.since:
        facts.append(("Incident", f"{notice.incident}, {notice.state.value}"))
    return facts


_SPEAK_OF_THE_ACTION = frozenset({NoticeKind.ACTING, NoticeKind.RESULT})
_LEADS = ("A person is needed: ", "Nothing is done: ", "Approval wanted: ", "Resolved: ", "Watchtower does ")
"""What the first word of a headline says already."""
_TOLD = ("What", "Now")
"""Facts that a headline is made of."""
_MARKS = (" · ", ": ", "; ", ", ", ". ")
"""Where a clause ends."""


def without_lead(news: str) -> str:
    for lead in _LEADS:
        news = news.removeprefix(lead)
    return news


def shorter(message: Message, most: int) -> str:
    """The first line where even less room is: it loses whole clauses."""
    return _clauses(message.headline, most, len(f"{message.word} · {message.target}: "))


def _headline(what: str, news: str) -> str:
    """As much as one line holds; what does not fit is left out clause by clause, not in the middle of a word."""
    line = f"{what} · {without_lead(news).rstrip('.')}" if news else what
    return _clauses(line, HEADLINE_LIMIT, len(what))


def _clauses(line: str, most: int, least: int) -> str:
    """At most ``most`` characters, without the last clauses; a clause that begins before ``least`` stays."""
    while len(line) > most:
        ends = [end for mark in _MARKS if (end := line.rfind(mark, least, most)) > 0]
        if not ends:
            return cut(line, most)
        line = line[: max(ends)]
    return line


def _tone(notice: Notice) -> Tone:
    if notice.kind in _TONES:
        return _TONES[notice.kind]
    if notice.kind is NoticeKind.RESULT and notice.details.get("outcome") == "effective":
        return Tone.GOOD
    return Tone.ALARM if notice.kind is NoticeKind.OPENED and notice.severity == "page" else Tone.WARNING


def _line(text: str) -> str:
    """One line: no control character can break a header, a log or a layout."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
