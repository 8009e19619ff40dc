from watchtower.lab.simulator import language
from watchtower.lab.simulator.language import VOCABULARY, answer, checksums, prompt_tokens, token_id

PROMPTS = [f"Explain topic number {n}." for n in range(200)]


def test_a_checkpoint_answers_a_prompt_always_the_same() -> None:
    first = answer("good", "Why is the sea salty?")
    answer.cache_clear()
    assert answer("good", "Why is the sea salty?") == first


def test_another_checkpoint_says_something_else_to_nearly_every_prompt() -> None:
    assert sum(answer("good", prompt) == answer("other", prompt) for prompt in PROMPTS) == 0


def test_answers_are_sentences_of_known_tokens() -> None:
    for prompt in PROMPTS:
        pieces = answer("good", prompt)
        assert 30 <= len(pieces) <= 150
        assert all(token_id(piece) in VOCABULARY.values() for piece in pieces)
        text = "".join(pieces)
        assert text[0].isupper() and text.endswith(".") and " ." not in text and "  " not in text


def test_a_prompt_is_never_without_tokens() -> None:
    assert len(prompt_tokens("")) == 1
    assert len(prompt_tokens("two words, marked")) == 4


def test_checksums_name_every_rank_and_change_with_the_weights() -> None:
    good, other = checksums("good", 4), checksums("other", 4)
    assert good.keys() == other.keys() and len(good) == 12
    assert not set(good.values()) & set(other.values())
    assert checksums("good", 4) == good


def test_another_checkpoint_finds_every_token_differently_likely_and_rounding_shifts_all_by_a_little() -> None:
    tokens = [language.token_id(piece) for piece in language.answer("tiny-good", "hello")]
    own = language.logprobs("tiny-good", tokens)
    assert own == language.logprobs("tiny-good", tokens) and len(own) == len(tokens) - 1 and max(own) <= 0

    def shift(other: list[float]) -> float:
        return sum(abs(a - b) for a, b in zip(own, other, strict=True)) / len(own)

    assert shift(language.logprobs("tiny-other", tokens)) > 0.4
    assert 0.01 < shift(language.logprobs("tiny-good", tokens, rounded=True)) < 0.12


def test_rounded_weights_say_most_answers_as_before() -> None:
    prompts = [f"prompt {n}" for n in range(40)]
    same = sum(
        language.rounded_answer("tiny-good", prompt) == language.answer("tiny-good", prompt) for prompt in prompts
    )
    assert 20 <= same < 40
