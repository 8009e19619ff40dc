"""Which references are in force, and why none: captures, other keys, retirements, imports."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.canaries.engine import Engine
from tests.services.meaning.scene import Scene, an_incident
from tests.services.meaning.test_answer_judge import Letters
from watchtower.knobs import EngineSettings
from watchtower.services.meaning.reference_service import ReferenceService
from watchtower.settings import ReferenceSettings, Settings
from watchtower.storage.reference_sets import DATABASE, ReferenceStore
from watchtower.tasks import TaskGroup
from watchtower.testing.clock import HandClock
from watchtower.vocabulary.errors import BadInput, Refused
from watchtower.vocabulary.facts import AnyFact, CanaryRound, EngineSeen, ReferencesKnown
from watchtower.vocabulary.incidents import IncidentState
from watchtower.vocabulary.readings import Reading, RuleVerdict, Verdict


async def until(true: Callable[[], bool]) -> None:
    for _ in range(20_000):
        if true():
            return
        await asyncio.sleep(0)
    raise AssertionError("it does not become true")


class House:
    def __init__(self, directory: Path | None, checkpoint: str = "", **settings: object) -> None:
        self.clock = HandClock()
        self.engine = Engine(self.clock)
        self.encoder = Letters()
        self.tasks = TaskGroup(self.clock.sleep)
        self.scene = Scene()
        self.facts: list[AnyFact] = []
        self.encoders_wanted = 0
        self.settings = Settings(
            engine=EngineSettings(model="tiny", checkpoint=checkpoint),
            references=ReferenceSettings(**{"repeats": 3, "max_tokens": 16, **settings}),
        )
        self.meaning = ReferenceService(
            self.settings,
            clock=self.clock,
            ask=self.engine.ask,
            encoder=self.encoder,
            need_encoder=self.want,
            store=ReferenceStore(directory) if directory else None,
            circumstances=self.scene.circumstances,
            tasks=self.tasks,
            on_fact=self.facts.append,
        )

    def want(self) -> None:
        self.encoders_wanted += 1

    def known(self) -> ReferencesKnown:
        return [fact for fact in self.facts if isinstance(fact, ReferencesKnown)][-1]

    async def capture(self) -> dict[str, object]:
        self.meaning.capture()
        await until(self.idle)
        progress: dict[str, object] = self.meaning.list()["capture"]
        return progress

    def idle(self) -> bool:
        return bool(self.meaning.list()["capture"]["state"] != "running")


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = House(tmp_path)
    house.meaning.start()
    yield house
    await house.tasks.stop()


async def test_without_references_it_says_what_to_run_and_wants_no_encoder(house: House) -> None:
    assert house.known().usable == 0 and "watchtower references capture" in house.known().because
    assert house.meaning.list()["in_force"] == "" and house.encoders_wanted == 0


async def test_a_capture_is_blessed_and_rounds_begin(house: House) -> None:
    progress = await house.capture()
    assert (progress["state"], progress["done"]) == ("done", progress["total"])
    assert (house.known().usable, house.known().encoder_because) == (24, "")
    assert house.meaning.list()["in_force"] == progress["id"] and house.encoders_wanted > 0
    house.meaning.wish("a hint")
    await until(lambda: any(isinstance(fact, CanaryRound) for fact in house.facts))
    told = next(fact for fact in house.facts if isinstance(fact, CanaryRound))
    assert (told.asked, told.answered, told.clean) == (24, 24, True)
    assert house.meaning.counts()["rounds"]["clean"] == 1


async def test_the_next_daemon_finds_what_was_blessed(house: House, tmp_path: Path) -> None:
    id = (await house.capture())["id"]
    later = House(tmp_path)
    later.meaning.start()
    assert later.known().usable == 24 and later.meaning.list()["in_force"] == id
    await later.tasks.stop()


async def test_references_under_another_key_are_a_reason_and_never_used(house: House, tmp_path: Path) -> None:
    await house.capture()
    later = House(tmp_path, max_tokens=32)
    later.meaning.start()
    assert later.known().usable == 0
    assert "(sampling greedy, 16 tokens → greedy, 32 tokens): run 'watchtower references cap" in later.known().because
    assert later.meaning.list()["because"] == later.known().because
    await later.tasks.stop()


async def test_another_declared_checkpoint_has_references_of_its_own(house: House, tmp_path: Path) -> None:
    """Declared, not observed: whatever the engine serves, the configuration says which references it must meet."""
    old = (await house.capture())["id"]
    declared = House(tmp_path, checkpoint="/models/new")
    declared.meaning.start()
    assert declared.known().usable == 0
    assert "(checkpoint none → /models/new): run 'watchtower references capture'" in declared.known().because
    with pytest.raises(Refused, match="checkpoint none → /models/new"):
        declared.meaning.import_set(house.meaning.export(""), "x.json")
    new = (await declared.capture())["id"]
    assert declared.known().usable == 24 and declared.meaning.list()["in_force"] == new
    await declared.tasks.stop()
    back = House(tmp_path)
    back.meaning.start()
    assert back.meaning.list()["in_force"] == old, "declared again, the old ones are in force again"
    await back.tasks.stop()


async def test_without_an_encoder_the_rest_is_captured_and_similarity_says_why_not(house: House) -> None:
    house.encoder.name = ""
    progress = await house.capture()
    assert progress["state"] == "done" and progress["similarity_because"] == "no encoder is installed"
    assert house.known().usable == 24
    assert house.known().encoder_because == "no encoder is installed; then capture again"


async def test_a_sick_moment_is_no_measure(house: House) -> None:
    house.scene.incident = an_incident("inc-1", "slow_tokens")
    with pytest.raises(Refused, match="inc-1 is open"):
        house.meaning.capture()
    house.scene.incident = None
    house.engine.because = "HTTP 503"
    assert await house.capture() | {"done": 0} == {
        **house.meaning.list()["capture"],
        "state": "failed",
        "done": 0,
    }
    assert "HTTP 503" in house.meaning.list()["capture"]["because"]
    assert house.meaning.list()["sets"] == []


async def test_an_engine_that_does_not_serve_is_no_measure_and_one_that_cannot_be_seen_may_be(house: House) -> None:
    house.scene.engine = EngineSeen(at=0, known=True, serving=False)
    with pytest.raises(Refused, match="does not say that it serves"):
        house.meaning.capture()
    house.scene.engine = EngineSeen(at=0, known=False, version="0.32")
    assert (await house.capture())["state"] == "done"
    assert house.meaning.show("")["engine"] == "0.32"


async def test_an_incident_that_opens_on_the_way_spoils_the_capture(house: House) -> None:
    house.meaning.capture()
    house.scene.incident = an_incident("inc-7", "slow_tokens")
    await until(house.idle)
    assert "inc-7" in house.meaning.list()["capture"]["because"] and house.known().usable == 0


@pytest.mark.parametrize(
    ("rules", "state", "allowed"),
    [
        (["numerics_changed"], "open", True),
        (["numerics_changed"], "escalated", True),
        (["numerics_changed"], "acting", False),
        (["numerics_changed", "slow_tokens"], "open", False),
        (["unheard_of"], "open", False),
    ],
)
async def test_a_change_that_was_meant_becomes_the_measure_unless_something_else_is_wrong(
    house: House, rules: list[str], state: str, allowed: bool
) -> None:
    seen = {"numerics_changed": "logprob_shift.excess", "slow_tokens": "inter_token_latency_seconds.p95"}
    house.scene.verdicts = tuple(
        RuleVerdict(
            rule=rule,
            verdict=Verdict.BREACH,
            firing=True,
            readings=(Reading(name=name, over=300, at=0, value=2.0),),
        )
        for rule, name in seen.items()
    )
    house.scene.incident = an_incident("inc-8", *rules, state=IncidentState(state))
    with pytest.raises(Refused, match="inc-8.*--meant" if allowed else "inc-8"):
        house.meaning.capture()
    if not allowed:
        with pytest.raises(Refused, match="inc-8"):
            house.meaning.capture(meant=True)
        return
    house.meaning.capture(meant=True)
    await until(house.idle)
    assert house.meaning.list()["capture"]["state"] == "done" and house.known().usable > 0


async def test_one_capture_at_a_time_and_a_failed_one_keeps_what_was(house: House) -> None:
    id = (await house.capture())["id"]
    house.meaning.capture()
    with pytest.raises(Refused, match="under way"):
        house.meaning.capture()
    house.engine.because = "no answer in time"
    await until(house.idle)
    assert house.meaning.list()["in_force"] == id


async def test_a_retired_set_is_no_longer_in_force(house: House) -> None:
    id = str((await house.capture())["id"])
    house.meaning.retire(id)
    assert house.known().usable == 0
    with pytest.raises(Refused, match="no reference set ref-x"):
        house.meaning.retire("ref-x")


async def test_a_set_moves_to_another_server_of_the_same_key_alone(house: House, tmp_path: Path) -> None:
    await house.capture()
    document = house.meaning.export("")
    (tmp_path / "other").mkdir()
    other = House(tmp_path / "other")
    other.meaning.start()
    assert other.meaning.import_set(document, "x.json")["size"] == 24
    assert other.known().usable == 24
    with pytest.raises(BadInput):
        other.meaning.import_set(b"{}", "x.json")
    await other.tasks.stop()
    (tmp_path / "third").mkdir()
    third = House(tmp_path / "third", template="plain")
    with pytest.raises(Refused, match="template chat → plain"):
        third.meaning.import_set(document, "x.json")


async def test_a_damaged_store_is_a_reason_and_no_crash(tmp_path: Path) -> None:
    (tmp_path / DATABASE).write_bytes(b"nonsense" * 1000)
    house = House(tmp_path)
    house.meaning.start()
    assert house.known().usable == 0 and "cannot be read" in house.known().because
    await house.tasks.stop()


async def test_without_a_state_directory_references_have_nowhere_to_live() -> None:
    house = House(None)
    house.meaning.start()
    with pytest.raises(Refused, match="nowhere to live"):
        house.meaning.capture()
    await house.tasks.stop()
