"""The contract of a supervisor, as tests that any implementation can be held to, over real processes.

A plug-in author subclasses ``SupervisorContract`` and gives it a pytest fixture ``live``, an engine that really runs
under the supervisor. What cannot be claimed must not be: each promise is tested only where ``capabilities`` makes it,
and an adapter that has not passed is for observing only.

    class TestMine(SupervisorContract):
        @pytest.fixture
        def live(self, tmp_path): ...
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from watchtower.clock import boot_id, boottime, sleep_blocking
from watchtower.ports import Supervisor
from watchtower.vocabulary.actions import Answer, Incarnation, Plan, ReplyKind, Verb


class SupervisedEngine(Protocol):
    """A supervisor with an engine that runs."""

    @property
    def supervisor(self) -> Supervisor: ...

    def starts(self) -> int:
        """How often the engine was started, counted by the engine itself."""
        ...

    def members(self) -> set[int]:
        """Pids of all processes that the engine's tree ever had, wherever they are now."""
        ...

    def running(self, pid: int) -> bool:
        """Whether that process still runs (a zombie does not)."""
        ...


def eventually(true: Callable[[], bool], seconds: float = 20.0) -> bool:
    """Whether ``true`` became true within ``seconds``."""
    until = boottime() + seconds
    while boottime() < until:
        if true():
            return True
        sleep_blocking(0.02)
    return true()


def incarnation(live: SupervisedEngine) -> Incarnation:
    seen = live.supervisor.observe(boottime())
    assert seen.known, seen.because
    assert seen.incarnation is not None, seen.because
    return seen.incarnation


def plan(
    op_id: str,
    expected: Incarnation | None,
    *,
    verb: Verb = Verb.RESTART_GROUP,
    fence_token: int = 1,
    seconds: float = 60.0,
) -> Plan:
    return Plan(
        op_id=op_id,
        verb=verb,
        incident="contract",
        rule="contract",
        expected_incarnation=expected,
        attempt=1,
        reason="the contract suite asks for it",
        not_after=boottime() + seconds,
        fence_token=fence_token,
    )


class SupervisorContract:
    """Every promise a supervisor can make. ``live`` is a fresh one for each test."""

    def test_observing_twice_sees_the_same_engine(self, live: SupervisedEngine) -> None:
        assert incarnation(live) == incarnation(live)
        assert incarnation(live).boot_id == boot_id()

    def test_a_restart_replaces_the_incarnation_and_leaves_nothing_of_the_old_tree(
        self, live: SupervisedEngine
    ) -> None:
        before, members, starts = incarnation(live), live.members(), live.starts()
        reply = live.supervisor.execute(plan("op", before))
        assert reply.kind is ReplyKind.ACKED, reply.because
        assert incarnation(live) != before
        assert [pid for pid in members if live.running(pid)] == []
        assert eventually(lambda: live.starts() == starts + 1)
        assert live.supervisor.status("op") is Answer.DONE

    def test_the_same_operation_twice_is_one_effect_and_one_answer(self, live: SupervisedEngine) -> None:
        before, starts = incarnation(live), live.starts()
        first = live.supervisor.execute(plan("op", before))
        after = incarnation(live)
        assert live.supervisor.execute(plan("op", before)) == first
        assert incarnation(live) == after
        assert eventually(lambda: live.starts() == starts + 1)

    def test_an_operation_meant_for_another_engine_is_refused(self, live: SupervisedEngine) -> None:
        before = incarnation(live)
        stranger = Incarnation(before.id, before.started + "0", before.boot_id)
        self._refused(live, plan("op", stranger))

    def test_a_first_start_is_refused_where_an_engine_runs(self, live: SupervisedEngine) -> None:
        self._refused(live, plan("op", None))

    def test_a_token_below_the_fence_is_refused(self, live: SupervisedEngine) -> None:
        assert live.supervisor.fence(7)
        self._refused(live, plan("op", incarnation(live), fence_token=6))
        assert live.supervisor.execute(plan("next", incarnation(live), fence_token=7)).kind is ReplyKind.ACKED

    def test_the_fence_never_falls(self, live: SupervisedEngine) -> None:
        assert live.supervisor.fence(7)
        assert live.supervisor.fence(3)
        self._refused(live, plan("op", incarnation(live), fence_token=3))

    def test_an_operation_after_its_time_is_refused(self, live: SupervisedEngine) -> None:
        self._refused(live, plan("op", incarnation(live), seconds=-1.0))

    def test_a_verb_that_is_not_on_the_menu_is_refused(self, live: SupervisedEngine) -> None:
        for verb in (verb for verb in Verb if verb.loads_weights):
            assert verb not in live.supervisor.capabilities().verbs, "only the engine can load weights"
            self._refused(live, plan(f"op-{verb}", incarnation(live), verb=verb))

    def test_a_refusal_is_final(self, live: SupervisedEngine) -> None:
        before, starts = incarnation(live), live.starts()
        self._refused(live, plan("op", before, seconds=-1.0))
        assert live.supervisor.execute(plan("op", before)).kind is ReplyKind.REJECTED
        assert (incarnation(live), live.starts()) == (before, starts)

    def test_not_done_is_a_promise_that_a_late_message_cannot_break(self, live: SupervisedEngine) -> None:
        assert live.supervisor.status("late") is Answer.NOT_DONE
        self._refused(live, plan("late", incarnation(live)))

    def _refused(self, live: SupervisedEngine, unwanted: Plan) -> None:
        before, starts = incarnation(live), live.starts()
        reply = live.supervisor.execute(unwanted)
        assert reply.kind is ReplyKind.REJECTED, reply
        assert 0 < len(reply.because) <= 300
        assert live.supervisor.status(unwanted.op_id) is Answer.NOT_DONE
        assert (incarnation(live), live.starts()) == (before, starts)
