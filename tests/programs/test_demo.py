"""What can be judged without playing the whole demo; the play itself is in tests/e2e."""

import pytest

from watchtower.programs.demo import DemoOptions, main
from watchtower.vocabulary.errors import BadInput


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (DemoOptions(engine="sglang"), "--engine · 'sglang' is unknown · one of: simulator, vllm"),
        (DemoOptions(mode="approve"), "--mode · 'approve' is unknown · one of: auto, observe"),
    ],
)
def test_an_unknown_choice_is_refused_with_the_known_ones_before_anything_starts(
    options: DemoOptions, what: str
) -> None:
    with pytest.raises(BadInput) as refused:
        main(options)
    assert str(refused.value) == what
