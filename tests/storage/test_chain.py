from __future__ import annotations

import msgspec
import pytest

from watchtower.storage.chain import GENESIS, Link, intact, seal
from watchtower.testing.clock import HandClock
from watchtower.vocabulary.records import Entry

NOW = HandClock().now()
LINK = seal(Entry("incident.opened", {"b": 1.0, "a": "x"}, "inc-1", "op-1"), 1, GENESIS, NOW, "0.1.0")


def test_a_sealed_link_is_intact_and_gives_its_entry_back() -> None:
    assert intact(LINK)
    stored = LINK.opened()
    assert (stored.kind, stored.body, stored.incident, stored.op_id) == (
        "incident.opened",
        {"a": "x", "b": 1.0},
        "inc-1",
        "op-1",
    )


@pytest.mark.parametrize("field", [field for field in LINK._fields if field != "hash"])
def test_changing_any_field_breaks_the_link(field: str) -> None:
    value = getattr(LINK, field)
    changed = value + 1 if isinstance(value, int | float) else value + " "
    assert not intact(Link(**{**LINK._asdict(), field: changed}))


def test_text_cannot_move_from_one_field_to_the_next() -> None:
    first = seal(Entry("a.b", {}, "inc", "op"), 1, GENESIS, NOW, "1")
    second = seal(Entry("a.b", {}, "in", "cop"), 1, GENESIS, NOW, "1")
    assert first.hash != second.hash


def test_a_body_that_is_not_json_is_the_callers_mistake() -> None:
    with pytest.raises((TypeError, msgspec.MsgspecError)):
        seal(Entry("a.b", {"x": object()}), 1, GENESIS, NOW, "1")
