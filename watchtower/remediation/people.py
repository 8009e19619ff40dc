"""What a person may say, and what it does. Stopping needs an author, a reason and an end; every latch has its key.

An in-flight cure is not touched by a pause: it goes on to a safe end, and so do verification and notices. Whatever
lets the machine act again also makes it start from fresh evidence, so that no backlog is worked off.
"""

from __future__ import annotations

from watchtower.remediation import blessing, orders
from watchtower.remediation.incident import resolve
from watchtower.remediation.interface import BypassSeen, Commanded
from watchtower.remediation.state import DAY, Breaker, Pause
from watchtower.remediation.step import Step
from watchtower.vocabulary.actions import Mode
from watchtower.vocabulary.incidents import IncidentState, NoticeKind
from watchtower.vocabulary.instants import iso
from watchtower.vocabulary.readings import Severity

LONGEST_PAUSE_SECONDS = 30 * DAY


def commanded(step: Step, event: Commanded) -> None:
    """Obey, or record why not."""
    because = refused(step, event)
    body = {"verb": event.verb, "author": event.author, "reason": event.reason}
    if because:
        step.record("command.refused", **body, because=because)
        return
    step.record(f"command.{event.verb}", **body, seconds=event.seconds)
    by = f"{event.author}: {event.reason}" if event.reason else event.author
    match event.verb:
        case "pause":
            now = step.now
            step.put(
                pause=Pause(
                    author=event.author,
                    reason=event.reason,
                    since=now.boot,
                    until=now.boot + event.seconds,
                    until_wall=now.wall + event.seconds,
                )
            )
            announce(step, f"paused until {iso(now.wall + event.seconds)[:16]}Z by {by} · No new action until then.")
        case "resume":
            step.put(pause=None, streaks={})
            announce(step, f"resumed by {by} · {_ACTS_AGAIN}")
        case "breaker_reset":
            step.put(breaker=Breaker(reset_at=step.now.boot), streaks={})
            announce(step, f"breaker closed by {by} · {_ACTS_AGAIN}")
        case "bless":
            blessing.bless(step, event.author, event.reason)
        case "unbless":
            blessing.unbless(step, event.author, event.reason)
        case order if order in orders.PERSON_ORDERS:
            orders.obey(step, event)
        case "ack_resume":
            step.put(streaks={}, cycles=())
            step.move(IncidentState.OPEN, f"resumed by {by}", attempts_from=step.now.boot, ok_since=None, notified=())
        case "ack_resolve":
            resolve(step, f"resolved by {by}")
            step.put(streaks={}, cycles=())


def refused(step: Step, event: Commanded) -> str:
    """Why the command is not obeyed; "" when it is."""
    if not event.author:
        return "a command needs an author"
    match event.verb:
        case "pause" if not event.reason or event.seconds <= 0:
            return "a pause needs a reason and an end"
        case "pause" if event.seconds > LONGEST_PAUSE_SECONDS:
            return (
                f"a pause ends within {LONGEST_PAUSE_SECONDS / DAY:.0f} days; for longer set remediation.mode: observe"
            )
        case "resume" if step.state.pause is None:
            return "nothing is paused"
        case "breaker_reset" if not step.state.breaker.because:
            return "the breaker is closed"
        case "ack_resume" | "ack_resolve" if (
            step.state.incident is None or step.incident.state is not IncidentState.ESCALATED
        ):
            return "no incident is escalated"
        case "bless" | "unbless":
            return "it needs a reason" if not event.reason else blessing.refused(step, event.verb)
        case order if order in orders.PERSON_ORDERS:
            return orders.refused(step, event)
        case "pause" | "resume" | "breaker_reset" | "ack_resume" | "ack_resolve":
            return ""
    return f"there is no command {event.verb!r}"


def expire_pause(step: Step) -> None:
    """A pause ends by itself; evidence starts again from nothing, as after a resume."""
    pause = step.state.pause
    if pause and step.now.boot >= pause.until:
        step.put(pause=None, streaks={})
        step.record("command.pause_expired", author=pause.author, reason=pause.reason)
        announce(step, f"the pause of {pause.author} ended ({pause.reason}) · {_ACTS_AGAIN}")


def bypass_seen(step: Step, event: BypassSeen) -> None:
    """A person took the relay's eyes off the traffic, or gave them back: journaled and announced, whoever did it and
    whether or not we ran then. What was judged before says nothing of what comes after."""
    before, now = step.state.bypassed, event.bypassed
    if now == before:
        return
    step.put(bypassed=now, streaks={})
    if now is not None:
        step.record("relay.bypassed", author=now.author, reason=now.reason, since_wall=now.since_wall)
        announce(
            step,
            f"the relay is bypassed by {now.author}: {now.reason} · It forwards and reads nothing: no rule about "
            "traffic judges, and nothing is cured on its account. Ends with: watchtower bypass --off",
        )
    elif before is not None:
        step.record("relay.bypass_ended", author=before.author, reason=before.reason)
        announce(step, f"the relay reads again; {before.author} had it bypassed ({before.reason})")


_ACTS_AGAIN = "Watchtower may act again, on fresh evidence."


def announce_mode(step: Step) -> None:
    """At a start: what Watchtower may do by itself, if that is not what it was when it last ran."""
    mode, before = str(step.limits.mode), step.state.mode
    step.put(mode=mode)
    if before and before != mode:
        step.record("mode.changed", before=before, mode=mode)
        announce(step, f"mode {before} → {mode} · {_MODES[step.limits.mode]}")


_MODES = {
    Mode.OBSERVE: "It says what it would do and touches nothing.",
    Mode.APPROVE: "It asks before every action.",
    Mode.AUTO: "It acts by itself, within its limits.",
}


def announce(step: Step, text: str) -> None:
    """What Watchtower may do has changed: told once, opens nothing."""
    step.tell(NoticeKind.MODE_CHANGED, text, severity=str(Severity.INFO), subject=f"mode-{step.state.target}")
