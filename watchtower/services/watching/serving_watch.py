"""Whether anybody should be sent here: the word that gateways get at ``/-/serving``.

It says no in three cases only, each proven: the adapter finds no engine running, several tries were not answered, or a
rule with both witnesses of a hang (stalled tokens, a canary without an answer) fires. Slow, busy, drifting or unknown
is not among them, because one wrong word here empties a pool. While a hold is on the word is yes: a gateway that turned
away would drop the requests that wait.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Final

from watchtower.ports import Clock
from watchtower.services.watching.contact_book import ContactBook
from watchtower.vocabulary.facts import EngineSeen, HoldState, RelayFrame, ServingOrder
from watchtower.vocabulary.quantities import seconds
from watchtower.vocabulary.readings import RuleVerdict, Verdict

RENEW_SECONDS: Final = 5.0
LASTS_SECONDS: Final = 3 * RENEW_SECONDS
"""The word lapses after this; two renewals may be lost."""
LOOK_SECONDS: Final = 1.0
FRAME_SECONDS: Final = 3.0
"""A worker that was silent for longer tells of no hold any more: it ends by a deadline of its own."""
STALE_SECONDS: Final = 30.0
"""An older look at the engine proves nothing of today."""
WITNESSES: Final = frozenset({"token_progress.stalled", "canary.unanswered"})


class ServingWatch:
    """``word`` is what is true now; ``run`` keeps the relay workers told."""

    def __init__(
        self,
        clock: Clock,
        *,
        engine: Callable[[], EngineSeen | None],
        contacts: ContactBook,
        verdicts: Callable[[], Iterable[RuleVerdict]],
        frames: Callable[[], Collection[RelayFrame]],
        send: Callable[[ServingOrder], None],
    ) -> None:
        """``engine``: the newest look. ``verdicts``: of the newest tick. ``frames``: the newest of each worker."""
        self._clock = clock
        self._engine = engine
        self._contacts = contacts
        self._verdicts = verdicts
        self._frames = frames
        self._send = send

    async def run(self) -> None:
        """For ever: at once when the word changes, and every RENEW_SECONDS."""
        sent: ServingOrder | None = None
        while True:
            word = self.word()
            changed = sent is None or (word.known, word.serving) != (sent.known, sent.serving)
            if changed or sent is None or word.until - sent.until >= RENEW_SECONDS:
                self._send(word)
                sent = word
            await self._clock.sleep(LOOK_SECONDS)

    def word(self) -> ServingOrder:
        now = self._clock.now().boot
        known, serving, reason = self._judge(now)
        return ServingOrder(known=known, serving=serving, reason=reason, until=now + LASTS_SECONDS)

    def _judge(self, now: float) -> tuple[bool, bool, str]:
        """(known, serving, reason)"""
        fresh = (frame for frame in self._frames() if now - frame.at <= FRAME_SECONDS)
        if any(frame.hold is HoldState.HOLDING for frame in fresh):
            return True, True, "requests wait in the relay while a cure is under way"
        seen = self._engine()
        looked = seen is not None and seen.known and now - seen.at <= STALE_SECONDS
        if looked and seen is not None and seen.incarnation is None:
            return True, False, f"no engine runs: {seen.how}"
        silence = self._contacts.silence(now)
        if silence is not None:
            return True, False, f"the engine has not answered any of our tries for {seconds(silence)}"
        hang = next(filter(proves_hang, self._verdicts()), None)
        if hang is not None:
            return True, False, f"the engine hangs: {hang.sentence}"
        if looked:
            return True, True, "the engine runs, and nothing proves that it hangs"
        because = "nobody has looked at the engine yet" if seen is None else seen.because or "the newest look is old"
        return False, True, f"not known: {because}"


def proves_hang(verdict: RuleVerdict) -> bool:
    """It fires, and both witnesses speak."""
    spoke = {reading.name for reading in verdict.readings if reading.value}
    return verdict.firing and verdict.verdict is Verdict.BREACH and spoke >= WITNESSES
