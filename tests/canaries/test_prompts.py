from pathlib import Path

import pytest

from watchtower.canaries.prompts import load_prompts
from watchtower.vocabulary.errors import BadInput
from watchtower.vocabulary.references import Prompt, digest


def test_the_shipped_set_is_diverse_and_every_question_has_a_name_of_its_own() -> None:
    prompts = load_prompts()
    assert len(prompts) >= 20
    assert len({prompt.id for prompt in prompts}) == len({prompt.text for prompt in prompts}) == len(prompts)
    assert sum(len(prompt.text.split()) > 60 for prompt in prompts) >= 4, "a cache check needs several whole blocks"
    assert any(ord(character) > 0x3000 for prompt in prompts for character in prompt.text)


def test_a_file_of_a_persons_own_is_read_and_its_digest_follows_its_texts(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text("version: 1\nprompts:\n- {id: one, text: Why so}\n- {id: two, text: How so}\n")
    prompts = load_prompts(file)
    assert prompts == [Prompt(id="one", text="Why so"), Prompt(id="two", text="How so")]
    assert digest(prompts) == digest(prompts[::-1])
    assert digest(prompts) != digest([Prompt(id="one", text="Why not?"), prompts[1]])


def test_every_mistake_is_told_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text("version: 1\nprompts:\n- {id: one, text: Why so}\n- {id: one, text: How so}\n")
    with pytest.raises(BadInput, match=r"own\.yaml:4.*this id stands twice"):
        load_prompts(file)
    file.write_text("version: 1\nprompts:\n- {id: One two, text: ''}\n")
    with pytest.raises(BadInput) as refused:
        load_prompts(file)
    assert len(refused.value.problems) == 2
