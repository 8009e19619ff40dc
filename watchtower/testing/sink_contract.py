"""The contract of a sink: any notice, any receiver, and never a secret.

A plug-in author subclasses ``SinkContract`` and gives it two async pytest fixtures: ``taking``, a sink whose receiver
takes everything, and ``unreachable``, one whose receiver is not there (None where there is no receiver at all). Every
secret in its settings holds ``SECRET``.
"""

from __future__ import annotations

from watchtower.ports import Sink
from watchtower.vocabulary.incidents import notices_of_every_kind

SECRET = "T0P-S3CRET"  # noqa: S105 - of the tests


class SinkContract:
    """Every promise of port ``Sink``."""

    async def test_it_has_the_name_that_people_gave_it(self, taking: Sink) -> None:
        assert 0 < len(taking.name) <= 64

    async def test_a_notice_of_every_kind_is_taken(self, taking: Sink) -> None:
        for notice in notices_of_every_kind():
            result = await taking.send(notice, 1)
            assert result.delivered, (notice.kind, result.because)

    async def test_the_same_notice_may_be_sent_twice(self, taking: Sink) -> None:
        notice = next(notices_of_every_kind())
        assert [(await taking.send(notice, attempt)).delivered for attempt in (1, 2)] == [True, True]

    async def test_a_receiver_that_is_not_there_is_tried_again_later(self, unreachable: Sink | None) -> None:
        if unreachable is None:
            return
        result = await unreachable.send(next(notices_of_every_kind()), 1)
        assert (result.delivered, result.final, result.gone) == (False, False, False)

    async def test_what_went_wrong_is_a_kind_and_never_a_secret(self, unreachable: Sink | None) -> None:
        if unreachable is None:
            return
        because = (await unreachable.send(next(notices_of_every_kind()), 1)).because
        assert 0 < len(because) <= 200
        assert SECRET not in because

    async def test_closing_twice_is_harmless(self, taking: Sink) -> None:
        await taking.close()
        await taking.close()
